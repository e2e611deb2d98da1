"""Walking raw trees: what is passed over, and which of two equal names stays."""

from __future__ import annotations

import shutil

import pytest
from raw_trees import write_bosphorus, write_pairs

from fer_prep.sources.bosphorus import Bosphorus
from fer_prep.sources.cald3r_mend3s import cald3r

NAME = "M_010_1_anger"


@pytest.mark.parametrize("mark", ["prepared.json", ".records.jsonl"])
def test_a_prepared_folder_inside_the_tree_is_no_raw_data(tmp_path, mark):
    root = write_bosphorus(tmp_path, "bs000_N_N_0")
    prepared = root / "out" / "rgb"
    prepared.mkdir(parents=True)
    shutil.copy(root / "bs000" / "bs000_N_N_0.png", prepared)
    (prepared.parent / mark).write_text("{}")
    listing = Bosphorus().list_samples(root)
    assert len(listing.samples) == 1
    assert not listing.rejected


def test_of_equal_names_the_one_whose_folder_comes_first_stays(tmp_path):
    root = write_pairs(tmp_path, NAME)
    shutil.copytree(root / "Anger", root / "Anger (2)")
    listing = cald3r().list_samples(root)
    assert [sample.source_file for sample in listing.samples] == [f"Anger/RGB/{NAME}_Color.png"]
    assert "Anger/" in listing.rejected[0].found.split(" (kept)")[0]
