"""The prepare commands as a person types them: defaults, exit codes, and what is said."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pytest
from folder_snapshot import snapshot
from noise_tree import write_noise_tree
from typer.testing import CliRunner
from waiting import wait_until

from fer_prep.cli.app import app
from fer_prep.dataset.reader import DatasetFile
from fer_prep.inspection.check_prepared import check_prepared
from fer_prep.prepare.folder import PreparedFolder


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fer_prep(*words, code=0):
    """Run a command in this process; return what it printed on standard output and on standard error."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, (done.stdout, done.stderr, done.exception)
    return done.stdout, done.stderr


def align(points, *words, code=0):
    return fer_prep("align", "--workers", 0, "--size", 48, "--landmarks", f"file:{points}", *words, code=code)


def test_align_finds_the_tree_of_the_workspace(workspace):
    points = write_noise_tree(workspace / "data" / "raw" / "MenD3s", samples=50)
    said, _ = align(points)
    folder = PreparedFolder.open(workspace / "data" / "prepared" / "mend3s")
    assert len(folder.rows) == 48
    assert "mend3s: 48 samples in data/prepared/mend3s" in said
    assert "Neutral/RGB/F_03_1_neutral_Color.png (list)" in said
    assert "all with their reasons in data/prepared/mend3s/rejected.csv" in said
    assert re.search(r"reused +│ +48\n", align(points)[0])


def test_one_tree_by_its_place(workspace):
    points = write_noise_tree(workspace / "elsewhere" / "MenD3s", samples=8, without_depth=-1, without_points=-1)
    align(points, "--root", "elsewhere/MenD3s", "--out", "here")
    assert PreparedFolder.open(workspace / "here").dataset == "mend3s"


def test_parts_are_prepared_by_separate_commands_and_merged_only_together(workspace):
    points = write_noise_tree(workspace / "data" / "raw" / "MenD3s", samples=20, without_depth=-1, without_points=-1)
    said, _ = align(points, "--part", "1/2")
    assert "samples in data/prepared/mend3s.part-1-of-2" in said
    _, said = fer_prep("merge", "--size", 48, code=2)
    assert said.splitlines() == [
        "error: data/prepared/mend3s.part-1-of-2: of 2 parts of mend3s 1 missing: 2/2",
        "run the same command with the missing --part, then merge again",
    ]
    align(points, "--part", "2/2")
    fer_prep("merge", "--size", 48)
    _, said = align(points, "--part", "3/2", code=2)
    assert "--array=1-8" in said


def test_a_running_dask_cluster_does_the_work_of_a_relative_workspace(workspace):
    points = write_noise_tree(workspace / "data" / "raw" / "MenD3s", samples=12, without_depth=-1, without_points=-1)
    align(points)
    elsewhere = workspace / "elsewhere"
    elsewhere.mkdir()
    scheduler, worker = (
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--scheduler-file", "here.json", "--no-dashboard"],
        [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", "here.json", "--no-dashboard"],
    )
    with ExitStack() as processes:
        for words in ([*scheduler, "--port", "0"], [*worker, "--nthreads", "2"]):
            process = subprocess.Popen(words, cwd=elsewhere, stderr=subprocess.DEVNULL)
            processes.callback(process.wait)
            processes.callback(process.terminate)
            wait_until((elsewhere / "here.json").exists, "the scheduler's file")
        options = ("--engine", "dask", "--scheduler", "elsewhere/here.json", "--out", "by-dask")
        said, _ = fer_prep("align", "--size", 48, "--landmarks", f"file:{points.relative_to(workspace)}", *options)
    assert re.search(r"prepared +│ +12\n", said)
    assert snapshot(workspace / "by-dask") == snapshot(workspace / "data" / "prepared" / "mend3s")


def test_a_wrong_file_of_landmarks_stops_the_command(workspace):
    points = write_noise_tree(workspace / "data" / "raw" / "MenD3s", samples=8)
    points.write_text("garbage")
    _, said = align(points, code=2)
    assert said.startswith(f"error: {points}: expected columns id, left_eye_x")
    assert not (workspace / "data" / "prepared").exists()


def test_the_focal_length_that_is_given_is_kept_for_every_sample(workspace):
    points = write_noise_tree(workspace / "data" / "raw" / "MenD3s", samples=6, without_depth=-1, without_points=-1)
    align(points)
    folder = workspace / "data" / "prepared" / "mend3s"
    assert all(np.isnan(row["focal_px"]) for row in PreparedFolder.open(folder).rows)
    align(points, "--focal-px", 575)
    rows = PreparedFolder.open(folder).rows
    assert all(row["focal_px"] > 0 for row in rows)
    assert all(np.isfinite(row["principal_px"]).all() for row in rows)


def test_a_task_file_that_does_not_serve_is_an_error_that_names_it(workspace):
    write_noise_tree(workspace / "data" / "raw" / "MenD3s", samples=2, without_depth=0, without_points=-1)
    task = workspace / "face_landmarker.task"
    task.write_bytes(b"no bundle")
    _, said = fer_prep("align", "--workers", 0, "--landmarks", f"task:{task}", code=2)
    assert f"{task}: expected a MediaPipe face_landmarker.task bundle" in said
    _, said = fer_prep("align", "--landmarks", "task:absent.task", code=2)
    assert said.startswith("error: absent.task: no such file")
    _, said = fer_prep("align", "--landmarks", "task", code=2)
    assert "say --landmarks task:FILE" in said


def test_a_tree_of_another_name_needs_its_dataset(workspace):
    points = write_noise_tree(workspace / "faces", samples=8, without_depth=-1, without_points=-1)
    _, said = align(points, "--root", "faces", code=2)
    assert "expected faces/CalD3r, faces/MenD3s" in said
    align(points, "--root", "faces", "--dataset", "mend3s", "--out", "here")
    assert len(PreparedFolder.open(workspace / "here").rows) == 8


def test_one_out_for_two_trees_is_refused(workspace):
    points = write_noise_tree(workspace / "data" / "raw" / "MenD3s", samples=2)
    (workspace / "data" / "raw" / "CalD3r").mkdir()
    assert "--out names one folder, but cald3r and mend3s are there" in align(points, "--out", "x", code=2)[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("render-bu3dfe",), "data/raw/BU3DFE: no such folder; a BU-3DFE tree was expected"),
        (("render-bosphorus",), "data/raw/BosphorusDB: no such folder; a Bosphorus tree was expected"),
        (("align",), "data/raw: no CalD3r or MenD3s tree is here"),
        (("all",), "data/raw: none of the raw trees is here"),
        (("align", "--root", "nowhere", "--dataset", "mend3s"), "nowhere: no MenD3s tree is here"),
    ],
)
def test_a_missing_tree_is_two_lines_that_say_what_was_expected(workspace, words, said):
    lines = fer_prep(*words, code=2)[1].strip().splitlines()
    assert len(lines) == 2
    assert said in lines[0]
    assert "expected" in lines[1]


def test_too_many_rejected_is_exit_code_1_and_the_folder_is_whole(workspace):
    points = write_noise_tree(workspace / "data" / "raw" / "MenD3s", samples=10)
    _, said = align(points, code=1)
    assert "mend3s: 2 of 10 recordings rejected (20 %); --max-rejected 0.05 allows 5 %" in said
    assert not check_prepared(workspace / "data" / "prepared" / "mend3s", deep=True).failed
    align(points, "--max-rejected", 0.2)
    align(points, "--max-rejected", "20%")
    assert "--max-rejected 0.195 allows 19.5 %" in align(points, "--max-rejected", "19.5 %", code=1)[1]


@pytest.mark.parametrize("text", ["5", "-0.1", "101%", "few", "nan"])
def test_a_share_that_is_none_is_refused_with_what_is_expected(text, workspace):
    _, said = fer_prep("align", f"--max-rejected={text}", code=2)
    assert f"--max-rejected {text}: expected a share from 0 to 1, such as 0.05, or a percentage such as 5%" in said


def test_when_all_are_rejected_there_is_nothing_to_merge(workspace):
    folder = workspace / "data" / "raw" / "MenD3s" / "Fear" / "RGB"
    folder.mkdir(parents=True)
    (folder / "F_01_1_fear_Color.png").write_bytes(b"")
    _, said = fer_prep("all", "--workers", 0, code=1)
    assert "there is nothing to merge" in said
    assert not (workspace / "global.h5").exists()


def write_points(workspace, *, options: str = "") -> None:
    """A MenD3s tree in its place, and a fer.toml in which align finds its landmarks."""
    points = write_noise_tree(workspace / "data" / "raw" / "MenD3s", samples=8, without_depth=-1, without_points=-1)
    (workspace / "fer.toml").write_text(
        f"workers = 0\nsize = 40\n[fer-prep.align]\nlandmarks = 'file:{points}'\n{options}"
    )


def test_all_takes_what_the_file_says_of_its_steps(workspace):
    write_points(workspace, options="size = 48\n[fer-prep.merge]\nout = 'mine.h5'\ncard = false\nshard-size = 3\n")
    fer_prep("all")
    assert PreparedFolder.open(workspace / "data" / "prepared" / "mend3s").summary["settings"]["size"] == 48
    with DatasetFile.open(workspace / "mine.h5") as data:
        assert (data.height, len(data.shard_sizes)) == (40, 3)  # of merge: 40, for whatever has no size of its own
    assert not (workspace / "global.h5").exists()
    assert not (workspace / "mine.card.md").exists()


@pytest.mark.parametrize("where", ["command line", "table"])
def test_options_of_all_come_before_those_of_its_steps(workspace, where):
    own = "[fer-prep.all]\nsize = 56\nout = 'whole.h5'\n" if where == "table" else ""
    write_points(workspace, options=f"size = 48\n[fer-prep.merge]\nout = 'mine.h5'\n{own}")
    fer_prep("all", *(["--size", 56, "--out", "whole.h5"] if where == "command line" else []))
    assert PreparedFolder.open(workspace / "data" / "prepared" / "mend3s").summary["settings"]["size"] == 56
    with DatasetFile.open(workspace / "whole.h5") as data:
        assert data.height == 56
    assert not (workspace / "mine.h5").exists()


def test_a_step_of_all_with_a_wrong_setting_is_named(workspace):
    write_points(workspace, options="framing = 'sideways'\n")
    _, said = fer_prep("all", code=2)
    assert "fer.toml" in said
    assert "sideways" in said


def test_unfound_faces_are_kept_where_the_user_says_so(workspace):
    points = write_noise_tree(workspace / "data" / "raw" / "MenD3s", samples=8, without_depth=-1)
    align(points, code=1)
    said, _ = align(points, "--unfound", "keep", "--preview", 3)
    assert "landmarks from not found" in said
    assert "to look at: data/prepared/mend3s/preview.png" in said
    assert (workspace / "data" / "prepared" / "mend3s" / "preview.png").is_file()


def test_contradicting_options_are_refused(workspace):
    write_noise_tree(workspace / "data" / "raw" / "MenD3s", samples=2)
    _, said = fer_prep("align", "--landmarks", "none", code=2)
    assert "--landmarks none cannot serve --framing rotate" in said


@pytest.mark.parametrize("command", ["render-bu3dfe", "render-bosphorus", "align", "all"])
def test_help_shows_an_example(command):
    said, _ = fer_prep(command, "--help")
    assert f"fer-prep {command}" in said.split("Options")[0]
