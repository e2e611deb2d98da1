"""FACS score tables."""

from __future__ import annotations

import numpy as np
import pytest
from hostile_bytes import mutations, reads_or_refuses
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_prep.errors import FormatError
from fer_prep.formats.facs_scores import read_facs_scores

TABLE = b"""scan, codes
bs000_UFAU_1_0   1:C 2:B 4:D
bs000_LFAU_12_0.bnt, 12D, 25B
"bs001_LFAU_15_0";1+4+15
bs001_LFAU_12L_0\tL12C\t6
bs002_N_N_0
"""


def test_separators_and_notations_mean_the_same():
    scores = read_facs_scores(TABLE)
    assert {scan: [str(code) for code in codes] for scan, codes in scores.items()} == {
        "bs000_UFAU_1_0": ["1C", "2B", "4D"],
        "bs000_LFAU_12_0": ["12D", "25B"],
        "bs001_LFAU_15_0": ["1", "4", "15"],
        "bs001_LFAU_12L_0": ["12/one sideC", "6"],
        "bs002_N_N_0": [],
    }
    assert scores["bs001_LFAU_12L_0"][0].unilateral


def test_an_unknown_layout_is_refused_with_its_first_line():
    with pytest.raises(FormatError, match="AU1 present"):
        read_facs_scores(b"AU1 present in 17 scans\n")


def test_an_illegal_code_names_its_line():
    with pytest.raises(FormatError, match="line 2: 'smile'"):
        read_facs_scores(b"scan codes\nbs000_N_N_0 smile\n")


def test_a_table_of_megabytes_is_refused_at_once():
    with pytest.raises(FormatError, match="found 3000000 bytes"):
        read_facs_scores(b"bs000_N_N_0 12C\n" * 187_500)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text("bs0_N1:ABCDE+, \n", max_size=200).map(str.encode))
def test_any_bytes_read_or_are_refused(data):
    reads_or_refuses(read_facs_scores, data)


def test_mutated_tables_read_or_are_refused():
    for data in mutations(TABLE, rng=np.random.default_rng(0), rounds=60):
        reads_or_refuses(read_facs_scores, data)
