import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fer_prep.depth_encoding import UNIT_MM
from fer_prep.geometry.warp import inverse_matrix, opencv_matrix, transform_points, warp_depth, warp_rgb
from fer_prep.resample import resize_depth, resize_rgb

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
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.7, 4), degrees=st.floats(-180, 180))
@example(seed=0, scale=0.9999, degrees=0.0)  # rays a thousandth of a pixel before a border
def test_holes_keep_their_shape_and_nothing_is_invented(seed, scale, degrees):
    """Every output height lies between heights of one surface; the mask is the source mask seen through the raster."""
    rng = np.random.default_rng(seed)
    valid = rng.random((24, 24)) > 0.25
    near = rng.random((24, 24)) > 0.5
    z_mm = np.where(near, -500.0, -800.0) + rng.uniform(0, 1, (24, 24))
    matrix = similarity(scale=scale, degrees=degrees, about=(12, 12), to=(20, 20))
    warped, hit = warp_depth(z_mm, valid, matrix, size=40)
    rows, columns = np.indices((40, 40))
    rays = transform_points(np.stack([columns, rows], axis=-1) + 0.5, inverse_matrix(matrix))
    x, y = np.moveaxis(np.floor(rays).astype(int) + 1, -1, 0)
    assert (hit == np.pad(valid, 1)[y.clip(0, 25), x.clip(0, 25)])[~on_a_border(rays)].all()
    assert np.isnan(warped[~hit]).all()
    heights = warped[hit]
    assert (((heights >= -500) & (heights <= -499)) | ((heights >= -800) & (heights <= -799))).all()


def on_a_border(rays: np.ndarray) -> np.ndarray:
    return (np.abs(rays - np.rint(rays)) < 1e-9).any(axis=-1)


def test_rays_beside_the_raster_see_nothing():
    matrix = similarity(scale=1, degrees=0, about=(0, 0), to=(10, 10))
    z_mm, valid = warp_depth(np.full((5, 7), -1.0), np.ones((5, 7), bool), matrix, size=30)
    rgb = warp_rgb(np.full((5, 7, 3), 255, np.uint8), matrix, size=30)
    expected = np.zeros((30, 30), bool)
    expected[10:15, 10:17] = True
    assert (valid == expected).all()
    assert (np.isfinite(z_mm) == expected).all()
    assert (rgb[~expected] == 0).all()


def exact_cubic(rgb: np.ndarray, matrix: np.ndarray, *, size: int) -> np.ndarray:
    """Keys' cubic convolution with OpenCV's a = -0.75, in float64 and place by place; only inside the picture."""

    def kernel(t: np.ndarray) -> np.ndarray:
        t = np.abs(t)
        inner = 1.25 * t**3 - 2.25 * t**2 + 1
        outer = -0.75 * t**3 + 3.75 * t**2 - 6 * t + 3
        return np.where(t < 1, inner, np.where(t < 2, outer, 0))

    rows, columns = np.indices((size, size))
    x, y = np.moveaxis(transform_points(np.stack([columns, rows], axis=-1) + 0.5, inverse_matrix(matrix)) - 0.5, -1, 0)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    total = np.zeros((size, size, 3))
    for down in range(-1, 3):
        for right in range(-1, 3):
            weight = kernel(x - left - right) * kernel(y - top - down)
            total += weight[..., None] * rgb[top + down, left + right]
    return total.clip(0, 255)


@pytest.mark.parametrize(("scale", "degrees"), [(1.02, 0), (1.3, 7), (1.6, -40), (2.5, 90)])
def test_colour_is_interpolated_by_cubic(scale, degrees):
    """Near the exact cubic where detail is fine: linear interpolation is four times further from it."""
    noise = np.random.default_rng(3).normal(size=(120, 120, 3))
    rgb = (128 + 200 * cv2.GaussianBlur(noise, (0, 0), 1.5)).clip(0, 255).astype(np.uint8)
    matrix = similarity(scale=scale, degrees=degrees, about=(60.0, 60.0), to=(40.0, 40.0))
    exact = exact_cubic(rgb, matrix, size=80)
    linear = cv2.warpAffine(rgb, opencv_matrix(matrix), (80, 80), flags=cv2.INTER_LINEAR)

    def rms(picture: np.ndarray) -> float:
        return float(np.sqrt(np.mean((picture - exact) ** 2)))

    assert rms(warp_rgb(rgb, matrix, size=80)) < 0.65
    assert rms(linear) > 2.4


def test_a_window_half_a_pixel_off_sees_every_pixel_once():
    matrix = np.array([[1, 0, 0.5], [0, 1, -0.5]])
    raster = np.arange(64, dtype=np.float32).reshape(8, 8) * 100  # steps too steep to be interpolated
    z_mm, valid = warp_depth(raster, np.ones((8, 8), bool), matrix, size=8)
    assert valid[:7].all()
    assert (z_mm[:7, 1:] == raster[1:, 1:]).all()


def test_a_window_beside_the_picture_is_empty():
    matrix = np.array([[1, 0, 100.0], [0, 1, 0]])
    z_mm, valid = warp_depth(np.zeros((9, 9)), np.ones((9, 9), bool), matrix, size=20)
    assert np.isnan(z_mm).all()
    assert not valid.any()
    assert not warp_rgb(np.full((9, 9, 3), 255, np.uint8), matrix, size=20).any()


def test_shrinking_by_a_whole_number_is_resizing():
    rng = np.random.default_rng(5)
    rgb = rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    depth = rng.normal(5000, 40, (60, 60)).astype(np.uint16)
    depth[20:31, 12:40] = 0
    third = np.diag([1 / 3, 1 / 3, 1])[:2]
    assert (warp_rgb(rgb, third, size=20) == resize_rgb(rgb, size=20)).all()
    z_mm, valid = warp_depth(depth * -UNIT_MM, depth > 0, third, size=20)
    resized = resize_depth(depth, size=20)
    assert (valid == (resized > 0)).all()
    assert np.abs(z_mm / -UNIT_MM - resized)[valid].max() < 0.6  # one of them is rounded
