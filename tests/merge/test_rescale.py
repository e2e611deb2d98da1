"""A sample whose raster gets another size: its coordinates go with it."""

from __future__ import annotations

import numpy as np
import pytest
from dataset_factories import make_row

from fer_prep.merge.rescale import rescale_row


@pytest.mark.parametrize("size", [13, 26, 52, 77])
def test_a_metric_point_keeps_its_place(size):
    """x, y in mm of a pixel centre, through origin and pixel size, before and after."""
    row = make_row("bu3dfe", "F000", "anger", mm_per_pixel=2.0, origin_mm=(-25.0, 25.0), left_eye=(7.3, 9.1))
    new = rescale_row(row, old_size=26, size=size)

    def metric(row):
        (x, y), pitch, origin = row["left_eye"], row["mm_per_pixel"], row["origin_mm"]
        return [origin[0] + (x - 0.5) * pitch, origin[1] - (y - 0.5) * pitch]

    np.testing.assert_allclose(metric(new), metric(row), atol=1e-5)


def test_a_perspective_row_stays_unknown():
    row = make_row("cald3r", "F000", "anger", mm_per_pixel=np.nan, origin_mm=(np.nan, np.nan))
    new = rescale_row(row, old_size=26, size=13)
    assert np.isnan(new["mm_per_pixel"])
    assert np.isnan(new["origin_mm"]).all()
