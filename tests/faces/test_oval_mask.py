import numpy as np
import pytest

from fer_prep.errors import SampleError
from fer_prep.faces.mediapipe_finder import FACE_OVAL, SCHEME, SCHEME_NAMES
from fer_prep.faces.oval_mask import oval_mask
from fer_prep.geometry.warp import transform_points
from fer_prep.sample import Landmarks, PointSet

POINTS = {
    "right_eye_outer": np.array([55.0, 80.0]),
    "right_eye_inner": np.array([85.0, 80.0]),
    "left_eye_inner": np.array([115.0, 80.0]),
    "left_eye_outer": np.array([145.0, 80.0]),
    "nose_tip": np.array([100.0, 120.0]),
    "mouth_right": np.array([78.0, 146.0]),
    "mouth_left": np.array([122.0, 146.0]),
}
MATRIX = np.array([[0.8, 0.3, -10.0], [-0.3, 0.8, 40.0]])


def pixel_of(point) -> tuple[int, int]:
    x, y = transform_points(np.asarray(point), MATRIX)
    return int(y), int(x)


def test_the_outline_is_filled_to_the_pixel():
    # the face oval of a mesh whose outline is a square: each corner is nine vertices in walking order
    mesh = np.zeros((len(SCHEME_NAMES), 2))
    mesh[list(FACE_OVAL)] = np.repeat([(2, 3), (12.4, 3), (12.4, 9.6), (2, 9.6)], 9, axis=0)
    found = PointSet(names=SCHEME_NAMES, points_px=mesh)
    mask = oval_mask(Landmarks(points={}, found_by="mediapipe as-is", schemes={SCHEME: found}), np.eye(2, 3), size=16)
    rows, columns = np.nonzero(mask)
    assert mask[3:9, 2:12].all()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 9, 2, 12)


@pytest.mark.parametrize("chin", [None, (100.0, 200.0)])
def test_without_an_outline_the_landmarks_make_one(chin):
    points = POINTS if chin is None else POINTS | {"chin": np.array(chin)}
    mask = oval_mask(Landmarks(points=points, found_by="dataset"), MATRIX, size=200)
    for point in POINTS.values():
        assert mask[pixel_of(point)]
    for outside in ((100, -10), (5, 80), (195, 80), (40, 180), (100, 215)):
        row, column = pixel_of(outside)
        assert not (0 <= row < 200 and 0 <= column < 200) or not mask[row, column]
    assert mask[pixel_of((100, 185))]


def test_no_eyes_and_no_outline_is_an_error():
    with pytest.raises(SampleError):
        oval_mask(Landmarks(points={"chin": np.zeros(2)}, found_by="dataset"), MATRIX, size=64)
