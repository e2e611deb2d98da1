from __future__ import annotations

import csv
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from tiny_training import TINY, tiny_config, write_telling_data
from typer.testing import CliRunner

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FerError, UsageError
from fer_prep.folds.splits import read_folds
from fer_train.analysis.search_folds import make_search_folds
from fer_train.analysis.search_settings import SearchSettings
from fer_train.analysis.search_space import DEFAULT_SPACE, parse_space
from fer_train.analysis.tune import open_study, search
from fer_train.cli.app import app
from fer_train.settings_file import load_preset

FRAME = {"dataset": "abc", "seed": 0}


def read_trials(out):
    with (out / "trials.csv").open() as stream:
        return list(csv.DictReader(stream))


def run(out, *, judge, trials, space=DEFAULT_SPACE, **settings):
    study = open_study(out, frame=FRAME)
    said = []
    search(
        study,
        judge=judge,
        config=tiny_config(),
        space=space,
        settings=SearchSettings(trials=trials, **settings),
        out=out,
        say=said.append,
    )
    return study, said


def dropout_judge(config):
    """Three folds that like a dropout of 0.3."""
    for fold in range(3):
        yield 100 - 100 * abs(config.model.dropout - 0.3) + fold


def test_the_best_settings_are_found_and_can_be_used_as_a_preset(tmp_path):
    study, _ = run(tmp_path, judge=dropout_judge, trials=25)
    best = load_preset(str(tmp_path / "best.toml"))
    assert best.model.dropout == study.best_params["model.dropout"]
    assert abs(best.model.dropout - 0.3) < 0.08
    assert best.name == "tiny-tuned"
    rows = read_trials(tmp_path)
    complete = [float(row["score"]) for row in rows if row["state"] == "complete"]
    assert max(complete) == pytest.approx(study.best_value, abs=1e-3)
    assert {row["state"] for row in rows} == {"complete", "pruned"}
    assert {row["folds"] for row in rows if row["state"] == "complete"} == {"3"}


def test_the_two_learning_rates_are_drawn_apart(tmp_path):
    run(tmp_path, judge=dropout_judge, trials=8, prune=False)
    ratios = {
        round(float(row["optimiser.fusion_rate"]) / float(row["optimiser.backbone_rate"]), 6)
        for row in read_trials(tmp_path)
    }
    assert len(ratios) == 8


def test_what_a_trial_tries_does_not_depend_on_how_many_work_on_the_search(tmp_path):
    run(tmp_path / "one", judge=dropout_judge, trials=6, prune=False)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: run(tmp_path / "many", judge=dropout_judge, trials=6, prune=False), range(3)))
    alone, together = (
        {row["trial"]: row["model.dropout"] for row in read_trials(tmp_path / name)} for name in ("one", "many")
    )
    assert len(alone) == 6
    assert 6 <= len(together) <= 8  # each of the others may have had one under way
    assert {trial: together[trial] for trial in alone} == alone


def test_a_failed_trial_is_counted_and_the_search_goes_on(tmp_path):
    def judge(config):
        if config.model.dropout > 0.25:
            raise FerError("the loss became nan")
        yield 50.0

    _, said = run(tmp_path, judge=judge, trials=8)
    states = [row["state"] for row in read_trials(tmp_path)]
    assert "fail" in states
    assert "complete" in states
    assert any("the loss became nan" in line for line in said)


def test_a_search_goes_on_where_it_was_killed(tmp_path):
    class Killed(BaseException):
        pass

    def killed(config):
        yield 10.0
        raise Killed

    with pytest.raises(Killed):
        run(tmp_path, judge=killed, trials=3)
    run(tmp_path, judge=dropout_judge, trials=3, prune=False)
    assert [row["trial"] for row in read_trials(tmp_path)] == ["1", "2", "3"]


def test_another_search_in_the_same_folder_is_refused(tmp_path):
    open_study(tmp_path, frame=FRAME)
    with pytest.raises(UsageError, match="begun with another seed"):
        open_study(tmp_path, frame=FRAME | {"seed": 1})


def test_a_space_is_read_from_the_command_line():
    texts = ["optimiser.fusion_rate=log:1e-4..1e-2", "model.encoder_depth=1..6", "loss.name=center,island"]
    assert parse_space(texts, config=tiny_config()) == {
        "optimiser.fusion_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "model.encoder_depth": IntDistribution(1, 6),
        "loss.name": CategoricalDistribution(("center", "island")),
    }
    assert parse_space([], config=tiny_config()) == DEFAULT_SPACE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimiser.fusion_rat=log:1e-4..1e-2", "fusion_rate"),
        ("model.dropout=0.5..0.1", "LOW < HIGH"),
        ("model.dropout=log:0..1", "above 0"),
        ("model.dropout=0..3", "between 0 and 1"),
        ("loss.name=centre,island", "centre"),
        ("data.image_size=64,96", "cannot be searched"),
        ("model.dropout", "expected KEY="),
    ],
)
def test_a_space_that_cannot_be_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_space([text], config=tiny_config())


def test_people_held_out_are_in_no_fold_of_the_search(tmp_path):
    path = write_telling_data(tmp_path / "global.h5", subjects=10)
    with DatasetFile.open(path) as data:
        folds, holdout = make_search_folds(data, folds=3, holdout=0.2, seed=4)
        subject = dict(zip(data.ids.tolist(), data.column("subject").tolist(), strict=True))
    seen = {subject[name] for fold in folds.folds for name in (*fold.train, *fold.val)}
    judges = {subject[name] for name in holdout.fold(0).val}
    assert len(judges) == 2
    assert not seen & judges
    assert {subject[name] for name in holdout.fold(0).train} == seen


def test_the_command_trains_and_leaves_what_the_final_fit_needs(tmp_path):
    data = write_telling_data(tmp_path / "global.h5", subjects=6)
    settings = [f"--set={key}={json.dumps(value)}" for key, value in TINY.items() if "." in key]
    settings += ["--set=training.epochs=1", "--set=training.validations_per_epoch=1"]
    out = tmp_path / "search"
    options = ["--data", str(data), "--out", str(out), "--folds", "2", "--trials", "2", "--holdout", "0.3"]
    result = CliRunner().invoke(app, ["tune", *options, *settings])
    assert result.exit_code == 0, result.output
    assert "it is no result" in result.output
    assert len(read_trials(out)) == 2
    with DatasetFile.open(data) as file:
        assert len(read_folds(out / "holdout.folds.json", data=file).folds) == 1
    assert load_preset(str(out / "best.toml")).model.backbone == "test_resnet"
    assert not list(out.glob(".trial-*"))
    assert CliRunner().invoke(app, ["tune", *options, *settings, "--sampler", "grid"]).exit_code == 2
