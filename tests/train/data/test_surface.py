"""Points and voxels are the surface that was seen, for every kind of camera."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from dataset_factories import make_row

from fer_prep.dataset.writer import DatasetWriter, measure
from fer_prep.emotions import EMOTIONS
from fer_train.config import AugmentationSettings
from fer_train.data import surface
from fer_train.data.augment import Draws, augment_images
from fer_train.data.image_dataset import ImageDataset
from fer_train.data.images import compute_input, to_floats
from fer_train.data.inputs import INPUTS, KEYS
from fer_train.data.random_draws import sample_keys

SIZE, PIXEL_MM, RADIUS_MM, FOCAL_PX, FAR_MM = 96, 2.0, 60.0, 200.0, 500.0
NAN = float("nan")
UNKNOWN = {"mm_per_pixel": NAN, "origin_mm": (NAN, NAN)}
CAMERAS = {
    "parallel": {"mm_per_pixel": PIXEL_MM},
    "central": {**UNKNOWN, "focal_px": FOCAL_PX, "principal_px": (40.0, 55.0)},
    "unknown": {**UNKNOWN, "left_eye": (63.5, 40.0), "right_eye": (32.0, 40.0)},  # 31.5 px are 63 mm
}
SETTINGS = {"smoothing_mm": 4.0, "points": 300, "point_choice": "random", "voxels": 23}


def sphere(camera: str) -> np.ndarray:
    """(SIZE, SIZE) z in mm toward the viewer of a ball with a hole in it, NaN beside it."""
    row, column = np.mgrid[:SIZE, :SIZE].astype(float)
    if camera == "central":
        ray = np.stack([(column - 40) / FOCAL_PX, -(row - 55) / FOCAL_PX, -np.ones_like(row)], axis=-1)
        centre = np.array([20.0, -15.0, -FAR_MM - RADIUS_MM])
        a, b, c = (ray**2).sum(-1), ray @ centre, (centre**2).sum() - RADIUS_MM**2
        with np.errstate(invalid="ignore"):
            z = -(b - np.sqrt(b**2 - a * c)) / a
    else:
        x, y = (column - 50) * PIXEL_MM, (row - 45) * PIXEL_MM
        with np.errstate(invalid="ignore"):
            z = np.sqrt(RADIUS_MM**2 - x**2 - y**2)
    z[30:36, 40:44] = NAN
    return z


def ball_mm(camera: str) -> np.ndarray:
    """(SIZE, SIZE, 3) metric places of ``sphere``, by NumPy."""
    z = sphere(camera)
    row, column = np.mgrid[:SIZE, :SIZE].astype(float)
    if camera == "central":
        return np.stack([(column - 40) * -z / FOCAL_PX, (row - 55) * z / FOCAL_PX, z], axis=-1)
    return np.stack([(column - 50) * PIXEL_MM, (45 - row) * PIXEL_MM, z], axis=-1)


def plane() -> np.ndarray:
    row, column = np.mgrid[:SIZE, :SIZE].astype(float)
    return 0.3 * (column - 50) * PIXEL_MM - 0.2 * (row - 45) * PIXEL_MM


def write(path, z_mm: np.ndarray, **columns):
    """A dataset of one sample: the colour says where a pixel is."""
    nearest = float(np.nanmax(z_mm))
    depth = np.where(np.isnan(z_mm), 0, 1 + np.rint((nearest - np.nan_to_num(z_mm)) / 0.01)).astype(np.uint16)
    row, column = np.mgrid[:SIZE, :SIZE]
    rgb = np.stack([column, row, np.full_like(row, 200)], axis=-1).astype(np.uint8)
    writer = DatasetWriter(path, n=1, size=SIZE, classes=EMOTIONS)
    sample = make_row("bu3dfe", "F001", "anger", depth_offset_mm=nearest, **columns)
    writer.append(measure(sample, rgb, depth))
    writer.finish(settings={})
    return path


def images_of(path, *, said: list[str] | None = None, size: int = SIZE) -> dict[str, torch.Tensor]:
    heard = [] if said is None else said
    data = ImageDataset(path, inputs=("points", "voxels"), image_size=size, say=heard.append)
    return to_floats(data.images(torch.tensor([0])))


def fitted_sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and radius of (n, 3) by least squares."""
    matrix = np.column_stack([2 * points, np.ones(len(points))])
    solved = np.linalg.lstsq(matrix, (points**2).sum(axis=1), rcond=None)[0]
    return solved[:3], math.sqrt(solved[3] + (solved[:3] ** 2).sum())


@pytest.mark.parametrize("choice", ["random", "farthest"])
@pytest.mark.parametrize("camera", CAMERAS)
def test_points_lie_on_the_ball_that_was_seen(tmp_path, camera, choice):
    said: list[str] = []
    images = images_of(write(tmp_path / "ball.h5", sphere(camera), **CAMERAS[camera]), said=said)
    assert any("no camera is known of 1 samples" in line for line in said) == (camera == "unknown")
    found = compute_input("points", images, settings=SETTINGS | {"point_choice": choice})[0].T.double().numpy()
    assert found.shape == (300, 9)
    places, normal, colour = found[:, :3], found[:, 3:6], found[:, 6:]
    centre, radius = fitted_sphere(places)
    assert abs(radius - RADIUS_MM) < 0.1 * PIXEL_MM
    assert np.abs(np.linalg.norm(places - centre, axis=1) - RADIUS_MM).max() < 0.1 * PIXEL_MM
    inside = np.linalg.norm((places - centre)[:, :2], axis=1) < 0.5 * RADIUS_MM
    agreement = (normal * (places - centre) / RADIUS_MM).sum(axis=1)[inside]
    assert np.degrees(np.arccos(agreement.clip(-1, 1))).mean() < (6 if camera == "central" else 2)
    # the nose is where the ball is nearest
    assert np.abs(centre[:2]).max() < 1.5 * PIXEL_MM
    assert centre[2] == pytest.approx(-RADIUS_MM, abs=1.5)
    if camera != "central":
        pixel = places[:, 0] / PIXEL_MM
        np.testing.assert_allclose(np.diff(pixel), np.diff(colour[:, 0] * 255), atol=1e-3)


def test_the_nose_is_not_what_is_nearer_at_the_border(tmp_path):
    z = sphere("parallel")
    z[:12, 2:20] = 80.0  # a hand
    images = images_of(write(tmp_path / "ball.h5", z, mm_per_pixel=PIXEL_MM))
    places = surface.places_mm(images)[0]
    assert places[:, 45, 50].abs().max() < 2 * PIXEL_MM
    images["depth"][..., 20:, :] = 0  # nothing is left in the middle
    assert surface.places_mm(images)[0, :, :12, 2:20].abs().max() < 20 * PIXEL_MM


def test_points_lie_on_the_plane_that_was_seen(tmp_path):
    images = images_of(write(tmp_path / "plane.h5", plane(), mm_per_pixel=PIXEL_MM))
    places = compute_input("bare-points", images, settings=SETTINGS)[0, :3].T.double().numpy()
    found = np.linalg.lstsq(np.column_stack([places[:, :2], np.ones(len(places))]), places[:, 2], rcond=None)[0]
    np.testing.assert_allclose(found[:2], [0.3, 0.2], atol=1e-3)


def test_a_picture_made_smaller_shows_the_same_ball(tmp_path):
    for camera, columns in CAMERAS.items():
        path = write(tmp_path / f"{camera}.h5", sphere(camera), **columns)
        places = compute_input("bare-points", images_of(path, size=SIZE // 2), settings=SETTINGS)[0, :3].T
        _, radius = fitted_sphere(places.double().numpy())
        assert abs(radius - RADIUS_MM) < 0.1 * 2 * PIXEL_MM


def test_holes_give_no_points_and_few_pixels_are_repeated(tmp_path):
    images = images_of(write(tmp_path / "ball.h5", sphere("parallel"), mm_per_pixel=PIXEL_MM))
    there = torch.zeros_like(images["depth"])
    there[..., 40:45, 50:54] = 1.0
    images["depth"] = images["depth"] * there
    for choice in ("random", "farthest"):
        found = compute_input("points", images, settings=SETTINGS | {"point_choice": choice})[0]
        seen = {(round(float(c)), round(float(r))) for c, r in (found[6:8] * 255).T}
        assert seen == {(c, r) for c in range(50, 54) for r in range(40, 45)}
    images["depth"] = torch.zeros_like(there)
    for name in ("points", "bare-points", "voxels", "colour-voxels"):
        assert not compute_input(name, images, settings=SETTINGS).any()


def test_points_are_drawn_by_the_key_of_the_sample(tmp_path):
    images = images_of(write(tmp_path / "ball.h5", sphere("parallel"), mm_per_pixel=PIXEL_MM))
    both = {name: values.repeat(3, *[1] * (values.ndim - 1)) for name, values in images.items()}
    both[KEYS] = torch.tensor([5, 6, 5])
    for choice in ("random", "farthest"):
        first, other, again = compute_input("points", both, settings=SETTINGS | {"point_choice": choice})
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_farthest_points_are_far_apart(tmp_path):
    images = images_of(write(tmp_path / "ball.h5", sphere("parallel"), mm_per_pixel=PIXEL_MM))
    apart = {}
    for choice in ("random", "farthest"):
        places = compute_input("bare-points", images, settings=SETTINGS | {"point_choice": choice})[0, :3].T
        distance = torch.cdist(places, places) + 1e6 * torch.eye(len(places))
        apart[choice] = float(distance.min())
    assert apart["farthest"] > 3 * max(apart["random"], PIXEL_MM / 2)


def test_voxels_are_where_the_ball_is(tmp_path):
    for camera, columns in CAMERAS.items():
        images = images_of(write(tmp_path / f"{camera}.h5", sphere(camera), **columns))
        found = compute_input("voxels", images, settings=SETTINGS)[0, 0].numpy()
        assert found.shape == (23, 23, 23)
        side = surface.CUBE_MM / 23
        z, y, x = (np.argwhere(found > 0) + 0.5).T * side
        place = np.column_stack([x - 0.5 * surface.CUBE_MM, 0.5 * surface.CUBE_MM - y,
                                 surface.BEFORE_NOSE * surface.CUBE_MM - z])  # fmt: skip
        distance = np.linalg.norm(place - [0, 0, -RADIUS_MM], axis=1)
        assert np.abs(distance - RADIUS_MM).max() < side
        seen, ours = ball_mm(camera), surface.places_mm(images)[0].permute(1, 2, 0).numpy()
        seen = (seen - (seen - ours)[50, 50]).reshape(-1, 3)  # the same nose
        low = np.array([-0.5, -0.5, surface.BEFORE_NOSE - 1]) * surface.CUBE_MM
        edges = [np.linspace(edge, edge + surface.CUBE_MM, 24) for edge in low]
        expected = np.histogramdd(seen[np.isfinite(seen).all(axis=1)], bins=edges)[0] > 0  # x, y, z, all rising
        ours = found.transpose(2, 1, 0)[:, ::-1, ::-1] > 0
        assert (ours & expected).sum() >= 0.95 * (ours | expected).sum()
        assert ours.sum() == pytest.approx(expected.sum(), rel=0.03)


def test_coloured_voxels_have_the_mean_colour_of_what_is_in_them(tmp_path):
    images = images_of(write(tmp_path / "ball.h5", sphere("parallel"), mm_per_pixel=PIXEL_MM))
    there, red, green, blue = compute_input("colour-voxels", images, settings=SETTINGS)[0].numpy()
    np.testing.assert_array_equal(there, compute_input("voxels", images, settings=SETTINGS)[0, 0].numpy())
    np.testing.assert_allclose(blue, there * 200 / 255, atol=1e-5)
    z, y, x = np.argwhere(there > 0).T
    side = surface.CUBE_MM / 23
    column = ((x + 0.5) * side - 0.5 * surface.CUBE_MM) / PIXEL_MM + 50
    assert np.abs(red[z, y, x] * 255 - column).max() <= side / PIXEL_MM
    assert not red[there == 0].any()
    assert green.max() > 0


@pytest.mark.parametrize("camera", CAMERAS)
def test_turning_and_mirroring_turns_and_mirrors_the_points(tmp_path, camera):
    """A ball stays a ball, also where the centre of the rays is moved along with the picture."""
    images = images_of(write(tmp_path / "ball.h5", sphere(camera), **CAMERAS[camera]))
    many = {name: values.repeat(6, *[1] * (values.ndim - 1)) for name, values in images.items()}
    keys = sample_keys(torch.arange(6), seed=0, epoch=0)
    settings = AugmentationSettings(rotation_degrees=30, brightness=0, contrast=0, saturation=0, erase=0)
    moved = augment_images(many | {KEYS: keys}, Draws.of(keys), settings=settings)
    for places in compute_input("bare-points", moved, settings=SETTINGS)[:, :3]:
        centre, radius = fitted_sphere(places.T.double().numpy())
        assert abs(radius - RADIUS_MM) < 0.25 * PIXEL_MM
        distance = np.linalg.norm(places.T.double().numpy() - centre, axis=1)
        assert np.quantile(np.abs(distance - RADIUS_MM), 0.9) < 0.25 * PIXEL_MM


def test_an_erased_rectangle_has_no_points(tmp_path):
    images = images_of(write(tmp_path / "ball.h5", sphere("parallel"), mm_per_pixel=PIXEL_MM))
    keys = sample_keys(torch.arange(1), seed=0, epoch=0)
    settings = AugmentationSettings(rotation_degrees=0, flip=0, brightness=0, contrast=0, saturation=0, erase=1,
                                    erase_area=(0.3, 0.3))  # fmt: skip
    erased = augment_images(images | {KEYS: keys}, Draws.of(keys), settings=settings)
    before, after = (int((each["depth"] > 0).sum()) for each in (images, erased))
    assert after < 0.8 * before
    assert all(INPUTS[name].kind != "pictures" for name in ("points", "voxels"))
