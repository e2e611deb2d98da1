"""The small types every other module stands on: labels, depth encoding, digests, table columns, errors."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_prep.depth_encoding import RANGE_MM, UNIT_MM, decode_depth, encode_depth
from fer_prep.digests import data_digest, pixel_digest, settings_digest
from fer_prep.emotions import CLASS_SETS, EIGHT, EMOTIONS
from fer_prep.errors import FormatError, Reason, SampleError
from fer_prep.samples_table import COLUMNS, row_from_text, row_to_text


def test_labels_are_the_contract():
    assert EMOTIONS == ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


def test_class_sets_keep_the_order_of_the_labels():
    for names in CLASS_SETS.values():
        assert list(names) == [emotion for emotion in EIGHT if emotion in names]
    assert CLASS_SETS["eight"] == (*EMOTIONS, "contempt")


@given(st.lists(st.floats(-2000, 2000, width=32), min_size=1, max_size=30), st.randoms())
def test_depth_comes_back_within_half_a_unit(heights, random):
    z_mm = np.array([heights], np.float32)
    valid = np.array([[random.random() < 0.8 for _ in heights]])
    encoded, offset = encode_depth(z_mm, valid)
    decoded, decoded_valid = decode_depth(encoded, offset)
    in_range = valid & (z_mm > (z_mm[valid].max() if valid.any() else 0) - RANGE_MM + UNIT_MM)
    assert (decoded_valid <= valid).all()
    assert decoded_valid[in_range].all()
    # float32 keeps 1.2e-4 mm at 2 m; the rest is the rounding to half a unit
    assert np.all(np.abs(decoded - z_mm)[decoded_valid] <= UNIT_MM / 2 + 2.5e-4)


def test_zero_means_no_data_and_only_that():
    z_mm = np.array([[np.nan, 0.0, -700.0, -1.0]], np.float32)
    encoded, offset = encode_depth(z_mm, np.array([[True, True, True, False]]))
    assert encoded.tolist() == [[0, 1, 0, 0]]  # NaN, nearest, beyond the range, masked
    assert offset == 0.0


def test_larger_value_is_farther():
    encoded, _ = encode_depth(np.array([[10.0, 5.0]], np.float32), np.ones((1, 2), bool))
    assert encoded[0, 1] > encoded[0, 0] > 0


def test_nothing_valid_has_no_offset():
    encoded, offset = encode_depth(np.zeros((2, 2), np.float32), np.zeros((2, 2), bool))
    assert not encoded.any()
    assert np.isnan(offset)


def test_pixel_digest_sees_every_pixel_and_the_shape():
    rgb, depth = np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.uint16)
    changed = depth.copy()
    changed[1, 2] = 1
    digests = {
        pixel_digest(rgb, depth),
        pixel_digest(rgb, changed),
        pixel_digest(rgb.reshape(3, 2, 3), depth.reshape(3, 2)),
        pixel_digest(rgb, None),
        pixel_digest(None, depth),
    }
    assert len(digests) == 5


def test_digests_do_not_depend_on_order():
    assert settings_digest({"a": 1, "b": 2}) == settings_digest({"b": 2, "a": 1})
    assert data_digest(["x", "y"], [1, 2]) == data_digest(["y", "x"], [2, 1])
    assert data_digest(["x", "y"], [1, 2]) != data_digest(["x", "y"], [2, 1])


def test_a_row_survives_the_csv():
    rng = np.random.default_rng(0)
    row = {
        column.name: "text, with comma"
        if column.kind == "str"
        else rng.random(column.width).astype(column.kind)
        if column.width > 1
        else np.dtype(column.kind).type(rng.integers(0, 200))
        for column in COLUMNS
    }
    row["roll_degrees"] = np.float32("nan")
    cells = dict(zip((column.name for column in COLUMNS), row_to_text(row), strict=True))
    again = row_from_text(cells)
    for column in COLUMNS:
        np.testing.assert_array_equal(again[column.name], row[column.name])


def test_a_cell_of_the_wrong_shape_is_refused():
    left_eye = next(column for column in COLUMNS if column.name == "left_eye")
    with pytest.raises(ValueError, match="left_eye: expected 2 number"):
        left_eye.from_text("1.0")


def test_errors_survive_the_way_back_from_a_worker():
    error = SampleError(
        stage="read", reason=Reason.UNREADABLE, expected="5 planes", found="3", path="a/b.bnt", hint="get it again"
    )
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.stage) == (str(error), "read")
    error = FormatError(expected="x", found="y", path="p")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.expected) == (str(error), "x")
