"""One Bosphorus scan from its files to a scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import PureWindowsPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.formats.bnt import RangeGrid, read_bnt
from fer_prep.formats.bosphorus_landmarks import LandmarkTable, read_lm2, read_lm3
from fer_prep.formats.images import read_rgb
from fer_prep.geometry.grid_scene import GridScene
from fer_prep.geometry.range_grid import clean_grid, triangulate
from fer_prep.geometry.renderers import choose_renderer
from fer_prep.geometry.turns import set_upright_by
from fer_prep.geometry.vertex_scene import surface_scene
from fer_prep.landmark_names import eye_centres
from fer_prep.sample import Sample, Scene
from fer_prep.sources.bosphorus_landmarks import (
    SCHEME,
    by_label,
    named,
    picture_misfit,
    point_set,
    turned_grid,
    upright_scan,
    v_runs_upward,
)
from fer_prep.sources.face_frame import find_frame
from fer_prep.sources.landmark_sides import SIDES_EXCHANGED, sides_are_exchanged
from fer_prep.sources.read_file import read_file

MISFIT_LIMIT: Final = 0.08
"""Of the picture's width: where grid and landmark files differ by more, one of them is of another recording."""


SMALLEST_MM, LARGEST_MM = 50.0, 1000.0
"""Width and height of a face scan; anything else is in another unit, damaged, or a strip of a face."""


def load_scene(sample: Sample, *, renderer: str) -> Scene:
    """Read grid, picture and landmark files; raises FormatError or SampleError naming the file."""
    grid = read_file(sample.files["grid"], reader=read_bnt)
    _check_extent(grid, sample)
    picture = read_file(sample.files["rgb"], reader=read_rgb)
    in_picture = _landmarks(sample, "landmarks_2d", read_lm2)
    on_scan = _landmarks(sample, "landmarks_3d", read_lm3)
    size = (picture.shape[1], picture.shape[0])
    if eye_centres(named(on_scan)) is None:
        grid, turn = _upright_unmarked(grid, sample=sample, renderer=renderer)
    else:
        grid, on_scan, turn = upright_scan(grid, on_scan_mm=on_scan, sample=sample)
    grid = _with_v_from_top(grid, sample=sample, in_picture=in_picture, on_scan=on_scan, size=size)
    has_exchanged_sides = sides_are_exchanged(named(on_scan))
    in_picture, on_scan = by_label(in_picture), by_label(on_scan)
    landmarks_mm = named(on_scan)
    scene = GridScene(
        grid.points_mm,
        image_uv=grid.image_uv,
        valid=grid.valid,
        picture=picture,
        landmarks_mm=landmarks_mm,
        landmarks_px={name: point for name, point in named(in_picture).items() if name not in landmarks_mm},
        renderer=choose_renderer(renderer),
    )
    scene.set_right = {**set_upright_by(turn), **(SIDES_EXCHANGED if has_exchanged_sides else {})}
    if grid.image_name and PureWindowsPath(grid.image_name).stem.lower() != sample.files["grid"].stem.lower():
        scene.set_right |= {"whose grid names": "another picture than the one beside it, which is used"}
    if in_picture or on_scan:
        scene.schemes = {SCHEME: point_set(scene, in_picture_px=in_picture, on_scan_mm=on_scan)}
    return scene


def _upright_unmarked(grid: RangeGrid, *, sample: Sample, renderer: str) -> tuple[RangeGrid, NDArray[np.float64]]:
    """The grid set upright by the face that is found on its bare shape, and the (3, 3) by which it was turned.

    The picture does not help: which way up it lies on the grid depends on which way up the grid is. A grid on which no
    face is found stays as it is.
    """
    whole = clean_grid(grid.points_mm, image_uv=grid.image_uv, valid=grid.valid)
    faces = triangulate(whole.points_mm, whole.valid)
    bare = surface_scene(whole.points_mm.reshape(-1, 3), faces=faces, renderer=choose_renderer(renderer))
    frame = find_frame(bare, path=sample.files["grid"], sample=sample)
    turn = np.eye(3) if frame is None else frame[0]
    return turned_grid(grid, turn), turn


def _check_extent(grid: RangeGrid, sample: Sample) -> None:
    # a few points far away are damage that the geometry takes out, and say nothing about the face
    low, high = np.percentile(grid.points_mm[grid.valid][:, :2], [1, 99], axis=0)
    width, height = (high - low).tolist()
    if not (min(width, height) >= SMALLEST_MM and max(width, height) <= LARGEST_MM):
        raise SampleError(
            stage="read",
            reason=Reason.IMPLAUSIBLE,
            path=sample.files["grid"],
            expected=f"a face scan of {SMALLEST_MM:.0f} to {LARGEST_MM:.0f} mm in width and height",
            found=f"{width:.4g} × {height:.4g}",
        )


def _landmarks(sample: Sample, role: str, reader: Callable[[bytes], LandmarkTable]) -> LandmarkTable:
    return read_file(sample.files[role], reader=reader) if role in sample.files else {}


def _with_v_from_top(
    grid: RangeGrid, *, sample: Sample, in_picture: LandmarkTable, on_scan: LandmarkTable, size: tuple[int, int]
) -> RangeGrid:
    """The grid with v measured from the top of the picture, as the landmark files (or else the scan itself) tell."""
    from_top, from_bottom = picture_misfit(grid, in_picture_px=in_picture, on_scan_mm=on_scan, size=size)
    if np.isnan(from_top):
        upward = v_runs_upward(grid)
    else:
        upward = from_bottom < from_top
        misfit = min(from_top, from_bottom)
        if misfit > MISFIT_LIMIT * size[0]:
            raise SampleError(
                stage="read",
                reason=Reason.MISMATCH,
                path=sample.files["landmarks_2d"],
                expected="landmarks in the picture where the range grid has them",
                found=f"{misfit:.0f} pixels apart in a picture of {size[0]} × {size[1]}",
            )
    if not upward:
        return grid
    uv = grid.image_uv.copy()
    uv[..., 1] = 1 - uv[..., 1]
    return replace(grid, image_uv=uv)
