"""``--seeds``: the same folds trained with other seeds, and how far apart they end."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from classical_data import classical_config, write_faces
from tiny_training import tiny_config, write_telling_data
from typer.testing import CliRunner

from fer_train.cli.app import app
from fer_train.settings_file import config_to_toml

SHORT = {"training__epochs": 1, "training__validations_per_epoch": 1, "training__micro_batch_size": 12}


def kfold(*words):
    done = CliRunner().invoke(app, ["kfold", "--no-baselines", *words])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of two seeds, and what its command printed."""
    place = tmp_path_factory.mktemp("seeds")
    data = write_telling_data(place / "global.h5", subjects=4)
    (place / "tiny.toml").write_text(config_to_toml(tiny_config(**SHORT)))
    words = ["--data", str(data), "--folds", "2", "--preset", str(place / "tiny.toml")]
    return place / "run", kfold(*words, "--out", str(place / "run"), "--seeds", "2").stdout


def summary_of(run):
    return json.loads((run / "summary.json").read_text())


def test_the_spread_over_seeds_stands_beside_the_folds(made):
    run, printed = made
    first, other = summary_of(run), summary_of(run / "seed-1042")
    seeds = first["seeds"]
    assert seeds["values"] == [42, 1042]
    for key in ("overall_accuracy", "average_accuracy"):
        means = [summary[key]["mean"] for summary in (first, other)]
        assert seeds[key] == {"mean": np.mean(means), "std": pytest.approx(np.std(means, ddof=1)), "each": means}
    assert "Over seeds" in printed
    assert "<h2>Seeds</h2>" in (run / "report.html").read_text()


def test_seeds_share_folds_and_not_their_draws(made):
    run, _ = made
    folds = [json.loads((place / "folds.json").read_text()) for place in (run, run / "seed-1042")]
    assert folds[0] == folds[1]
    losses = [(place / "fold-0" / "history.csv").read_text() for place in (run, run / "seed-1042")]
    assert losses[0] != losses[1]


@pytest.mark.slow
def test_a_resumed_run_knows_its_seeds_and_can_have_more(made, tmp_path):
    run = shutil.copytree(made[0], tmp_path / "run")
    shutil.copy(made[0].parent / "global.h5", tmp_path)
    expected = summary_of(run)
    (run / "summary.json").unlink()
    (run / "seed-1042" / "summary.json").unlink()
    kfold("--resume", "--out", str(run))
    assert summary_of(run) == expected
    kept = (run / "seed-1042" / "summary.json").stat().st_mtime_ns
    kfold("--resume", "--out", str(run), "--seeds", "3")
    assert summary_of(run)["seeds"]["values"] == [42, 1042, 2042]
    assert (run / "seed-1042" / "summary.json").stat().st_mtime_ns == kept


def test_a_network_that_draws_nothing_has_one_seed(tmp_path):
    data = write_faces(tmp_path / "global.h5", subjects=4)
    (tmp_path / "classical.toml").write_text(config_to_toml(classical_config()))
    words = ["kfold", "--data", str(data), "--preset", str(tmp_path / "classical.toml"), "--out", str(tmp_path / "run")]
    refused = CliRunner().invoke(app, [*words, "--seeds", "2"])
    assert refused.exit_code == 2
    assert "draws nothing at random" in refused.stderr
    assert not (tmp_path / "run").exists()
