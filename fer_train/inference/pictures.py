"""Pictures to predict: found in a folder or given one by one, read as they were prepared, or prepared on the way.

*Prepared* pictures are what ``fer-prep`` writes: square, framed, depth as 16-bit steps behind the nearest point.
*Recorded* ones are what a camera gives; they are prepared by ``fer_prep`` as the training data was, which takes the
packages of that program and is the only thing here that does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from fer_prep.errors import FormatError, UsageError
from fer_prep.formats.images import read_depth, read_rgb

READERS: Final[dict[str, Callable[[bytes], NDArray[Any]]]] = {"rgb": read_rgb, "depth": read_depth}
"""Stored modality → how its file is read."""
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True, kw_only=True)
class PictureFiles:
    """One picture to predict."""

    name: str
    files: Mapping[str, Path]
    """Modality → its file, as far as there are files."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """How pictures as recorded are to be prepared."""

    preparation: Mapping[str, Any]
    """``framing``, ``mask`` and ``size`` of the data that the network was trained on; what is not known is as by
    default."""
    depth_unit_mm: float = 0.125
    """Millimetres per step of a recorded depth map."""


def find_pictures(source: Path, *, depth: Path | None, modalities: Sequence[str], recorded: bool) -> list[PictureFiles]:
    """The pictures that ``source`` means: one file (with its ``depth``), or a folder.

    A folder holds ``rgb/`` and ``depth/`` with files of the same names, as a prepared folder does, or just pictures,
    which do for a network that looks at one of them alone. Recorded ones need their colours, where the face is found.
    """
    first = "rgb" if recorded else modalities[0]
    if not source.exists():
        raise UsageError("no such file or folder", path=source)
    if not source.is_dir():
        if source.suffix.lower() not in SUFFIXES:
            raise UsageError(f"expected an .h5 dataset, a folder, or a picture ({', '.join(SUFFIXES)})", path=source)
        files = {first: source} | ({} if depth is None else {"depth": depth})
        if "depth" in modalities and "depth" not in files:
            hint = "give the depth picture with --depth"
            raise UsageError("this network looks at depth as well", path=source, hint=hint)
        return [PictureFiles(name=source.stem, files=files)]
    if depth is not None:
        raise UsageError("--depth goes with one picture, not with a folder", path=source)
    files = {name: _pictures_in(source / name) for name in {first: 1, **dict.fromkeys(modalities)}}
    files[first] = files[first] or _pictures_in(source)
    if not files[first]:
        raise UsageError("expected a folder with rgb/ and depth/, or with pictures; found no picture", path=source)
    for name in modalities:
        if not files[name]:
            raise UsageError(
                f"this network looks at {name} as well; expected {name}/ with pictures of the same names",
                path=source / name,
            )
    return [
        PictureFiles(name=stem, files={name: paths[stem] for name, paths in files.items() if stem in paths})
        for stem in files[first]
    ]


def _pictures_in(folder: Path) -> dict[str, Path]:
    """Name → file, sorted; nothing where there is no such folder."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.stem: path for path in paths if path.suffix.lower() in SUFFIXES}


def read_picture(
    picture: PictureFiles, *, modalities: Sequence[str], recorded: Recorded | None
) -> dict[str, NDArray[Any]]:
    """``rgb`` (S, S, 3) u1 and ``depth`` (S, S) u2, those of ``modalities``; FerError for one that cannot be used."""
    first = next(iter(picture.files.values()))
    for name in modalities:
        if name not in picture.files:
            raise FormatError(path=first, expected=f"a {name} picture of the same name", found="none")
    if recorded is not None:
        return {name: array for name, array in _prepare(picture, recorded).items() if name in modalities}
    arrays = {name: _read(picture.files[name], READERS[name]) for name in modalities}
    size = arrays[modalities[0]].shape[:2]
    for name, array in arrays.items():
        height, width = array.shape[:2]
        if height != width:
            raise FormatError(
                path=picture.files[name],
                expected="a square picture, as fer-prep prepares them",
                found=f"{width} × {height}",
                hint="add --align for pictures as a camera recorded them",
            )
        if array.shape[:2] != size:
            found = f"{width} × {height}"
            raise FormatError(
                path=picture.files[name],
                expected=f"{name} of the picture's size, {size[1]} × {size[0]}",
                found=found,
            )
    return arrays


def _prepare(picture: PictureFiles, recorded: Recorded) -> dict[str, NDArray[Any]]:
    # with the packages of fer-prep; a machine that only trains does without them
    from fer_prep.prepare.prepare_sample import prepare_picture

    known = {name: recorded.preparation[name] for name in ("framing", "mask", "size") if name in recorded.preparation}
    rgb, depth = prepare_picture(
        picture.files["rgb"],
        depth_file=picture.files.get("depth"),
        depth_unit_mm=recorded.depth_unit_mm,
        **known,
    )
    return {"rgb": rgb, "depth": depth}


def _read(path: Path, reader: Callable[[bytes], NDArray[Any]]) -> NDArray[Any]:
    try:
        return reader(path.read_bytes())
    except FileNotFoundError:
        raise UsageError("no such file", path=path) from None
    except FormatError as error:
        raise error.within(path) from None
