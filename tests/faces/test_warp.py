import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_prep.faces.warp import inverse_matrix, transform_points, warp_depth, warp_mask, warp_rgb

IDENTITY = np.eye(2, 3)


def similarity(*, scale: float, degrees: float, about: tuple[float, float], to: tuple[float, float]) -> np.ndarray:
    cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([linear, np.array(to) - linear @ np.array(about)])


def blob(centre: tuple[float, float], *, size: int, sigma: float) -> np.ndarray:
    """A smooth spot whose centroid is ``centre`` in continuous pixels."""
    k = np.arange(size) + 0.5
    return np.exp(-((k[None, :] - centre[0]) ** 2 + (k[:, None] - centre[1]) ** 2) / (2 * sigma**2))


def centroid(weights: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(weights.shape)
    return np.array([(weights * (columns + 0.5)).sum(), (weights * (rows + 0.5)).sum()]) / weights.sum()


def test_identity_leaves_every_pixel_as_it_is():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    z_mm = rng.normal(-700, 200, (40, 40)).astype(np.float32)
    valid = rng.random((40, 40)) > 0.3
    warped_z, warped_valid = warp_depth(z_mm, valid, IDENTITY, size=40)
    assert (warp_rgb(rgb, IDENTITY, size=40) == rgb).all()
    assert (warped_valid == valid).all()
    assert (warped_z[valid] == z_mm[valid]).all()


@pytest.mark.parametrize("scale", [2.6, 1.0, 0.45, 0.2])
def test_colour_depth_and_points_go_to_the_same_place(scale):
    matrix = similarity(scale=scale, degrees=23, about=(83.0, 71.0), to=(31.3, 34.8))
    spot = blob((83.0, 71.0), size=160, sigma=3 / min(scale, 1))
    grey = warp_rgb(np.repeat((spot * 255).astype(np.uint8)[..., None], 3, axis=2), matrix, size=64)[..., 0] / 255
    z_mm, valid = warp_depth(5 * spot, np.ones((160, 160), bool), matrix, size=64)
    target = transform_points(np.array([83.0, 71.0]), matrix)
    if scale < 1:  # shrinking averages light, not sRGB values
        grey = np.where(grey <= 0.04045, grey / 12.92, ((grey + 0.055) / 1.055) ** 2.4)
    assert centroid(grey) == pytest.approx(target, abs=0.06)
    assert centroid(np.where(valid, z_mm, 0)) == pytest.approx(target, abs=0.06)


def test_depth_is_exact_on_a_tilted_plane():
    k = np.arange(50) + 0.5
    plane = -600 + 1.3 * k[None, :] - 0.7 * k[:, None]
    matrix = similarity(scale=1.7, degrees=-31, about=(25, 25), to=(30, 30))
    z_mm, valid = warp_depth(plane, np.ones((50, 50), bool), matrix, size=60)
    rows, columns = np.indices((60, 60))
    source = transform_points(np.stack([columns, rows], axis=-1) + 0.5, inverse_matrix(matrix))
    inner = ((source > 0.5) & (source < 49.5)).all(axis=-1)
    expected = -600 + 1.3 * source[..., 0] - 0.7 * source[..., 1]
    assert valid[inner].all()
    assert np.abs(z_mm - expected)[inner].max() < 1e-3


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.3, 4), degrees=st.floats(-180, 180))
def test_holes_keep_their_shape_and_nothing_is_invented(seed, scale, degrees):
    """Every output height lies between heights of one surface; the mask is the source mask seen through the raster."""
    rng = np.random.default_rng(seed)
    valid = rng.random((24, 24)) > 0.25
    near = rng.random((24, 24)) > 0.5
    z_mm = np.where(near, -500.0, -800.0) + rng.uniform(0, 1, (24, 24))
    matrix = similarity(scale=scale, degrees=degrees, about=(12, 12), to=(20, 20))
    warped, hit = warp_depth(z_mm, valid, matrix, size=40)
    assert (hit == warp_mask(valid, matrix, size=40)).all()
    assert np.isnan(warped[~hit]).all()
    heights = warped[hit]
    assert (((heights >= -500) & (heights <= -499)) | ((heights >= -800) & (heights <= -799))).all()


def test_rays_beside_the_raster_see_nothing():
    matrix = similarity(scale=1, degrees=0, about=(0, 0), to=(10, 10))
    z_mm, valid = warp_depth(np.full((5, 7), -1.0), np.ones((5, 7), bool), matrix, size=30)
    rgb = warp_rgb(np.full((5, 7, 3), 255, np.uint8), matrix, size=30)
    expected = np.zeros((30, 30), bool)
    expected[10:15, 10:17] = True
    assert (valid == expected).all()
    assert (np.isfinite(z_mm) == expected).all()
    assert (rgb[~expected] == 0).all()


def test_shrinking_averages_light_not_srgb_values():
    checkerboard = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    rgb = np.repeat(checkerboard[..., None], 3, axis=2)
    shrunk = warp_rgb(rgb, similarity(scale=0.25, degrees=0, about=(0, 0), to=(0, 0)), size=16)
    assert (np.abs(shrunk[1:-1, 1:-1].astype(int) - 188) <= 1).all()  # half the light of white is sRGB 188
