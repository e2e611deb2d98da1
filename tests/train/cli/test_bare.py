"""Every command about a trained run works bare in a workspace: the newest run in ``runs/``, ``global.h5``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_training import untrained_run, write_telling_data
from typer.testing import CliRunner

from fer_prep.errors import UsageError
from fer_train.cli.app import app
from fer_train.training.run_folder import finished_runs


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    """A dataset, an older run ``z-old`` and a newer one ``a-new``: names do not tell which is newer."""
    folder = tmp_path_factory.mktemp("workspace")
    data = write_telling_data(folder / "global.h5", subjects=4)
    for age_seconds, name in ((60, "z-old"), (0, "a-new")):
        summary = untrained_run(folder / "runs" / name, data).path / "summary.json"
        time = summary.stat().st_mtime - age_seconds
        os.utime(summary, (time, time))
    return folder


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("evaluate --device cpu", "a-new"),
        ("predict --device cpu --format csv", "id,predicted,anger"),
        ("explain --device cpu --per-class 1", "a-new/studies/grad-cam-right.png"),
        ("embed --device cpu --perplexity 3", "a-new/studies"),
        ("export", "models/a-new-fold-0"),
        ("compare --rounds 100", "Against z-old"),
    ],
)
def test_without_arguments_the_newest_run_and_the_dataset_beside_it_are_meant(workspace, monkeypatch, command, said):
    monkeypatch.chdir(workspace)
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == 0, done.output
    assert said in done.stdout


def test_a_folder_without_a_finished_run_says_how_to_get_one(tmp_path):
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "config.toml").write_text("")
    with pytest.raises(UsageError, match="no finished run"):
        finished_runs(tmp_path)
