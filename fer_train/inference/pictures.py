"""Pictures to predict: found in a folder or given one by one, prepared on the way where nobody says that they are.

A mesh of any scanner stands for a picture with its depth.

*Prepared* pictures are what ``fer-prep`` writes: square, framed, depth as 16-bit steps behind the nearest point. They
are known by the ``prepared.json`` of their folder. All others are taken for what a camera *recorded* and are prepared
by ``fer_prep`` as the training data was, which takes the packages of that program and is the only thing here that does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FerError, FormatError, InstallationError, UsageError
from fer_prep.formats.images import read_depth, read_rgb
from fer_prep.regular_files import read_bytes

if TYPE_CHECKING:
    from fer_prep.prepare.folder import PreparedFolder

READERS: Final[dict[str, Callable[[bytes], NDArray[Any]]]] = {"rgb": read_rgb, "depth": read_depth}
"""Stored modality → how its file is read."""
DATASET_SUFFIXES: Final = (".h5", ".hdf5", ".hdf")
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp")
MESHES: Final = (".obj", ".ply", ".stl", ".glb")
FARTHEST_NEAREST: Final = 1000
"""The largest value, 10 mm, that the nearest point of stored depth can have: by definition it is 1, a little more after
resizing."""
NEAREST_RECORDED_MM: Final = 50
"""No depth camera measures what is nearer."""
PREPARATION: Final = ("framing", "mask", "size")
"""What a model knows of how its training pictures were prepared."""


@dataclass(frozen=True, kw_only=True)
class PictureFiles:
    """One picture to predict."""

    name: str
    files: Mapping[str, Path]
    """Modality → its file, as far as there are files; or ``mesh`` → the one that has all."""
    row: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the folder's table of samples says of it."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """How pictures as recorded are to be prepared."""

    preparation: Mapping[str, Any]
    """``framing``, ``mask`` and ``size`` of the data that the network was trained on; what is not known is as by
    default."""
    depth_unit_mm: float
    """Millimetres per step of a recorded depth map."""


def prepared_folder(source: Path) -> PreparedFolder | None:
    """The prepared folder that ``source`` is or that it lies in: its ``rgb/`` or ``depth/``, or a picture there."""
    # reading the folder's tables takes no package of the preparation
    from fer_prep.prepare.folder import SUMMARY, PreparedFolder

    for place in (source, source.parent, source.parent.parent):
        if (place / SUMMARY).is_file():
            return PreparedFolder.open(place)
    return None


def find_pictures(
    source: Path, *, depth: Path | None, modalities: Sequence[str], folder: PreparedFolder | None
) -> list[PictureFiles]:
    """The pictures that ``source`` means: one file (with its ``depth``), or a folder.

    A folder holds ``rgb/`` and ``depth/`` with files of the same names, as a prepared folder does, or just pictures,
    which do where one modality is wanted, the first.
    """
    first = modalities[0]
    if not source.exists():
        raise UsageError("no such file or folder", path=source)
    if not source.is_dir():
        suffix = source.suffix.lower()
        if suffix in MESHES and depth is None:
            return [PictureFiles(name=source.stem, files={"mesh": source})]
        if suffix not in SUFFIXES:
            known = ", ".join(SUFFIXES + MESHES)
            raise UsageError(f"expected an .h5 dataset, a folder, a picture or a mesh ({known})", path=source)
        files = {first: source} | ({} if depth is None else {"depth": depth})
        if "depth" in modalities and "depth" not in files:
            hint = "give the depth picture with --depth"
            raise UsageError("this network looks at depth as well", path=source, hint=hint)
        found = {name: {source.stem: path} for name, path in files.items()}
    elif depth is not None:
        raise UsageError("--depth goes with one picture, not with a folder", path=source)
    else:
        found = {name: _pictures_in(source / name) for name in modalities}
        found[first] = found[first] or _pictures_in(source)
    if not found[first]:
        raise UsageError("expected a folder with rgb/ and depth/, or with pictures; found no picture", path=source)
    for name in modalities:
        if not found[name]:
            raise UsageError(
                f"this network looks at {name} as well; expected {name}/ with pictures of the same names",
                path=source / name,
            )
    rows = {} if folder is None else {row["id"].partition("/")[2]: row for row in folder.rows}
    return [
        PictureFiles(
            name=stem,
            files={name: paths[stem] for name, paths in found.items() if stem in paths},
            row=rows.get(stem, {}),
        )
        for stem in found[first]
    ]


def _pictures_in(folder: Path) -> dict[str, Path]:
    """Name → file, sorted; nothing where there is no such folder."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.stem: path for path in paths if path.suffix.lower() in SUFFIXES}


def read_picture(
    picture: PictureFiles, *, modalities: Sequence[str], recorded: Recorded | None
) -> dict[str, NDArray[Any]]:
    """``rgb`` (H, W, 3) u1 and ``depth`` (H, W) u2, those of ``modalities`` at least, prepared here where they are
    recorded, and columns of the table of samples that say what camera saw it, those that are known.

    FerError, which names the file, for a picture that cannot be used.
    """
    try:
        if "mesh" in picture.files and recorded is None:
            raise FormatError(expected="pictures", found="a mesh", hint="leave --prepared out")
        for name in modalities if "mesh" not in picture.files else ():
            if name not in picture.files:
                raise FormatError(expected=f"a {name} picture of the same name", found="none")
        if recorded is not None:
            arrays, row = _prepare(picture, recorded)
            for name in modalities:
                if name not in arrays:
                    raise FormatError(expected=f"a mesh with {name}, which this network looks at", found="none")
        else:
            arrays, row = {name: _read(picture.files[name], READERS[name]) for name in modalities}, picture.row
            refuse_unprepared({name: array[None] for name, array in arrays.items()})
    except FerError as error:
        error.path = error.path or next(iter(picture.files.values()))
        raise
    from fer_train.data.cameras import COLUMNS  # here: what cannot be read is refused before PyTorch is loaded

    camera = {name: np.asarray(row[name]) for name in COLUMNS if name in row and np.isfinite(row[name]).all()}
    return arrays | camera


def refuse_unprepared(stored: Mapping[str, NDArray[Any]]) -> None:
    """Raise FormatError for pictures that ``fer-prep`` cannot have prepared: ``stored`` (B, H, W[, 3]) by modality."""
    for name, array in stored.items():
        height, width = array.shape[1:3]
        if height != width:
            raise FormatError(
                expected=f"square {name}, as fer-prep prepares it",
                found=f"{width} × {height}",
                hint="pictures as a camera recorded them are prepared on the way: leave --prepared out",
            )
    if "depth" not in stored:
        return
    depth = stored["depth"].reshape(len(stored["depth"]), -1)
    nearest = np.where(depth > 0, depth, np.iinfo(np.uint16).max).min(axis=1)  # (B,)
    if not depth.any(axis=1).all():
        raise FormatError(expected="depth", found="no data in any pixel")
    if nearest.max(initial=0) > FARTHEST_NEAREST:
        raise FormatError(
            expected="depth as fer-prep stores it, counted from the nearest point of the face",
            found=f"a nearest value of {nearest.max()}",
            hint="depth as a camera recorded it is prepared on the way: leave --prepared out",
        )


def _prepare(picture: PictureFiles, recorded: Recorded) -> tuple[dict[str, NDArray[Any]], Mapping[str, Any]]:
    """The pixels by modality, and what was measured."""
    depth_file = picture.files.get("depth")
    if depth_file is not None:
        depth = _read(depth_file, read_depth)
        nearest_mm = float(depth[depth > 0].min(initial=np.iinfo(np.uint16).max)) * recorded.depth_unit_mm
        if nearest_mm < NEAREST_RECORDED_MM:
            raise FormatError(
                path=depth_file,
                expected="depth as a camera records it, the distance from it",
                found=f"a nearest point {nearest_mm:.3g} mm away",
                hint="depth that fer-prep has prepared: add --prepared; otherwise give its --depth-unit",
            )
    try:
        # with the packages of fer-prep; a machine that only trains does without them
        from fer_prep.prepare.prepare_sample import prepare_files

        known = {name: recorded.preparation[name] for name in PREPARATION if name in recorded.preparation}
        prepared = prepare_files(picture.files, depth_unit_mm=recorded.depth_unit_mm, **known)
    except ImportError as error:
        raise InstallationError(
            f"preparing pictures as recorded takes the package {error.name}, which is not installed",
            hint="pip install 'fer-rgbd[prep]', or prepare them elsewhere and add --prepared",
        ) from error
    pixels = {"rgb": prepared.rgb, "depth": prepared.depth}
    return {name: array for name, array in pixels.items() if array is not None}, prepared.measured


def _read(path: Path, reader: Callable[[bytes], NDArray[Any]]) -> NDArray[Any]:
    try:
        return reader(read_bytes(path))
    except FileNotFoundError:
        raise UsageError("no such file", path=path) from None
    except FormatError as error:
        raise error.within(path) from None
