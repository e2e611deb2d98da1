"""Programs at terminals of all kinds: other encodings, readers that go away."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import pytest
from dataset_factories import make_rows, write_dataset
from raw_trees import write_bosphorus
from typer.testing import CliRunner

from fer_prep.cli.app import app
from fer_prep.csv_tables import read_table

RUN = [sys.executable, "-c", "from fer_prep.__main__ import main; main()"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_is_not_utf_8_gets_question_marks(tmp_path, encoding):
    root = write_bosphorus(tmp_path, "bs000_N_N_0", "bs000_YR_R20_0")
    done = subprocess.run(
        [*RUN, "map-aus", "--root", str(root), "--out", str(tmp_path / "table.csv")],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert b"bs000_YR_R20_0" in done.stdout
    assert b"?" in done.stdout


def test_a_reader_that_goes_away_is_no_failure(tmp_path):
    root = write_bosphorus(tmp_path, "bs000_N_N_0")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*RUN, "map-aus", "--root", str(root), "--out", str(tmp_path / "table.csv")],
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_missing_system_library_is_named_without_a_traceback(monkeypatch, tmp_path):
    def no_library(*arguments, **options):
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory", name="cv2")

    monkeypatch.setattr("fer_prep.inspection.check_path.check_path", no_library)
    done = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "error: cv2 lacks a system library: libGL.so.1: cannot open shared object file: No such file or directory",
        "fer-prep doctor gives the one line that installs it",
    ]


def test_a_missing_package_is_named_without_a_traceback(tmp_path):
    write_bosphorus(tmp_path, "bs000_N_N_0")
    without = "import sys; sys.modules['h5py'] = None; from fer_prep.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", without, "check", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[0] == "error: the Python package h5py is not installed"
    assert "fer-rgbd[all]" in done.stderr.splitlines()[1]
    assert len(done.stderr.splitlines()) == 2


STEERING = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"


def test_nothing_in_data_steers_the_terminal(tmp_path):
    """Escape sequences in names, paths, values and error messages are shown, not obeyed."""
    rows = [{**row, "gender": STEERING, "source_file": STEERING} for row in make_rows({"lab": 2})]
    dataset = write_dataset(tmp_path / "g.h5", rows)
    for arguments in (["stats", str(dataset)], ["check", str(dataset)], ["check", str(tmp_path / STEERING)]):
        done = subprocess.run([*RUN, *arguments], capture_output=True, text=True)
        assert not set("\x1b\x07\x9b\u202e") & set(done.stdout + done.stderr), arguments
    assert "\\x1b[2J" in done.stderr


def test_no_table_holds_a_formula(tmp_path):
    """Tables that people open in a spreadsheet; what reads them back gets the name as it was."""
    rows = [{**row, "gender": "=cmd|' /C calc'!A0", "source_file": "@SUM(1)"} for row in make_rows({"lab": 2})]
    dataset = write_dataset(tmp_path / "g.h5", rows)
    CliRunner().invoke(app, ["stats", str(dataset), "--csv", str(tmp_path / "counts.csv")])
    CliRunner().invoke(app, ["export", str(dataset), "--out", str(tmp_path / "out")])
    for table in (tmp_path / "counts.csv", tmp_path / "out" / "samples.csv"):
        cells = [cell for line in csv.reader(table.open(newline="")) for cell in line]
        assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))]
        assert "'=cmd|' /C calc'!A0" in cells
    assert {cells["source_file"] for _, cells in read_table(tmp_path / "out" / "samples.csv").lines} == {"@SUM(1)"}
