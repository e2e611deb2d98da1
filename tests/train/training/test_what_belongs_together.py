"""A run is bound to its fold, people, settings and data, however it is resumed; one process writes it at a time."""

from __future__ import annotations

import json
import shutil

import h5py
import pytest
from tiny_training import tiny_config, write_telling_data
from typer.testing import CliRunner

from fer_prep.errors import BusyError, FoldsError, UsageError
from fer_train.cli.app import app
from fer_train.environment import choose_device
from fer_train.inference.trained_run import TrainedRun
from fer_train.report.results import train_and_report
from fer_train.settings_file import config_to_toml
from fer_train.training.cross_validate import FoldChoice
from fer_train.training.run_folder import RunFolder

SHORT = {"training__epochs": 1, "training__validations_per_epoch": 1}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(a run of two folds, its data): to be copied, not changed."""
    place = tmp_path_factory.mktemp("bound")
    data, config = write_telling_data(place / "global.h5", subjects=6), tiny_config(**SHORT)
    run = RunFolder(place / "run")
    train_and_report(data, config=config, folds=FoldChoice(number=2), run=run)
    return run.path, data


@pytest.fixture
def copied(trained, tmp_path):
    """The same, whose files may be changed."""
    run, data = trained
    shutil.copytree(run, tmp_path / "run")
    shutil.copy(data, tmp_path / "global.h5")
    return RunFolder.open(tmp_path / "run"), tmp_path / "global.h5"


def resume(run, data, *, only=None):
    return train_and_report(data, config=run.config, folds=FoldChoice(), run=run, only=only)


def test_what_belongs_together_goes_on(copied):
    run, data = copied
    (run.path / "summary.json").unlink()
    resume(run, data)
    assert run.finished


def test_reversed_folds_are_refused(copied):
    run, data = copied
    folds = json.loads(run.folds_file.read_text())
    folds["folds"].reverse()
    run.folds_file.write_text(json.dumps(folds))
    with pytest.raises(UsageError, match="another training, which differs in: learned samples, judged samples"):
        resume(run, data)


def test_the_checkpoint_of_another_fold_is_refused(copied):
    run, data = copied
    shutil.copy(run.fold(0) / "last.ckpt", run.fold(1) / "last.ckpt")
    with pytest.raises(UsageError, match="which differs in: learned samples"):
        resume(run, data)


def test_other_settings_are_refused_though_the_files_agree(copied):
    run, data = copied
    (run.path / "config.toml").write_text(config_to_toml(tiny_config(**SHORT, loss__center_weight=0.5)))
    with pytest.raises(UsageError, match="differs in: settings"):
        resume(run, data)


def test_other_data_is_refused_though_folds_and_people_are_the_same(copied, tmp_path):
    run, data = copied
    other = write_telling_data(tmp_path / "other.h5", subjects=6, shuffle_labels=False, size=40)
    with h5py.File(data) as one, h5py.File(other) as two:
        assert one["samples/id"][:].tolist() == two["samples/id"][:].tolist()
    with pytest.raises(UsageError, match="differs in: data"):
        resume(run, other)


def test_nobody_is_judged_by_the_network_of_another_fold(copied):
    run, data = copied
    shutil.rmtree(run.fold(1))
    shutil.copytree(run.fold(0), run.fold(1))
    studied = TrainedRun.open(run.path, data, device=choose_device("cpu"))
    studied.fold(0)
    with pytest.raises(FoldsError, match="has learned from 3 of the people it is to judge"):
        studied.fold(1)


def test_a_folder_that_another_process_writes_is_left_alone(copied):
    run, data = copied
    for name in ("summary.json", "fold-0", "fold-1"):
        target = run.path / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with run.writing():
        with pytest.raises(BusyError):
            resume(run, data)
        done = CliRunner().invoke(app, ["kfold", "--resume", "--out", str(run.path), "--data", str(data)])
        assert done.exit_code == 2
        assert "another run is writing here" in done.output
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_a_resumed_fit_trains_its_own_fold_on_its_own_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(config_to_toml(tiny_config(**SHORT)))
    write_telling_data(tmp_path / "mine.h5", subjects=6)
    write_telling_data(tmp_path / "global.h5", subjects=4)
    cli = CliRunner()
    words = ["fit", "--fold", "1", "--data", "mine.h5", "--preset", "tiny.toml", "--out", "runs/mine"]
    done = cli.invoke(app, words)
    assert done.exit_code == 0, done.output
    run = RunFolder.open(tmp_path / "runs" / "mine")
    (run.path / "summary.json").unlink()
    first = run.read_environment()

    done = cli.invoke(app, ["fit", "--resume"])
    assert done.exit_code == 0, done.output
    assert [entry["index"] for entry in run.read_summary()["folds"]] == [1]
    assert not run.fold(0).exists()
    resumed = run.read_environment()
    assert len(resumed.pop("resumed")) == 1
    assert resumed == first

    (run.path / "summary.json").unlink()
    done = cli.invoke(app, ["fit", "--resume", "--fold", "0"])
    assert done.exit_code == 2
    assert "was started for fold 1; fold 0 asked for" in " ".join(done.output.split())
    with pytest.raises(UsageError, match="started for fold 1; all folds asked for"):
        resume(run, tmp_path / "mine.h5")
    assert not run.fold(0).exists()
