"""``.lm2`` and ``.lm3``: landmarks by name."""

from __future__ import annotations

import numpy as np
import pytest
from hostile_bytes import mutations, peak_memory, reads_or_refuses
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_prep.errors import FormatError
from fer_prep.formats.bosphorus_landmarks import read_lm2, read_lm3

LABELS = ["Outer left eye corner", "Nose tip", "Chin middle"]
LM2 = """# 2D landmarks of bs000_N_N_0.png

3 Landmarks

Labels:
Outer left eye corner
Nose tip
Chin middle

2D Image coordinates:
501.071 364.827
438.5 328
1e2 -3.25
"""
LM3 = """# 3D landmarks of bs000_N_N_0.bnt
* created by: somebody
* units: mm

3 landmarks:
Outer left eye corner
52.36661 46.02338 27.57954
Nose tip
-8.25627 3.40436 78.37679
Chin middle
1 2 3
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_line_ends_do_not_stick_to_labels(line_end):
    in_picture = read_lm2(LM2.replace("\n", line_end).encode())
    on_scan = read_lm3(LM3.replace("\n", line_end).encode())
    assert list(in_picture) == list(on_scan) == LABELS
    np.testing.assert_array_equal(in_picture["Chin middle"], [100, -3.25])
    np.testing.assert_array_equal(on_scan["Nose tip"], [-8.25627, 3.40436, 78.37679])


@pytest.mark.parametrize(
    "text",
    [
        LM3.replace("* created by: somebody\n* units: mm\n\n", ""),
        LM3.replace("\n\n", "\n"),
        "\n\n" + LM3,
        "\ufeff" + LM3,
        LM3.replace("3 landmarks:", "3 Landmarks"),
        LM3.replace("Nose tip\n", "  Nose tip \t\n"),
        LM3.replace("Nose tip\n", "# set by hand\nNose tip\n"),
    ],
    ids=["no info", "no blank", "blank first", "BOM", "no colon", "blanks", "comment"],
)
def test_variants_of_lm3_mean_the_same(text):
    assert list(read_lm3(text.encode())) == LABELS


def test_points_that_were_not_seen_are_left_out():
    table = read_lm3(LM3.replace("-8.25627 3.40436 78.37679", "NaN NaN NaN").encode())
    assert list(table) == ["Outer left eye corner", "Chin middle"]


def test_no_landmarks_at_all_are_legal():
    assert read_lm3(b"# none seen\n0 landmarks:\n") == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "the end of the file"),
        (LM3.replace("3 landmarks", "4 landmarks"), "3 labels and 3 points"),
        (LM3.replace("1 2 3\n", ""), "3 labels and 2 points"),
        (LM3.replace("1 2 3", "1 2"), "'1 2'"),
        (LM3.replace("1 2 3", "1 2 x"), "'1 2 x'"),
        (LM3.replace("1 2 3", "1 2 1_0"), "'1 2 1_0'"),
        (LM3.replace("Chin middle", "Nose tip"), "twice"),
    ],
)
def test_damage_of_lm3_is_refused_with_what_was_found(text, found):
    with pytest.raises(FormatError) as caught:
        read_lm3(text.encode())
    assert found in caught.value.found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (LM2.replace("Labels:", "Names:"), "'Names:'"),
        (LM2.replace("3 Landmarks", "2 Landmarks"), "'Chin middle'"),
        (LM2.replace("3 Landmarks", "999999 Landmarks"), "the end of the file"),
        (LM2.replace("438.5 328\n", ""), "3 labels and 2 points"),
    ],
)
def test_damage_of_lm2_is_refused_with_what_was_found(text, found):
    with pytest.raises(FormatError) as caught:
        read_lm2(text.encode())
    assert found in caught.value.found


@pytest.mark.parametrize("reader", [read_lm2, read_lm3])
@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200) | st.text("3 landmrks:Lbe\n.-#*", max_size=200).map(str.encode))
def test_any_bytes_read_or_are_refused(reader, data):
    reads_or_refuses(reader, data)


@pytest.mark.parametrize(("reader", "text"), [(read_lm2, LM2), (read_lm3, LM3)])
def test_mutated_files_read_or_are_refused(reader, text):
    for data in mutations(text.encode(), rng=np.random.default_rng(0), rounds=80):
        table = reads_or_refuses(reader, data)
        if isinstance(table, dict):
            assert all(np.isfinite(point).all() for point in table.values())


@pytest.mark.parametrize(
    "data", [b"1 landmarks:\na\n" + b"9" * 250_000, b"9" * 250_000, b"\n" * (2 << 20), b"a\n" * 130_000]
)
@pytest.mark.parametrize("reader", [read_lm2, read_lm3])
def test_adversarial_files_cost_neither_time_nor_memory(reader, data):
    assert peak_memory(reader, data) < 200 << 20
