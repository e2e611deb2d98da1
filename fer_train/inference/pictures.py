"""Pictures to predict: found in a folder or given one by one, read as they were prepared, or prepared on the way.

*Prepared* pictures are what ``fer-prep`` writes: square, framed, depth as 16-bit steps behind the nearest point.
*Recorded* ones are what a camera gives; they are prepared by ``fer_prep`` as the training data was, which takes the
packages of that program and is the only thing here that does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FormatError, UsageError
from fer_prep.formats.images import read_depth, read_rgb

Pixels = TypeVar("Pixels")

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True, kw_only=True)
class PictureFiles:
    """One picture to predict."""

    name: str
    rgb: Path
    depth: Path | None


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """How pictures as recorded are to be prepared."""

    preparation: Mapping[str, Any]
    """``framing``, ``mask`` and ``size`` of the data that the network was trained on; what is not known is as by
    default."""
    depth_unit_mm: float = 0.125
    """Millimetres per step of a recorded depth map."""


def find_pictures(source: Path, *, depth: Path | None, needs_depth: bool) -> list[PictureFiles]:
    """The pictures that ``source`` means: one file (with its ``depth``), or a folder.

    A folder holds ``rgb/`` and ``depth/`` with files of the same names, as a prepared folder does, or just pictures,
    which do for a network that looks at RGB alone.
    """
    if not source.exists():
        raise UsageError("no such file or folder", path=source)
    if not source.is_dir():
        if source.suffix.lower() not in SUFFIXES:
            raise UsageError(f"expected an .h5 dataset, a folder, or a picture ({', '.join(SUFFIXES)})", path=source)
        if depth is None and needs_depth:
            raise UsageError(
                "this network looks at depth as well", path=source, hint="give the depth picture with --depth"
            )
        return [PictureFiles(name=source.stem, rgb=source, depth=depth)]
    if depth is not None:
        raise UsageError("--depth goes with one picture, not with a folder", path=source)
    folder = source / "rgb" if (source / "rgb").is_dir() else source
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not pictures:
        raise UsageError("expected a folder with rgb/ and depth/, or with pictures; found no picture", path=source)
    depths = {path.stem: path for path in (source / "depth").glob("*.png")} if folder != source else {}
    if needs_depth and not depths:
        raise UsageError(
            "this network looks at depth as well; expected depth/ with 16-bit PNGs of the pictures' names",
            path=source / "depth",
        )
    return [PictureFiles(name=path.stem, rgb=path, depth=depths.get(path.stem)) for path in pictures]


def read_picture(
    files: PictureFiles, *, needs_depth: bool, recorded: Recorded | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """RGB (S, S, 3) and stored depth (S, S), 0 where there is none; raises FerError for one that cannot be used."""
    if needs_depth and files.depth is None:
        raise FormatError(path=files.rgb, expected="a depth picture of the same name", found="none")
    if recorded is not None:
        return _prepare(files, recorded)
    rgb = _read(files.rgb, read_rgb)
    height, width = rgb.shape[:2]
    if height != width:
        raise FormatError(
            path=files.rgb,
            expected="a square picture, as fer-prep prepares them",
            found=f"{width} × {height}",
            hint="add --align for pictures as a camera recorded them",
        )
    depth = np.zeros((height, width), np.uint16) if files.depth is None else _read(files.depth, read_depth)
    if depth.shape != (height, width):
        found = " × ".join(str(side) for side in reversed(depth.shape))
        raise FormatError(expected=f"depth of the picture's size, {width} × {height}", found=found, path=files.depth)
    return rgb, depth


def _prepare(files: PictureFiles, recorded: Recorded) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    # with the packages of fer-prep; a machine that only trains does without them
    from fer_prep.prepare.prepare_sample import prepare_picture

    known = {name: recorded.preparation[name] for name in ("framing", "mask", "size") if name in recorded.preparation}
    return prepare_picture(files.rgb, depth_file=files.depth, depth_unit_mm=recorded.depth_unit_mm, **known)


def _read(path: Path, reader: Callable[[bytes], Pixels]) -> Pixels:
    try:
        return reader(path.read_bytes())
    except FileNotFoundError:
        raise UsageError("no such file", path=path) from None
    except FormatError as error:
        raise error.within(path) from None
