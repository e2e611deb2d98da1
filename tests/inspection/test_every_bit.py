"""Whatever single bit of a dataset is flipped: what it says is the same, or ``check --deep`` fails."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from dataset_factories import make_landmarks, make_rows, write_dataset, write_prepared

from fer_prep.dataset.reader import DatasetFile
from fer_prep.emotions import EMOTIONS
from fer_prep.errors import FerError
from fer_prep.inspection.check_path import check_path
from fer_prep.merge.merge_folders import merge

ROWS = [{**row, "action_unit": "12", "ethnicity": "WH", "clip": row["id"]} for row in make_rows({"lab": 2})]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """One file with every kind of table."""
    soft = np.eye(7, dtype=np.float32)[[row["label"] for row in ROWS]]
    landmarks = {"bu3dfe-83": make_landmarks(len(ROWS), vertices=True), "mesh": make_landmarks(len(ROWS), metric=False)}
    return write_dataset(
        tmp_path_factory.mktemp("bits") / "whole.h5", ROWS, size=8, landmarks=landmarks, soft_labels=soft
    )


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """An index with shards; all files of it."""
    folder = tmp_path_factory.mktemp("shards")
    merge([write_prepared(folder / "in", ROWS, size=16)], out=folder / "d" / "whole.h5", size=16, shard_size=8)
    return folder / "d" / "whole.h5"


def content(path):
    """Everything that a file says, however it is laid out."""
    said = {}

    def add(name, item):
        said[f"{name}@"] = {key: np.asarray(value).tolist() for key, value in item.attrs.items()}
        if isinstance(item, h5py.Dataset) and not item.is_virtual:
            said[name] = (item.shape, item[()].tobytes() if item.dtype.kind in "fiu" else item.asstr()[()].tolist())

    with h5py.File(path) as root:
        add("", root)
        root.visititems(add)
    return said


def is_found(dataset):
    try:
        return check_path(dataset, deep=True).failed
    except FerError:
        return True


def places_of(path):
    """One byte of every array in the file, and many anywhere."""
    offsets = []

    def add(name, item):
        if isinstance(item, h5py.Dataset) and (start := item.id.get_offset()):
            offsets.append(start + len(name) % max(item.size, 1) * item.dtype.itemsize)

    with h5py.File(path) as root:
        root.visititems(add)
    size = path.stat().st_size
    rng = np.random.default_rng(18)
    # the beginning, where groups and attributes are, more thickly than the pixels
    return [*offsets, *rng.integers(0, min(size, 40_000), 120).tolist(), *rng.integers(0, size, 40).tolist()]


@pytest.mark.parametrize("part", range(4))
def test_a_flipped_bit_anywhere_in_a_file_is_found(dataset, tmp_path, part):
    whole, before = dataset.read_bytes(), content(dataset)
    copy, seen = tmp_path / "whole.h5", 0
    for number, place in enumerate(places_of(dataset)[part::4]):
        changed = bytearray(whole)
        changed[place] ^= 1 << number % 8
        copy.write_bytes(changed)
        if is_found(copy):
            seen += 1
            continue
        assert content(copy) == before, f"byte {place} of {len(whole)}, bit {number % 8}"
    assert seen > 10


def test_a_flipped_bit_anywhere_in_an_index_or_a_shard_is_found(shards):
    for path in sorted(shards.parent.glob("*.h5")):
        whole, before = path.read_bytes(), content(path)
        for number, place in enumerate(places_of(path)[::4]):
            changed = bytearray(whole)
            changed[place] ^= 1 << number % 8
            path.write_bytes(changed)
            assert is_found(shards) or content(path) == before, f"{path.name}, byte {place}, bit {number % 8}"
        path.write_bytes(whole)
    assert not check_path(shards, deep=True).failed


@pytest.mark.parametrize("column", ["gender", "action_unit", "subject", "depth_offset_mm", "left_eye", "clip"])
def test_it_is_seen_without_reading_pixels(dataset, tmp_path, column):
    copy = tmp_path / "copy.h5"
    copy.write_bytes(dataset.read_bytes())
    with h5py.File(copy, "r+") as root:
        place = root[f"samples/{column}"]
        values = place[()]
        values[3] = values[4] if column in ("subject", "clip") else (b"X" if values.dtype.kind == "S" else 1)
        values[3] = b"lab:X" if column == "subject" else values[3]
        place[...] = values
    failed = {finding.what for finding in check_path(copy).findings if finding.severity == "error"}
    assert "digest" in failed
    with DatasetFile.open(copy) as data:
        assert data.classes == EMOTIONS
