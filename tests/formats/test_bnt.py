"""``.bnt``: range grids."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hostile_bytes import mutations, peak_memory, reads_or_refuses
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_prep.errors import FormatError
from fer_prep.formats.bnt import RangeGrid, read_bnt

BACKGROUND = -1e9


def planes(rows: int = 3, columns: int = 4) -> np.ndarray:
    """(5, rows, columns) x, y, z, a, b with the bottom row first, as in a file."""
    row, column = np.mgrid[0:rows, 0:columns].astype(float)
    return np.stack([column * 10, row * 10, row + column, (column + 0.5) / columns, 1 - (row + 0.5) / rows])


def bnt_bytes(values: np.ndarray, *, name: bytes = b"bs000_N_N_0.png", count: int | None = None) -> bytes:
    _, rows, columns = values.shape
    head = struct.pack("<HHdH", rows, columns, BACKGROUND, len(name)) + name
    return head + struct.pack("<I", values.size if count is None else count) + values.astype("<f8").tobytes()


def test_the_top_row_comes_first():
    grid = read_bnt(bnt_bytes(planes()))
    assert grid.points_mm.shape == (3, 4, 3)
    assert grid.points_mm[0, :, 1].tolist() == [20.0] * 4
    assert grid.points_mm[2, 3].tolist() == [30.0, 0.0, 3.0]
    np.testing.assert_allclose(grid.image_uv[0, 0], [0.125, 1 / 6])
    assert grid.valid.all()
    assert grid.image_name == "bs000_N_N_0.png"


@pytest.mark.parametrize("plane", range(5))
@pytest.mark.parametrize("value", [BACKGROUND, np.nan, np.inf, -np.inf, 1e30])
def test_a_bad_value_in_any_plane_makes_the_point_invalid(plane, value):
    values = planes()
    values[plane, 0, 1] = value
    grid = read_bnt(bnt_bytes(values))
    expected = np.ones((3, 4), bool)
    expected[2, 1] = False
    np.testing.assert_array_equal(grid.valid, expected)
    assert np.isnan(grid.points_mm[2, 1]).all()
    assert np.isnan(grid.image_uv[2, 1]).all()
    assert np.isfinite(grid.points_mm[expected]).all()


@pytest.mark.parametrize("name", [b"", b"x" * 300, b"bs000.png\0\0"], ids=["empty", "long", "padded"])
def test_the_name_may_have_any_length(name):
    data = bnt_bytes(planes(), name=name)
    assert read_bnt(data).image_name == name.rstrip(b"\0").decode()


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (bnt_bytes(planes())[:13], "13 bytes"),
        (bnt_bytes(planes())[:20], "20 bytes"),
        (bnt_bytes(planes())[:-8], "bytes"),
        (bnt_bytes(planes()) + b"\0", "bytes"),
        (bnt_bytes(planes(), count=12), "12 values announced"),
        (bnt_bytes(planes()[:, :0]), "0 rows"),
        (bnt_bytes(np.full((5, 2, 2), BACKGROUND)), "background"),
        (struct.pack("<HHdHI", 0xFFFF, 0xFFFF, 0.0, 0, 0xFFFFFFFF), "values announced"),
        (struct.pack("<HHdHI", 2000, 1001, 0.0, 0, 5 * 2000 * 1001), "2000 × 1001"),
    ],
)
def test_damage_is_refused_with_what_was_found(data, found):
    with pytest.raises(FormatError) as caught:
        read_bnt(data)
    assert found in caught.value.found


def test_the_header_is_believed_only_within_the_file():
    """65 000 × 10 000 points would be 26 GB; the file has 18 bytes."""
    data = struct.pack("<HHdHI", 65_000, 10_000, 0.0, 0, (5 * 65_000 * 10_000) & 0xFFFFFFFF)
    assert peak_memory(read_bnt, data) < 1 << 20


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_read_or_are_refused(data):
    reads_or_refuses(read_bnt, data)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.data())
def test_any_values_read_or_are_refused(rows, columns, data):
    values = data.draw(st.lists(st.floats(), min_size=5 * rows * columns, max_size=5 * rows * columns))
    grid = reads_or_refuses(read_bnt, bnt_bytes(np.array(values).reshape(5, rows, columns)))
    if isinstance(grid, RangeGrid):
        assert np.isfinite(grid.points_mm[grid.valid]).all()
        assert np.isnan(grid.points_mm[~grid.valid]).all()


def test_mutated_files_read_or_are_refused():
    for data in mutations(bnt_bytes(planes()), rng=np.random.default_rng(0), rounds=80):
        reads_or_refuses(read_bnt, data)
