import numpy as np
import pytest

from fer_prep.faces.contact_sheet import TILE_PX, contact_sheet, sheet_entry
from fer_prep.faces.framing import framing_matrix
from fer_prep.faces.picture_scene import PictureScene
from fer_prep.sample import Landmarks

EYES = {
    "right_eye_outer": np.array([20.0, 30.0]),
    "right_eye_inner": np.array([30.0, 30.0]),
    "left_eye_inner": np.array([40.0, 34.0]),
    "left_eye_outer": np.array([50.0, 34.0]),
}


def entry(*, found: bool = True):
    rgb = np.full((80, 60, 3), (200, 0, 0), np.uint8)
    z_mm = np.tile(np.linspace(-700, -800, 60, dtype=np.float32), (80, 1))
    scene = PictureScene(rgb=rgb, z_mm=z_mm, valid=np.ones((80, 60), bool))
    if not found:
        return sheet_entry("M_1", caption="no face", scene=scene, landmarks=None, frame=None, matrix=None)
    landmarks = Landmarks(points=EYES, found_by="file")
    matrix = framing_matrix("eyes", landmarks, raster_size=scene.raster_size, size=64).matrix
    frame = scene.view(matrix, size=64)
    return sheet_entry("M_1", caption="roll 4.0°", scene=scene, landmarks=landmarks, frame=frame, matrix=matrix)


def test_a_sheet_shows_before_after_and_depth_side_by_side():
    sheet = contact_sheet([entry()])
    middle = 6 + TILE_PX // 2
    before, after, depth = (sheet[middle, 6 + k * TILE_PX + TILE_PX // 2] for k in range(3))
    assert tuple(before) == (200, 0, 0)
    assert tuple(after) == (200, 0, 0)
    assert len(set(depth)) > 1
    green = (sheet[..., 1] > 180) & (sheet[..., 0] < 100)
    assert green[:, : 6 + TILE_PX].any()  # the line between the eyes, before …
    assert green[:, 6 + TILE_PX : 6 + 2 * TILE_PX].any()  # … and after


def test_near_is_warm_and_far_is_cold():
    tile = contact_sheet([entry()])[6 : 6 + TILE_PX, 6 + 2 * TILE_PX :]
    row = tile[TILE_PX // 2].astype(int)
    seen = np.flatnonzero(np.ptp(row[:TILE_PX], axis=1) > 40)
    near, far = row[seen[2]], row[seen[-3]]
    assert near[0] > near[2]
    assert far[2] > far[0]


def test_rejected_samples_are_shown_too():
    sheet = contact_sheet([entry(), entry(found=False), entry(), entry()])
    assert sheet.ndim == 3
    assert sheet.shape[0] > 2 * TILE_PX


def test_an_empty_sheet_is_refused():
    with pytest.raises(ValueError):
        contact_sheet([])
