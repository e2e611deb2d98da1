"""Programs at terminals of all kinds: other encodings, readers that go away."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from raw_trees import write_bosphorus

RUN = [sys.executable, "-c", "from fer_prep.cli import main; main()"]


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
