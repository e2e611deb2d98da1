"""One loose picture, alone or with its depth map, prepared as the samples of a dataset are: for predicting.

The camera's picture goes the way of CalD3r and MenD3s: landmarks by MediaPipe, framing, one resampling, depth encoded
behind the nearest point.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_prep.depth_encoding import encode_depth
from fer_prep.errors import FormatError
from fer_prep.faces.framing import FramingKind
from fer_prep.faces.picture_scene import PictureScene
from fer_prep.formats.images import read_depth, read_rgb
from fer_prep.prepare.prepare_sample import find_landmarks, frame_scene
from fer_prep.prepare.settings import FOUND, Mask, PrepareSettings
from fer_prep.sample import Sample
from fer_prep.sources.read_file import read_file


def prepare_picture(
    rgb_file: Path,
    *,
    depth_file: Path | None = None,
    framing: FramingKind = "rotate",
    mask: Mask = "none",
    size: int = 260,
    depth_unit_mm: float = 0.125,
) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Colour (size, size, 3) sRGB and stored depth (size, size), 0 everywhere where there is no ``depth_file``.

    ``depth_unit_mm`` is what one step of the 16-bit depth map means. Raises FormatError for files that cannot be read
    or do not belong together, SampleError where no face is found.
    """
    settings = PrepareSettings(size=size, framing=framing, landmarks=FOUND, mask=mask)
    sample = _nameless(rgb_file)
    scene = _read_scene(rgb_file, depth_file, depth_unit_mm=depth_unit_mm)
    landmarks = (
        None if framing == "none" and mask == "none" else find_landmarks(scene, sample=sample, settings=settings)
    )
    frame, _ = frame_scene(scene, landmarks, settings=settings)
    return frame.rgb, encode_depth(frame.z_mm, frame.valid)[0]


def _read_scene(rgb_file: Path, depth_file: Path | None, *, depth_unit_mm: float) -> PictureScene:
    rgb = read_file(rgb_file, reader=read_rgb)
    if depth_file is None:
        nothing = np.zeros(rgb.shape[:2], np.float32)
        return PictureScene(rgb=rgb, z_mm=nothing, valid=nothing > 0)
    depth = read_file(depth_file, reader=read_depth)
    if depth.shape != rgb.shape[:2]:
        raise FormatError(
            path=depth_file,
            expected=f"the raster of the picture, {rgb.shape[1]} × {rgb.shape[0]}",
            found=f"{depth.shape[1]} × {depth.shape[0]}",
        )
    return PictureScene(rgb=rgb, z_mm=depth * np.float32(-depth_unit_mm), valid=depth > 0)


def _nameless(file: Path) -> Sample:
    """What the landmark finders want to know of a sample; nobody has labelled this one."""
    return Sample(
        id=f"picture/{file.stem}",
        dataset="picture",
        subject=f"picture:{file.stem}",
        emotion="neutral",
        label_source="",
        source_file=file.name,
        files={"rgb": file},
    )
