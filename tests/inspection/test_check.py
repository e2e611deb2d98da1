"""Checks: what is right passes, every kind of damage is found and named."""

from __future__ import annotations

import cv2
import h5py
import numpy as np
import pytest
from dataset_factories import make_pixels, make_row, make_rows, write_global, write_prepared
from raw_trees import write_bu3dfe
from typer.testing import CliRunner

from fer_prep.cli.app import app
from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.writer import DatasetWriter, measure
from fer_prep.emotions import EMOTIONS
from fer_prep.errors import UsageError
from fer_prep.folds.splits import make_folds, write_folds
from fer_prep.inspection.check_path import check_path
from fer_prep.inspection.near_duplicates import fingerprint, near_duplicates

ROWS = make_rows({"bu3dfe": 6, "mend3s": 5})


@pytest.fixture
def dataset(tmp_path):
    return write_global(tmp_path / "global.h5", ROWS)


def findings(path, severity, **options):
    return {f.what: f for f in check_path(path, **options).findings if f.severity == severity}


def test_a_good_dataset_passes_deeply(dataset):
    report = check_path(dataset, deep=True)
    assert not report.failed
    assert {f.severity for f in report.findings} <= {"ok", "note"}


@pytest.mark.parametrize("name", ["rgb", "depth"])
def test_a_flipped_bit_is_found_and_the_sample_named(dataset, name):
    with h5py.File(dataset, "r+") as root:
        root[name][17, 9, 9] = root[name][17, 9, 9] ^ 1
    assert "pixels" not in findings(dataset, "error")
    assert findings(dataset, "error", deep=True)["pixels"].items == (ROWS[17]["id"],)


def test_a_changed_label_does_not_fit_the_digest(dataset):
    with h5py.File(dataset, "r+") as root:
        root["samples/label"][3] = (root["samples/label"][3] + 1) % 7
    assert "the digest does not fit" in findings(dataset, "error")["digest"].text


def test_wrong_sums_are_found(dataset):
    with h5py.File(dataset, "r+") as root:
        root["statistics/depth_sum"][5] += np.uint64(1)
    assert findings(dataset, "error", deep=True)["statistics"].items == (ROWS[5]["id"],)


def test_a_label_beyond_the_classes(dataset):
    with h5py.File(dataset, "r+") as root:
        root["samples/label"][3] = 7
    assert findings(dataset, "error")["labels"].items == (ROWS[3]["id"],)


def test_a_subject_without_its_dataset(tmp_path):
    rows = [{**row, "subject": "F000"} if row["id"] == ROWS[0]["id"] else row for row in ROWS]
    path = write_global(tmp_path / "g.h5", rows)
    assert findings(path, "error")["names"].items == (ROWS[0]["id"],)


def test_a_truncated_file_is_a_finding(dataset):
    dataset.write_bytes(dataset.read_bytes()[:40_000])
    assert "truncated" in findings(dataset, "error")["schema"].text


def test_the_same_pixels_under_two_subjects(tmp_path):
    writer = DatasetWriter(tmp_path / "g.h5", n=len(ROWS), size=32, classes=EMOTIONS)
    for index, row in enumerate(ROWS):
        writer.append(measure(row, *make_pixels(0 if index == 50 else index)))
    writer.finish(settings={})
    assert findings(tmp_path / "g.h5", "error")["duplicates"].items == (f"{ROWS[0]['id']} = {ROWS[50]['id']}",)


def test_a_class_from_one_corpus_is_said_with_numbers(tmp_path):
    rows = [row for row in ROWS if row["label"] != 4 or row["dataset"] == "bu3dfe"]
    path = write_global(tmp_path / "g.h5", rows)
    finding = findings(path, "warning")["confounding"]
    assert finding.items == ("neutral: 6 of 6 (100%) are from bu3dfe, which has 58% of all samples",)


def test_a_prepared_folder_is_handed_on(tmp_path):
    folder = write_prepared(tmp_path / "p", ROWS[:4])
    report = check_path(folder, deep=True)
    assert (report.kind, report.failed) == ("prepared folder", False)


def test_a_folder_of_prepared_folders_is_no_raw_tree(tmp_path):
    for name in ("bosphorus", "mend3s"):
        write_prepared(tmp_path / "prepared" / name, ROWS[:4])
    with pytest.raises(UsageError, match="a folder of 2: bosphorus, mend3s"):
        check_path(tmp_path / "prepared")


def test_a_raw_tree_is_handed_on(tmp_path):
    assert check_path(write_bu3dfe(tmp_path, "F0001_NE00WH")).kind == "raw tree"


@pytest.mark.parametrize("name", ["absent.h5", "notes.txt"])
def test_what_cannot_be_checked_is_said(tmp_path, name):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UsageError):
        check_path(tmp_path / name)


class TestManifests:
    def test_a_good_one_passes(self, dataset, tmp_path):
        with DatasetFile.open(dataset) as data:
            write_folds(make_folds(data), tmp_path / "global.folds.json", data=data)
        assert not check_path(tmp_path / "global.folds.json", deep=True).failed

    def test_a_broken_one_is_called_so_even_without_its_data(self, tmp_path):
        (tmp_path / "broken.json").write_text("{")
        report = check_path(tmp_path / "broken.json")
        assert report.failed
        assert "not valid JSON" in report.findings[0].text

    def test_one_of_other_data_fails(self, dataset, tmp_path):
        with DatasetFile.open(dataset) as data:
            manifest = make_folds(data)
        other = write_global(tmp_path / "other.h5", ROWS[:-1])
        with DatasetFile.open(dataset) as data:
            write_folds(manifest, tmp_path / "f.json", data=data)
        assert "other data" in findings(tmp_path / "f.json", "error", data=other)["manifest"].text

    def test_leaking_subjects_are_a_warning_with_numbers(self, dataset, tmp_path):
        with DatasetFile.open(dataset) as data:
            # whichever seed has all seven classes in every fold of this small table
            manifest = next(filter(None, (self.thesis_folds(data, seed) for seed in range(50))))
            write_folds(manifest, tmp_path / "f.json", data=data)
        finding = findings(tmp_path / "f.json", "warning", data=dataset)["subjects"]
        assert finding.items[0].startswith("fold 0: ")

    def thesis_folds(self, data, seed):
        from fer_prep.errors import FoldsError

        try:
            return make_folds(data, protocol="thesis-5fold", seed=seed)
        except FoldsError:
            return None

    def test_nearly_equal_pictures_across_folds(self, tmp_path):
        face = np.repeat(cv2.GaussianBlur(make_pixels(3)[0][..., :1], (0, 0), 3)[..., None], 3, axis=2)
        writer = DatasetWriter(tmp_path / "global.h5", n=len(ROWS), size=32, classes=EMOTIONS)
        for index, row in enumerate(ROWS):
            rgb, depth = make_pixels(index)
            writer.append(measure(row, face + index % 2 if index in (4, 30, 61) else rgb, depth))
        writer.finish(settings={})
        with DatasetFile.open(tmp_path / "global.h5") as data:
            write_folds(make_folds(data), tmp_path / "global.folds.json", data=data)
        crossing = findings(tmp_path / "global.folds.json", "warning", deep=True)["near-duplicates"]
        named = {name for item in crossing.items for name in item.split(": ")[1].split(" ~ ")}
        assert named <= {ROWS[index]["id"] for index in (4, 30, 61)}
        assert len(named) >= 2


def test_near_duplicates_survive_reencoding_and_light_but_not_another_picture():
    rng = np.random.default_rng(0)
    faces = [cv2.GaussianBlur(rng.integers(0, 256, (120, 120, 3), dtype=np.uint8), (0, 0), 8) for _ in range(30)]
    faces = [cv2.normalize(face, None, 0, 255, cv2.NORM_MINMAX) for face in faces]
    _, jpeg = cv2.imencode(".jpg", faces[7], [cv2.IMWRITE_JPEG_QUALITY, 40])
    darker = (faces[11] * 0.7 + 20).astype(np.uint8)
    pictures = [*faces, cv2.imdecode(jpeg, cv2.IMREAD_COLOR), darker]
    assert near_duplicates(np.stack([fingerprint(picture) for picture in pictures]), block=8) == [(7, 30), (11, 31)]


class TestCommand:
    def run(self, *arguments):
        return CliRunner().invoke(app, ["check", *map(str, arguments)])

    def test_exit_code_0_when_all_is_well(self, dataset):
        assert self.run(dataset, "--deep").exit_code == 0

    def test_exit_code_1_when_something_is_wrong(self, dataset):
        with h5py.File(dataset, "r+") as root:
            root["depth"][8, 3, 3] ^= 4
        result = self.run(dataset, "--deep")
        assert result.exit_code == 1
        assert ROWS[8]["id"] in result.output.replace("\n", "")

    def test_exit_code_2_when_there_is_nothing(self, tmp_path):
        assert self.run(tmp_path / "none.h5").exit_code == 2


SPELT_TWICE = [make_row("lab", who, emotion) for who in ("M007", "M7", "F1", "F2") for emotion in EMOTIONS]


class TestNamesThatLookAlike:
    """``anna`` and ``Anna`` on two sides of a fold: warned of when merging, an error when checking."""

    def test_in_a_dataset(self, tmp_path):
        path = write_global(tmp_path / "d.h5", sorted(SPELT_TWICE, key=lambda row: row["id"]))
        assert findings(path, "error")["names alike"].items == ("lab:M007, lab:M7",)
        result = CliRunner().invoke(app, ["check", str(path)])
        assert result.exit_code == 1
        assert "lab:M007, lab:M7" in result.output

    def test_in_a_prepared_folder_and_when_merging(self, tmp_path):
        folder = write_prepared(tmp_path / "lab", SPELT_TWICE)
        assert findings(folder, "error")["names alike"].items == ("lab:M007, lab:M7",)
        result = CliRunner().invoke(app, ["merge", str(folder), "--size", "32", "--out", str(tmp_path / "d.h5")])
        assert result.exit_code == 0
        assert "names that look alike: lab:M007, lab:M7; are they one?" in result.output

    def test_among_classes(self, tmp_path):
        rows = [{**row, "label": number % 2} for number, row in enumerate(make_rows({"lab": 2}))]
        path = write_global(tmp_path / "d.h5", rows, classes=("Café", "cafe"))
        assert findings(path, "error")["names alike"].items == ("Café, cafe",)
