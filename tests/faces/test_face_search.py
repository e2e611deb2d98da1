"""The search itself, with detectors that see only what suits them: three coloured spots stand for a face."""

import cv2
import numpy as np
import pytest

from fer_prep.faces.face_search import attempts, find_faces, look_again

SIZE = 240


def picture(*, degrees: float = 0, scale: float = 1, at: tuple[float, float] = (120, 120)) -> tuple:
    """A dark picture with a red, a green and a blue spot: (H, W, 3) u1 and their centres (3, 2)."""
    turn = np.radians(degrees)
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    spots = np.array([[30, -20], [-30, -20], [0, 40]]) @ rotation.T + at
    k = np.arange(SIZE) + 0.5
    channels = [np.exp(-((k - x) ** 2 + (k[:, None] - y) ** 2) / (2 * (8 * scale) ** 2)) for x, y in spots]
    return np.round(255 * np.stack(channels, axis=-1)).astype(np.uint8), spots


def spots_of(canvas: np.ndarray) -> np.ndarray | None:
    """Centroids of the three spots by their brightest part; None where one is missing or cut by the edge."""
    centres = []
    for channel in range(3):
        others = np.delete(canvas, channel, axis=2).max(axis=2)
        weights = np.where((canvas[..., channel] > 110) & (others < 100), canvas[..., channel] - 110.0, 0)
        if weights.sum() < 50:
            return None
        rows, columns = np.indices(weights.shape)
        centres.append([(weights * (columns + 0.5)).sum(), (weights * (rows + 0.5)).sum()] / weights.sum())
    return np.array(centres)


def roll(spots: np.ndarray) -> float:
    across = spots[0] - spots[1]
    return np.degrees(np.arctan2(across[1], across[0]))


def upright_only(canvas):
    spots = spots_of(canvas)
    return [] if spots is None or abs(roll(spots)) > 20 else [spots]


def with_margin_only(canvas):
    spots = spots_of(canvas)
    return [] if spots is None or np.ptp(spots[:, 0]) > 0.15 * canvas.shape[1] else [spots]


def large_only(canvas):
    spots = spots_of(canvas)
    return [] if spots is None or np.ptp(spots[:, 0]) < 0.4 * canvas.shape[1] else [spots]


@pytest.mark.parametrize(
    ("shown", "detect", "name"),
    [
        ({}, upright_only, "as-is"),
        ({}, with_margin_only, "padded"),
        ({"at": (190, 60), "scale": 0.9}, large_only, "enlarged"),
        ({"at": (60, 150), "scale": 0.45}, large_only, "enlarged"),
        ({"degrees": -33}, upright_only, "rotated+30"),
        ({"degrees": 45}, upright_only, "rotated-30"),
        ({"degrees": -75}, upright_only, "rotated+60"),
        ({"degrees": 62, "at": (100, 130)}, upright_only, "rotated-60"),
    ],
)
def test_the_attempt_that_helps_is_named_and_its_points_come_back(shown, detect, name):
    rgb, spots = picture(**shown)
    found = find_faces(
        rgb, detect=detect, confirm=lambda face, attempt: face, centre=lambda: np.array(shown.get("at", (120, 120)))
    )
    assert found is not None
    assert found[0] == name
    assert found[1][0] == pytest.approx(spots, abs=0.25)


def test_implausible_finds_do_not_end_the_search():
    rgb, _ = picture()
    seen = []

    def refuse(face, attempt):
        seen.append(attempt.name)

    assert find_faces(rgb, detect=upright_only, confirm=refuse, centre=lambda: np.array([120, 120])) is None
    assert len(seen) > 3


def test_the_close_up_is_upright_and_maps_back():
    rgb, spots = picture(degrees=57, scale=0.7)
    rolls = []

    def detect(canvas):
        faces = [spots_of(canvas)]
        rolls.extend(roll(face) for face in faces)
        return faces

    faces = look_again(rgb, detect=detect, eyes=(spots[0], spots[1]))
    assert rolls == pytest.approx([0], abs=0.5)
    assert faces[0] == pytest.approx(spots, abs=0.25)


@pytest.mark.parametrize("raster_size", [(224, 224), (640, 480), (3000, 4000), (30, 50)])
def test_every_attempt_shows_a_canvas_of_sane_size(raster_size):
    for attempt in attempts(raster_size, centre=lambda: np.array([5.0, 5.0])):
        assert min(attempt.canvas_size) >= 7
        assert cv2.norm(attempt.matrix) > 0
        assert max(attempt.canvas_size) <= 2 * max(raster_size)
