"""What every source owes its users, whichever dataset it reads: one test over all of them."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from raw_trees import write_bosphorus, write_bu3dfe, write_pairs

import fer_prep.sources as sources
from fer_prep.dataset_manifest import load_manifest
from fer_prep.emotions import EMOTIONS, LABEL_SOURCES
from fer_prep.errors import UsageError
from fer_prep.sources import SOURCES, make_source, source_names

TREES: dict[str, Callable[[Path], Path]] = {
    "bu3dfe": lambda root: write_bu3dfe(root, "F0001_NE00WH", "F0001_AN01WH", "M0001_HA04AE", "F0056_SU02IN"),
    "bosphorus": lambda root: write_bosphorus(root, "bs000_N_N_0", "bs000_N_N_1", "bs000_E_HAPPY_0", "bs104_LFAU_12_0"),
    "cald3r": lambda root: write_pairs(root, "M_010_1_anger", "F_010_1_anger", "F_003_00_neutral"),
    "mend3s": lambda root: write_pairs(root, "M_01_1_anger", "F_07_2_sadness"),
}
SUBJECT = {
    "bu3dfe": r"bu3dfe:[FM]\d{4}",
    "bosphorus": r"bosphorus:bs\d{3}",
    "cald3r": r"cald3r:[FM]\d{3}",
    "mend3s": r"mend3s:[FM]\d{2}",
}

every_source = pytest.mark.parametrize("dataset", sorted(SOURCES))


def test_every_source_is_tested_here():
    assert set(TREES) == set(SOURCES) == set(SUBJECT)


@every_source
def test_a_source_is_a_frozen_value_that_travels(dataset):
    source = make_source(dataset)
    assert source.dataset == dataset
    assert dataclasses.is_dataclass(source)
    assert pickle.loads(pickle.dumps(source)) == source == make_source(dataset)
    assert json.loads(json.dumps(source.settings())) == source.settings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        source.dataset = "other"  # type: ignore[misc]


@every_source
def test_the_listing_says_what_each_sample_is(dataset, tmp_path):
    listing = make_source(dataset).list_samples(TREES[dataset](tmp_path))
    assert listing.samples
    assert not listing.rejected
    for sample in listing.samples:
        assert sample.id == f"{dataset}/{sample.name}"
        assert re.fullmatch(SUBJECT[dataset], sample.subject)
        assert sample.emotion in EMOTIONS
        assert sample.label_source in LABEL_SOURCES
        assert sample.gender in ("", "F", "M")
        assert 0 <= sample.intensity <= 4
        assert sample.name in sample.source_file
        assert (tmp_path / sample.source_file).is_file()
        assert "\\" not in sample.source_file
        assert all(path.is_file() for path in sample.files.values())
        assert pickle.loads(pickle.dumps(sample)) == sample


@every_source
def test_the_listing_is_in_order_and_the_same_every_time(dataset, tmp_path):
    root = TREES[dataset](tmp_path)
    first, second = (make_source(dataset).list_samples(root) for _ in range(2))
    ids = [sample.id for sample in first.samples]
    assert ids == sorted(set(ids))
    assert first == second


@every_source
def test_the_tree_may_lie_deeper_and_hold_other_things(dataset, tmp_path):
    TREES[dataset](tmp_path / "a" / "Subjects")
    (tmp_path / "read me.txt").write_text("hello")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "._F0001_AN01WH_F3D.wrl").write_bytes(b"")
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"x")
    deep, shallow = (make_source(dataset).list_samples(root) for root in (tmp_path, tmp_path / "a" / "Subjects"))
    assert [sample.id for sample in deep.samples] == [sample.id for sample in shallow.samples]
    assert deep.samples[0].source_file == f"a/Subjects/{shallow.samples[0].source_file}"
    assert not deep.rejected


@every_source
@pytest.mark.parametrize("whole", [True, False], ids=["all its files", "one file"])
def test_a_recording_twice_in_one_folder_in_other_letters_is_rejected_once(dataset, whole, tmp_path):
    root = TREES[dataset](tmp_path)
    before = make_source(dataset).list_samples(root)
    sample = before.samples[-1]
    files = set(sample.files.values()) if whole else {root / sample.source_file}
    for path in files:
        copy = path.with_name(path.name.swapcase())
        if copy.exists():
            pytest.skip("this file system does not tell the case of letters apart")
        copy.write_bytes(path.read_bytes())
    listing = make_source(dataset).list_samples(root)
    (row,) = listing.rejected
    assert [kept.id for kept in listing.samples] == [kept.id for kept in before.samples]
    assert (row.sample_id, row.expected) == (sample.id, "one recording of every name")
    (kept,) = (kept.source_file for kept in listing.samples if kept.id == sample.id)
    assert row.source_file.lower() == kept.lower() != row.source_file != kept
    assert row.found == f"{kept} (kept) and {row.source_file}"


@every_source
def test_a_wrong_root_is_told_in_two_lines_what_was_expected(dataset, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "holiday.txt").write_text("")
    (tmp_path / "file").write_text("")
    for name in ("absent", "empty", "foreign", "file"):
        with pytest.raises(UsageError) as caught:
            make_source(dataset).list_samples(tmp_path / name)
        lines = str(caught.value).splitlines()
        assert len(lines) == 2
        assert name in lines[0]
        assert "expected here: " in lines[1]


@every_source
def test_archives_that_are_not_unpacked_are_named(dataset, tmp_path):
    for name in ("F0001.rar", "F0002.RAR"):
        (tmp_path / name).write_bytes(b"Rar!")
    with pytest.raises(UsageError) as caught:
        make_source(dataset).list_samples(tmp_path)
    first, second = str(caught.value).splitlines()
    assert "2 .rar archive(s) not yet unpacked (F0001.rar …)" in first
    assert "unrar x" in second
    TREES[dataset](tmp_path)
    assert any("F0001.rar" in warning for warning in make_source(dataset).list_samples(tmp_path).warnings)


@every_source
def test_every_listed_sample_loads_to_a_scene(dataset, tmp_path):
    source = make_source(dataset)
    for sample in source.list_samples(TREES[dataset](tmp_path)).samples[:2]:
        scene = source.load(sample)
        width, height = scene.raster_size
        assert scene.picture().shape == (height, width, 3)
        assert scene.registration_residual_px == 0.0
        matrix = np.array([[64 / width, 0, 0], [0, 64 / height, 0]])
        frame = scene.view(matrix, size=64)
        assert frame.rgb.shape == (64, 64, 3)
        assert 0.2 < frame.valid.mean() <= 1
        assert np.isfinite(frame.z_mm[frame.valid]).all()


@every_source
def test_a_file_that_vanished_or_broke_is_named(dataset, tmp_path):
    source = make_source(dataset)
    sample = source.list_samples(TREES[dataset](tmp_path)).samples[0]
    main = tmp_path / sample.source_file
    main.write_bytes(main.read_bytes()[:40])
    with pytest.raises(sources_errors()) as caught:
        source.load(sample)
    assert caught.value.path == main
    main.unlink()
    with pytest.raises(OSError, match="No such file"):
        source.load(sample)


def sources_errors():
    from fer_prep.errors import FormatError, SampleError

    return FormatError, SampleError


@every_source
def test_every_source_has_its_manifest(dataset):
    manifest = load_manifest(dataset)
    assert manifest.dataset == dataset
    assert manifest.classes == EMOTIONS
    assert manifest.licence["apply"]
    assert manifest.citation["text"]


def test_unknown_names_and_options_are_usage_errors():
    with pytest.raises(UsageError, match="known: bosphorus, bu3dfe, cald3r, mend3s"):
        make_source("ck+")
    with pytest.raises(UsageError, match="source bu3dfe"):
        make_source("bu3dfe", colour="red")
    with pytest.raises(UsageError, match="texture or photo"):
        make_source("bu3dfe", rgb="red")


def test_other_packages_can_add_sources(monkeypatch):
    point = EntryPoint("mine", "fer_prep.sources.cald3r_mend3s:mend3s", sources.ENTRY_POINT_GROUP)
    impostor = EntryPoint("bu3dfe", "fer_prep.sources.cald3r_mend3s:mend3s", sources.ENTRY_POINT_GROUP)
    monkeypatch.setattr(sources, "entry_points", lambda group: [point, impostor])
    assert source_names() == ("bosphorus", "bu3dfe", "cald3r", "mend3s", "mine")
    assert make_source("mine", depth_unit_mm=1.0).settings()["depth_unit_mm"] == 1.0
    assert make_source("bu3dfe").dataset == "bu3dfe"
