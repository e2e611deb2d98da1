"""A colour picture and a 16-bit depth map of one camera as a scene: datasets, imported tables and loose pictures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.faces.picture_scene import PictureScene
from fer_prep.faces.registration import edge_agreement
from fer_prep.formats.images import orientation, oriented, read_depth, read_rgb
from fer_prep.sources.read_file import read_file


def read_pair(
    rgb_file: Path | None,
    *,
    depth_file: Path | None = None,
    depth_unit_mm: float,
    focal_px: float | None = None,
    depth_offset_mm: float | None = None,
) -> PictureScene:
    """The scene of a picture, a depth map, or both; what is not there is black, or has no depth in any pixel.

    Depth is the distance from the camera in steps of ``depth_unit_mm``, 0 where nothing was measured; ``focal_px`` is
    the camera's focal length in pixels of these very files. ``depth_offset_mm`` is given for a depth map of an export,
    encoded as ours (``depth_encoding``). A picture is turned as its EXIF
    orientation says, unless its depth lies as the picture is stored. Raises FormatError for files that cannot be read,
    SampleError where they are of different rasters or the depth says nothing.
    """
    rgb = stored = None
    if rgb_file is not None:
        stored, tag = read_file(rgb_file, reader=lambda data: (read_rgb(data), orientation(data)))
        rgb = oriented(stored, tag)
    depth = None if depth_file is None else read_file(depth_file, reader=read_depth)
    if rgb is None and depth is None:
        raise ValueError("a picture, a depth map, or both")
    if rgb is not None and stored is not None and depth is not None:
        rgb = _as_depth_lies(rgb, stored, distance_mm=depth * np.float32(depth_unit_mm))
    if rgb is not None and depth is not None and depth.shape != rgb.shape[:2]:
        raise SampleError(
            stage="read",
            reason=Reason.MISMATCH,
            path=depth_file,
            expected=f"the raster of the picture, {rgb.shape[1]} × {rgb.shape[0]}",
            found=f"{depth.shape[1]} × {depth.shape[0]}",
        )
    if depth is not None and (depth == depth[0, 0]).all():
        raise SampleError(
            stage="read",
            reason=Reason.NO_DEPTH,
            path=depth_file,
            expected="depth values that differ",
            found=f"the value {depth[0, 0]} in every pixel" if depth[0, 0] else "no data in any pixel",
        )
    if depth is None:
        depth = np.zeros(rgb.shape[:2], np.uint16)  # type: ignore[union-attr]
    if rgb is None:
        rgb = np.zeros((*depth.shape, 3), np.uint8)
    return PictureScene(
        rgb=rgb,
        z_mm=depth * np.float32(-depth_unit_mm)
        if depth_offset_mm is None
        else (depth_offset_mm + depth_unit_mm * (1 - depth.astype(np.float64))).astype(np.float32),
        depth_offset_mm=math.nan if depth_offset_mm is None else depth_offset_mm,
        valid=depth > 0,
        focal_px=math.nan if focal_px is None else focal_px,
    )


def _as_depth_lies(
    shown: NDArray[np.uint8], stored: NDArray[np.uint8], *, distance_mm: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """The picture turned as its orientation tag wants or as it is stored: the one whose raster the depth has.

    Where both have it (half turns, square pictures) the one whose edges lie on those of depth.
    """
    if shown.shape[:2] != distance_mm.shape or np.array_equal(shown, stored):
        return stored
    if stored.shape[:2] != distance_mm.shape or not distance_mm.any():
        return shown
    scene = PictureScene(rgb=stored, z_mm=-distance_mm, valid=distance_mm > 0)
    return max((shown, stored), key=lambda picture: edge_agreement(picture, scene))
