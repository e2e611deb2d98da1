"""Attribute maps against surfaces whose normals and curvatures are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fer_prep.depth_encoding import encode_depth
from fer_prep.geometry import attribute_maps as maps
from fer_prep.geometry.stored_camera import StoredCamera

SIZE = 121
MM = 1.0
NAN = math.nan
X, Y = np.meshgrid((np.arange(SIZE) - SIZE // 2) * MM, (SIZE // 2 - np.arange(SIZE)) * MM)


def stored(z: np.ndarray) -> np.ndarray:
    """The heights as a dataset gives them back: in steps of 0.01 mm."""
    depth, offset = encode_depth(z.astype(np.float32), np.isfinite(z))
    return np.where(depth > 0, offset - (depth.astype(np.float64) - 1) * 0.01, np.nan)


def sphere(radius: float, *, hollow: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heights, and the place and normals of a cap of 45° around its middle."""
    with np.errstate(invalid="ignore"):
        z = np.sqrt(radius**2 - X**2 - Y**2)
    z[np.hypot(X, Y) > 0.7 * radius] = NAN
    normal = np.stack([X, Y, z], axis=-1) / radius
    if hollow:
        return -z, np.isfinite(z), normal * (-1, -1, 1)
    return z, np.isfinite(z), normal


def degrees_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip((a * b).sum(axis=-1), -1, 1)))


@pytest.mark.parametrize("radius", [60.0, 80.0])
@pytest.mark.parametrize("hollow", [False, True])
def test_a_sphere(radius, hollow):
    z, seen, normal = sphere(radius, hollow=hollow)
    of = maps.derivatives(stored(z), mm_per_pixel=MM)
    sign = -1 if hollow else 1
    errors = degrees_between(maps.normals(of), normal)[seen]
    assert np.median(errors) <= 0.5
    curvature, gaussian = maps.mean_curvature(of)[seen], maps.gaussian_curvature(of)[seen]
    assert np.median(np.abs(curvature * radius * sign - 1)) <= 0.03
    assert np.median(np.abs(gaussian * radius**2 - 1)) <= 0.06
    assert np.median(np.abs(maps.shape_index(of)[seen] - sign)) <= 0.02
    assert np.median(np.abs(maps.curvedness(of)[seen] * radius - 1)) <= 0.03


@pytest.mark.parametrize("tilt", [0, 30])
def test_a_cylinder(tilt):
    angle = math.radians(tilt)
    across = X * math.cos(angle) + Y * math.sin(angle)
    z = np.sqrt(np.maximum(60.0**2 - across**2, 0))
    z[np.abs(across) > 40] = NAN
    of = maps.derivatives(stored(z), mm_per_pixel=MM)
    inner = np.abs(across) < 30
    assert np.median(np.abs(maps.shape_index(of)[inner] - 0.5)) <= 0.02
    assert np.median(np.abs(maps.mean_curvature(of)[inner] * 120 - 1)) <= 0.03
    assert np.median(np.abs(maps.gaussian_curvature(of)[inner])) <= 2e-5


def test_a_saddle():
    of = maps.derivatives(stored((X**2 - Y**2) / 200), mm_per_pixel=MM)
    middle = np.hypot(X, Y) < 10
    assert np.median(np.abs(maps.shape_index(of)[middle])) <= 0.02
    assert np.median(np.abs(maps.curvedness(of)[middle] * 100 - 1)) <= 0.03


@pytest.mark.parametrize(("a", "b"), [(0.0, 0.0), (0.5, -0.3), (-1.0, 0.8)])
def test_a_plane_up_to_its_rim(a, b):
    z = a * X + b * Y
    z[np.hypot(X, Y) > 50] = NAN
    of = maps.derivatives(stored(z), mm_per_pixel=MM)
    normal = np.array([-a, -b, 1]) / math.sqrt(1 + a * a + b * b)
    seen = np.isfinite(z)
    assert degrees_between(maps.normals(of), normal)[seen].max() <= 0.5
    assert np.abs(maps.mean_curvature(of)[seen]).max() < 0.002


def test_holes_stay_holes_and_do_not_pull_at_their_rims():
    z, _, normal = sphere(70.0)
    z[50:60, 40:52] = NAN
    z[::9, ::7] = NAN
    of = maps.derivatives(stored(z), mm_per_pixel=MM)
    seen = np.isfinite(z)
    for values in (of.x, of.yy, maps.normals(of)[..., 0], maps.shape_index(of), maps.curvedness(of)):
        np.testing.assert_array_equal(np.isfinite(values), seen)
    errors = degrees_between(maps.normals(of), normal)
    assert np.nanmedian(errors[45:65, 35:57]) < 1.0


def test_lone_pixels_have_values_and_nothing_is_invented():
    z = np.full((40, 40), NAN)
    z[20, 20], z[5, 5:9] = 3.0, 4.0
    of = maps.derivatives(z, mm_per_pixel=MM)
    np.testing.assert_array_equal(np.isfinite(of.x), np.isfinite(z))
    np.testing.assert_allclose(maps.normals(of)[20, 20], [0, 0, 1])


def test_central_rays_give_the_same_surface():
    """A sphere in front of a camera: every pixel knows its place by the ray, and so its true normal."""
    focal, distance, radius = 500.0, 600.0, 70.0
    principal = (64.3, 58.1)
    columns, rows = np.meshgrid(np.arange(128.0), np.arange(128.0))
    rays = np.stack([(columns - principal[0]) / focal, -(rows - principal[1]) / focal, -np.ones_like(columns)], axis=-1)
    centre = np.array([20.0, -15.0, -distance])
    b = rays @ centre
    square = (rays**2).sum(-1)
    with np.errstate(invalid="ignore"):
        t = (b - np.sqrt(b**2 - square * (centre @ centre - radius**2))) / square
    points = rays * t[..., None]
    normal = (points - centre) / radius
    seen = np.isfinite(t) & (normal[..., 2] > 0.75)
    z = np.where(seen, points[..., 2], NAN)
    of = maps.derivatives(z, mm_per_pixel=NAN, focal_px=focal, principal_px=principal)
    assert np.median(degrees_between(maps.normals(of), normal)[seen]) <= 0.5
    assert np.median(np.abs(maps.mean_curvature(of)[seen] * radius - 1)) <= 0.03
    camera = StoredCamera(
        mm_per_pixel=NAN, origin_mm=(NAN, NAN), focal_px=focal, principal_px=principal, roll_degrees=0.0,
        depth_offset_mm=0.0,
    )  # fmt: skip
    np.testing.assert_allclose(camera.points_at(columns, rows, z)[seen], points[seen], atol=1e-9)


def test_hha_is_nearness_height_and_the_angle_with_up():
    z = np.zeros((60, 60))
    z[:, 30:] = -100.0
    of = maps.derivatives(z, mm_per_pixel=2.0)
    found = maps.hha(z, of, mm_per_pixel=2.0)
    assert found[10, 10, 0] == 1.0
    assert found[10, 50, 0] == pytest.approx(600 / 700)
    assert found[59, 0, 1] == 0
    assert found[9, 0, 1] == pytest.approx(100 / 300)
    assert found[30, 5, 2] == pytest.approx(0.5), "a wall's normal is level"
