import math

import numpy as np
import pytest

from fer_prep.errors import SampleError
from fer_prep.faces.framing import EYE_DISTANCE_SHARE, EYE_PLACE, framing_matrix
from fer_prep.geometry.warp import transform_points
from fer_prep.landmark_names import eye_centres
from fer_prep.sample import Landmarks

SIZE = 200
UPRIGHT = {
    "right_eye_outer": (-45.0, 0.0),
    "right_eye_inner": (-15.0, 0.0),
    "left_eye_inner": (15.0, 0.0),
    "left_eye_outer": (45.0, 0.0),
    "mouth_right": (-22.0, 64.0),
    "mouth_left": (22.0, 64.0),
    "chin": (0.0, 108.0),
}


def face(*, roll: float = 0.0, scale: float = 1.0, without: tuple[str, ...] = (), **moved: tuple) -> Landmarks:
    turn = scale * np.array(
        [
            [math.cos(math.radians(roll)), -math.sin(math.radians(roll))],
            [math.sin(math.radians(roll)), math.cos(math.radians(roll))],
        ]
    )
    points = {n: turn @ np.array(moved.get(n, p)) + [400, 300] for n, p in UPRIGHT.items() if n not in without}
    return Landmarks(points=points, found_by="file")


def framed(landmarks: Landmarks, kind) -> dict[str, np.ndarray]:
    framing = framing_matrix(kind, landmarks, raster_size=(800, 600), size=SIZE)
    return {name: transform_points(point, framing.matrix) for name, point in landmarks.points.items()}


@pytest.mark.parametrize("kind", ["rotate", "eyes"])
@pytest.mark.parametrize("roll", [-170, -33, 0, 12.5, 88])
def test_the_eyes_become_level_at_their_place(kind, roll):
    landmarks = face(roll=roll, scale=1.7)
    framing = framing_matrix(kind, landmarks, raster_size=(800, 600), size=SIZE)
    left, right = eye_centres(framed(landmarks, kind))
    assert framing.roll_degrees == pytest.approx(roll)
    assert left[1] == pytest.approx(right[1])
    assert left[0] > right[0]
    assert (left + right) / 2 == pytest.approx(np.array(EYE_PLACE) * SIZE)


@pytest.mark.parametrize("roll", [-33, 0, 12.5])
def test_rotate_only_turns_the_whole_picture_about_the_eyes_and_does_nothing_else(roll):
    landmarks = face(roll=roll, scale=1.7)
    framing = framing_matrix("rotate-only", landmarks, raster_size=(800, 600), size=SIZE)
    plain = framing_matrix("none", landmarks, raster_size=(800, 600), size=SIZE)
    assert framing.roll_degrees == pytest.approx(roll)
    eyes = np.array(eye_centres(landmarks.points))
    turned, before = (transform_points(eyes, each.matrix) for each in (framing, plain))
    assert turned[0, 1] == pytest.approx(turned[1, 1])  # level
    assert turned.mean(axis=0) == pytest.approx(before.mean(axis=0))  # where they were
    assert np.linalg.det(framing.matrix[:, :2]) == pytest.approx((SIZE / 800) ** 2)  # the scale of the whole picture


def test_eyes_fixes_the_eye_distance_whatever_the_expression():
    for landmarks in (face(), face(scale=0.4, chin=(0.0, 140.0)), face(without=("chin", "mouth_left"))):
        left, right = eye_centres(framed(landmarks, "eyes"))
        assert left[0] - right[0] == pytest.approx(EYE_DISTANCE_SHARE * SIZE)


@pytest.mark.parametrize(
    "moved",
    [
        {},
        {"chin": (0.0, 140.0), "mouth_left": (20.0, 80.0), "mouth_right": (-20.0, 80.0)},  # a dropped jaw
        {"right_eye_outer": (-25.0, 0.0), "left_eye_outer": (25.0, 0.0)},  # turned aside
    ],
)
def test_rotate_keeps_the_chin_in_with_a_margin(moved):
    assert framed(face(**moved), "rotate")["chin"][1] <= 0.93 * SIZE


def test_rotate_sees_a_face_at_rest_alike_with_and_without_chin_and_mouth():
    """Datasets know different points: on a relaxed frontal face they must not lead to different crops."""
    scales = []
    for without in ((), ("chin",), ("chin", "mouth_left")):
        left, right = eye_centres(framed(face(without=without), "rotate"))
        scales.append(left[0] - right[0])
    assert max(scales) / min(scales) < 1.05


def test_none_fits_the_whole_raster_centred():
    framing = framing_matrix("none", None, raster_size=(640, 480), size=SIZE)
    corners = transform_points(np.array([[0, 0], [640, 480]]), framing.matrix)
    assert corners == pytest.approx(np.array([[0, 25], [200, 175]]))
    assert math.isnan(framing.roll_degrees)
    assert framing_matrix("none", face(roll=20), raster_size=(640, 480), size=SIZE).roll_degrees == 0


@pytest.mark.parametrize("landmarks", [None, face(without=("left_eye_inner",)), face(scale=0.001)])
def test_unknown_eyes_are_an_error_that_says_what_is_known(landmarks):
    with pytest.raises(SampleError) as error:
        framing_matrix("eyes", landmarks, raster_size=(640, 480), size=SIZE)
    assert error.value.stage == "landmarks"
