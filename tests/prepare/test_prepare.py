"""Preparing a whole tree: nothing lost, nothing made twice, the same bytes however it was come by."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest
from fake_source import FakeSource, write_tree
from folder_snapshot import snapshot

from fer_prep.engines.engine import InProcessEngine
from fer_prep.engines.process_engine import ProcessEngine
from fer_prep.errors import PreparedFolderError, Reason, UsageError
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.formats.images import read_depth, read_rgb
from fer_prep.inspection.check_prepared import check_prepared
from fer_prep.prepare.folder import PreparedFolder
from fer_prep.prepare.prepare_tree import prepare
from fer_prep.prepare.settings import PrepareSettings

SETTINGS = PrepareSettings(size=32, landmarks=FinderSpec(kinds=("dataset",)), mesh=False)
WORDS = {1: "faceless", 4: "broken", 6: "bug"}


def run(tree, out, *, source=FakeSource(), settings=SETTINGS, engine=InProcessEngine(), **options):  # noqa: B008
    return prepare(source, root=tree, out=out, settings=settings, engine=engine, **options)


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "raw", samples=9, words=WORDS)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "prepared"


def test_every_recording_is_a_sample_or_a_rejection(tree, out):
    summary = run(tree, out)
    folder = PreparedFolder.open(out)
    assert (summary.prepared, summary.reused, summary.total) == (6, 0, 9)
    assert [row["id"] for row in folder.rows] == sorted(row["id"] for row in summary.rows)
    assert {rejection.source_file: rejection.reason for rejection in folder.rejections} == {
        "F0001_disgust.txt": Reason.NO_FACE,
        "F0004_anger.txt": Reason.UNREADABLE,
        "F0006_fear.txt": Reason.INTERNAL,
    }
    assert not check_prepared(out, deep=True).failed


def test_pictures_are_those_of_the_digests_and_depth_is_16_bit(tree, out):
    run(tree, out)
    folder = PreparedFolder.open(out)
    rgb = read_rgb(folder.rgb_path("F0000_anger").read_bytes())
    depth = read_depth(folder.depth_path("F0000_anger").read_bytes())
    assert rgb.shape == (32, 32, 3)
    assert depth.shape == (32, 32)
    assert depth.dtype == np.uint16
    assert len({row["digest"] for row in folder.rows}) == 6


def test_rejections_say_what_was_expected_and_found(tree, out):
    run(tree, out)
    found = {rejection.source_file: rejection for rejection in PreparedFolder.open(out).rejections}
    assert found["F0004_anger.txt"].expected == "a word this dataset knows"
    assert found["F0004_anger.txt"].found == "broken"
    assert found["F0006_fear.txt"].found.startswith("KeyError: 'no such thing' (fake_source.py:")


def test_an_unexpected_error_comes_through_for_debugging(tree, out):
    with pytest.raises(KeyError, match="no such thing"):
        run(tree, out, debug=True)


def test_the_same_bytes_with_any_number_of_workers(tree, tmp_path):
    engines = (InProcessEngine(), ProcessEngine(workers=1), ProcessEngine(workers=2))
    folders = []
    for number, engine in enumerate(engines):
        run(tree, tmp_path / f"out{number}", engine=engine)
        folders.append(snapshot(tmp_path / f"out{number}"))
    assert folders[0] == folders[1] == folders[2]
    assert {name for name in folders[0] if "/" not in name} == {
        ".records.jsonl",
        "left_out.csv",
        "prepared.json",
        "rejected.csv",
        "samples.csv",
    }


def test_a_worker_that_dies_costs_one_sample(tmp_path, out):
    tree = write_tree(tmp_path / "raw", samples=10, words={3: "killer", 7: "killer-once"})
    summary = run(tree, out, engine=ProcessEngine(workers=2))
    assert summary.prepared == 9
    (rejection,) = summary.rejected
    assert (rejection.reason, rejection.source_file) == (Reason.WORKER_DIED, "F0003_happiness.txt")
    assert "SIGKILL" in rejection.found


def test_what_is_up_to_date_is_not_touched(tree, out):
    run(tree, out)
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*") if file.is_file()}
    summary = run(tree, out)
    assert (summary.prepared, summary.reused) == (0, 6)
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    "change",
    [
        {"settings": replace(SETTINGS, size=40)},
        {"settings": replace(SETTINGS, framing="eyes")},
        {"settings": replace(SETTINGS, mask="face-oval")},
        {"source": FakeSource(brightness=200)},
    ],
)
def test_a_setting_that_changes_pixels_makes_all_of_them_again(tree, out, tmp_path, change):
    run(tree, out)
    assert run(tree, out, **change).prepared == 6
    run(tree, tmp_path / "fresh", **change)
    assert snapshot(out) == snapshot(tmp_path / "fresh")


def test_labels_change_without_new_pixels(tree, out, tmp_path):
    run(tree, out)
    summary = run(tree, out, source=FakeSource(relabel=True))
    assert (summary.prepared, summary.reused) == (0, 6)
    assert summary.by_class["sadness"] == 6
    run(tree, tmp_path / "fresh", source=FakeSource(relabel=True))
    assert snapshot(out) == snapshot(tmp_path / "fresh")


def test_keeping_unfound_faces_makes_exactly_those(tree, out, tmp_path):
    run(tree, out)
    keep = replace(SETTINGS, unfound="keep")
    summary = run(tree, out, settings=keep)
    assert (summary.prepared, summary.reused) == (1, 6)
    (kept,) = (row for row in summary.rows if row["landmarks_from"] == "not found")
    assert kept["id"] == "fake/F0001_disgust"
    assert np.isnan(kept["roll_degrees"])
    assert np.isnan(kept["left_eye"]).all()
    again = run(tree, out)
    assert (again.prepared, again.reused, len(again.rejected)) == (0, 6, 3)
    run(tree, tmp_path / "fresh")
    assert snapshot(out) == snapshot(tmp_path / "fresh")


def test_a_changed_input_makes_one_sample_again(tree, out):
    run(tree, out)
    (tree / "F0002_fear.txt").write_text("face anew")
    assert (summary := run(tree, out)).prepared == 1
    assert summary.reused == 5


def test_changed_code_makes_all_of_them_again(tree, out, monkeypatch):
    run(tree, out)
    monkeypatch.setattr("fer_prep.prepare.prepare_tree.code_version", lambda source: "another")
    assert run(tree, out).prepared == 6


def test_a_mended_recording_is_taken_up(tree, out, tmp_path):
    run(tree, out)
    (tree / "F0004_anger.txt").write_text("face 4\n")
    summary = run(tree, out)
    assert (summary.prepared, len(summary.rejected)) == (1, 2)
    run(tree, tmp_path / "fresh")
    assert snapshot(out) == snapshot(tmp_path / "fresh")


def test_a_recording_that_is_gone_takes_its_pictures_along(tree, out, tmp_path):
    run(tree, out)
    (tree / "F0002_fear.txt").unlink()
    run(tree, out)
    assert not (out / "rgb" / "F0002_fear.png").exists()
    run(tree, tmp_path / "fresh")
    assert snapshot(out) == snapshot(tmp_path / "fresh")


@pytest.mark.parametrize("damage", ["missing", "cut off", "other bytes"])
@pytest.mark.parametrize("part", ["rgb", "depth"])
def test_a_damaged_picture_is_made_again(tree, out, part, damage):
    run(tree, out)
    whole = snapshot(out)
    picture = out / part / "F0000_anger.png"
    if damage == "missing":
        picture.unlink()
    else:
        content = picture.read_bytes()
        picture.write_bytes(content[:100] if damage == "cut off" else content[:-20] + bytes(20))
    assert run(tree, out).prepared == 1
    assert snapshot(out) == whole


@contextmanager
def interrupted_after(steps, description, *, total, unit="samples"):
    """A progress listener that stops the run like Ctrl-C."""
    left = [steps]

    def advance(count):
        left[0] -= count
        if left[0] < 0:
            raise KeyboardInterrupt

    yield advance


@pytest.mark.parametrize("steps", [0, 3, 8])
def test_an_interrupted_run_is_continued(tree, out, tmp_path, steps):
    def progress(*texts, **numbers):
        return interrupted_after(steps, *texts, **numbers)

    with pytest.raises(KeyboardInterrupt):
        run(tree, out, progress=progress)
    with pytest.raises(PreparedFolderError, match="half done"):
        PreparedFolder.open(out)
    summary = run(tree, out)
    assert summary.prepared + summary.reused == 6
    run(tree, tmp_path / "fresh")
    assert snapshot(out) == snapshot(tmp_path / "fresh")


def test_an_interrupted_change_of_settings_never_mixes(tree, out, tmp_path):
    """Half of the samples are of the new size when the user goes back to the old one."""
    run(tree, out)
    whole = snapshot(out)
    with pytest.raises(KeyboardInterrupt):
        run(
            tree,
            out,
            settings=replace(SETTINGS, size=40),
            progress=lambda *texts, **numbers: interrupted_after(3, *texts, **numbers),
        )
    assert run(tree, out).prepared > 0
    assert snapshot(out) == whole


def test_views_have_no_frontal_framing(tree, out, monkeypatch):
    listing = FakeSource().list_samples(tree)
    view = replace(listing.samples[0], id=f"{listing.samples[0].id}@y+30p+0", yaw_degrees=30)
    monkeypatch.setattr(FakeSource, "list_samples", lambda self, root: replace(listing, samples=(view,)))
    with pytest.raises(UsageError, match="--framing frontal has the frontal view alone"):
        run(tree, out, settings=replace(SETTINGS, framing="frontal"))


def test_names_that_would_overwrite_each_other_are_rejected(tree, out, monkeypatch):
    listing = FakeSource().list_samples(tree)
    double = replace(listing.samples[0], source_file="deeper/F0000_anger.txt")
    odd = replace(listing.samples[2], id="fake/../F0002_fear")
    samples = (listing.samples[0], double, odd)
    monkeypatch.setattr(FakeSource, "list_samples", lambda self, root: replace(listing, samples=samples))
    summary = run(tree, out)
    rejected = {rejection.source_file: rejection.reason for rejection in summary.rejected}
    assert rejected == {"deeper/F0000_anger.txt": Reason.DUPLICATE, "F0002_fear.txt": Reason.BAD_NAME}
    assert len(summary.rows) == 1


def test_names_that_are_no_utf_8_do_not_break_the_tables(tree, out, monkeypatch):
    listing = FakeSource().list_samples(tree)
    strange = replace(listing.samples[4], source_file="caf\udce9.txt", files={"text": tree / "caf\udce9.txt"})
    monkeypatch.setattr(FakeSource, "list_samples", lambda self, root: replace(listing, samples=(strange,)))
    run(tree, out)
    (rejection,) = PreparedFolder.open(out).rejections
    assert rejection.source_file == r"caf\udce9.txt"


def test_an_empty_root_is_a_wrong_usage_and_makes_no_folder(tmp_path, out):
    (tmp_path / "raw").mkdir()
    with pytest.raises(UsageError):
        run(tmp_path / "raw", out)
    assert not out.exists()


def test_a_folder_with_other_files_is_left_alone(tree, out):
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(PreparedFolderError, match=r"thesis\.tex"):
        run(tree, out)
    assert [file.name for file in out.iterdir()] == ["thesis.tex"]


def test_a_folder_of_another_dataset_is_left_alone(tree, out):
    run(tree, out)
    whole = snapshot(out)
    with pytest.raises(PreparedFolderError, match="samples of fake"):
        run(tree, out, source=FakeSource(dataset="other"))
    assert snapshot(out) == whole


def test_description_names_settings_counts_and_nothing_of_the_machine(tree, out):
    run(tree, out)
    text = (out / "prepared.json").read_text()
    about = json.loads(text)
    assert about["format"] == "fer-prepared"
    assert about["settings"]["size"] == 32
    assert about["settings"]["source"] == {"brightness": 100, "relabel": False}
    assert about["counts"]["samples"] == 6
    assert about["counts"]["rejected"] == 3
    assert about["counts"]["by_class"]["anger"] == 2
    assert str(tree.parent) not in text


def test_the_preview_follows_the_folder(tree, out):
    summary = run(tree, out, preview=4)
    assert summary.preview == out / "preview.png"
    assert read_rgb(summary.preview.read_bytes()).shape[2] == 3
    assert run(tree, out).preview is None
    assert (out / "preview.png").exists()
    run(tree, out, settings=replace(SETTINGS, size=40))
    assert not (out / "preview.png").exists()


@dataclass(frozen=True, kw_only=True)
class RecordedSource(FakeSource):
    """A fake source whose depth is in a unit that somebody had to state."""

    depth_unit_mm: float = 0.125
    focal_px: float | None = None


def test_the_depth_unit_is_judged_and_the_verdict_kept(tree, out, monkeypatch):
    first = run(tree, out, source=RecordedSource())
    told = json.loads((out / "prepared.json").read_text())
    assert first.notes == [told[check]["text"] for check in ("depth_unit_check", "registration_check")]
    monkeypatch.setattr("fer_prep.prepare.prepare_tree.check_depth_unit", None)
    monkeypatch.setattr("fer_prep.prepare.prepare_tree.check_registration", None)
    assert run(tree, out, source=RecordedSource()).notes == first.notes


def test_a_folder_of_an_older_version_is_prepared_anew_and_says_so(tree, out, tmp_path):
    run(tree, out)
    about = json.loads((out / "prepared.json").read_text())
    (out / "prepared.json").write_text(json.dumps({**about, "format_version": 1}))
    old = {"name": "F0000_anger", "key": "0", "rgb": "1", "depth": "2", "measured": {}}
    header = {"dataset": "fake", "format": "fer-prepared-records", "version": 1}
    (out / ".records.jsonl").write_text(json.dumps(header) + "\n" + json.dumps(old) + "\n")
    summary = run(tree, out)
    assert summary.prepared == 6
    assert "prepared anew" in " ".join(summary.notes)
    run(tree, tmp_path / "fresh")
    assert snapshot(out) == snapshot(tmp_path / "fresh")
