from __future__ import annotations

import numpy as np

from fer_prep.geometry.under_points import points_under, values_under
from fer_prep.sample import Frame


def raster() -> np.ndarray:
    values = np.arange(12.0).reshape(3, 4)
    values[1, 2] = np.nan
    return values


def test_a_point_has_the_value_of_the_pixel_that_it_lies_in():
    points = np.array([[0.0, 0.0], [3.99, 2.99], [2.5, 1.5], [4.0, 1.0], [-0.1, 1.0], [np.nan, 1.0]])
    np.testing.assert_array_equal(values_under(raster(), points), [0, 11, np.nan, np.nan, np.nan, np.nan])


def test_of_a_raster_of_points_the_point():
    both = np.stack([raster(), 10 * raster()], axis=-1)
    np.testing.assert_array_equal(values_under(both, np.array([[1.5, 0.5]])), [[1, 10]])


def test_around_it_the_median_of_what_is_known():
    points = np.array([[2.5, 1.5], [0.5, 0.5]])
    np.testing.assert_array_equal(values_under(raster(), points, around=1), [6, 2.5])
    assert np.isnan(values_under(np.full((3, 3), np.nan), np.array([[1.5, 1.5]]), around=1)).all()


def test_places_of_parallel_and_central_rays():
    z = np.full((4, 4), -500.0, np.float32)
    z[0, 0] = np.nan
    frame = {"rgb": np.zeros((4, 4, 3), np.uint8), "z_mm": z, "valid": np.isfinite(z)}
    points = np.array([[2.5, 1.5], [0.5, 0.5]])
    parallel = points_under(Frame(**frame, mm_per_pixel=0.5, origin_mm=(10.0, 20.0)), points)
    np.testing.assert_allclose(parallel, [[11, 19.5, -500], [np.nan] * 3])
    central = points_under(Frame(**frame, focal_px=100.0, principal_px=(0.5, 0.5)), points)
    np.testing.assert_allclose(central[0], [10, -5, -500])
