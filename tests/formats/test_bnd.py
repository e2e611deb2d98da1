"""``.bnd``: rows of vertex index and coordinates."""

from __future__ import annotations

import numpy as np
import pytest
from hostile_bytes import MEMORY_BYTES, mutations, peak_memory, reads_or_refuses
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_prep.errors import FormatError
from fer_prep.formats.bnd import Bnd, read_bnd

INDEX = np.array([0, 7, 7967])
POINTS_MM = np.array([[1.5, -2.25, 3], [-0.001, 4e-5, 12], [100, -100, 0.5]])


def bnd_text(*, separator: str = "\t\t", line_end: str = "\n", tail: str = "") -> bytes:
    rows = [f"{i}{separator}{x!r} {y!r} {z!r}" for i, (x, y, z) in zip(INDEX, POINTS_MM.tolist(), strict=True)]
    return (line_end.join(rows) + line_end + tail).encode()


@pytest.mark.parametrize("separator", ["\t\t", " ", "\t", "   "])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("tail", ["", "\n", " \n\n"], ids=["none", "empty row", "two"])
def test_separators_and_empty_rows_mean_nothing(separator, line_end, tail):
    bnd = read_bnd(bnd_text(separator=separator, line_end=line_end, tail=tail))
    assert bnd.vertex_index.tolist() == INDEX.tolist()
    assert bnd.vertex_index.dtype == np.int64
    np.testing.assert_array_equal(bnd.points_mm, POINTS_MM)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b"\n\n", "an empty file"),
        (b"1 2 3 4\n5 6 7\n", "line 2: '5 6 7'"),
        (b"1 2 3 4 5\n", "line 1"),
        (b"1 2 nan 4\n", "line 1"),
        (b"-1 2 3 4\n", "line 1"),
        (b"1.5 2 3 4\n", "line 1"),
        (b"1 2 3 1e999\n", "line 1"),
        (b"\x00\x01\x02\x03", "line 1"),
        (b"a b c d", "'a'"),
    ],
)
def test_damage_is_refused_with_what_was_found(data, found):
    with pytest.raises(FormatError) as caught:
        read_bnd(data)
    assert found in caught.value.found


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text("0123456789.-e \t\n,", max_size=200).map(str.encode))
def test_any_bytes_read_or_are_refused(data):
    reads_or_refuses(read_bnd, data)


def test_mutated_files_read_or_are_refused():
    for data in mutations(bnd_text(), rng=np.random.default_rng(0), rounds=80):
        bnd = reads_or_refuses(read_bnd, data)
        if isinstance(bnd, Bnd):
            assert np.isfinite(bnd.points_mm).all()
            assert bnd.vertex_index.min() >= 0


@pytest.mark.parametrize("data", [b"1 2 3 4\n" * 32_000, b"\n" * 260_000, b"9" * (5 << 20), b"1 2 3 " + b"9" * 260_000])
def test_adversarial_files_cost_neither_time_nor_memory(data):
    assert peak_memory(read_bnd, data) < MEMORY_BYTES
