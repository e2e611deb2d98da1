"""Two processes work on one search, by the journal in its folder."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

from fer_train.analysis import tune
from fer_train.analysis.tune import JOURNAL, open_study

SEARCHER = """
import os, sys, time
from pathlib import Path
from tiny_training import tiny_config
from fer_train.analysis.search_space import DEFAULT_SPACE
from fer_train.analysis.search_settings import SearchSettings
from fer_train.analysis.tune import open_study, search

def judge(config):
    time.sleep(0.05)
    yield 100 * config.model.dropout

out = Path(sys.argv[1])
study = open_study(out, frame={"seed": 0})
tell = study.tell
def told(trial, *values, **named):
    trial.set_user_attr("by", os.getpid())
    return tell(trial, *values, **named)
study.tell = told
print("ready", flush=True)
sys.stdin.readline()
settings = SearchSettings(trials=16, prune=False)
search(study, judge=judge, config=tiny_config(), space=DEFAULT_SPACE, settings=settings, out=out, say=lambda text: None)
"""


def start_searcher(out):
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", SEARCHER, str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def start_two(out):
    """Two processes that begin together."""
    searchers = [start_searcher(out) for _ in range(2)]
    for searcher in searchers:
        assert searcher.stdout.readline() == "ready\n"
    for searcher in searchers:
        searcher.stdin.write("go\n")
        searcher.stdin.flush()
    return searchers


def search_by_two(out):
    """Let two processes search together until both end; returns their ids."""
    searchers = start_two(out)
    for searcher in searchers:
        searcher.communicate(timeout=300)
        assert searcher.returncode == 0
    return {searcher.pid for searcher in searchers}


def assert_one_search(out, study, pids):
    """Every trial was tried once, both processes took part, and the outcome holds the trials of both."""
    trials = study.get_trials(deepcopy=False)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert 16 <= len(trials) <= 17  # the other process may have had one under way
    assert {trial.user_attrs["by"] for trial in trials} == pids
    assert len({trial.params["model.dropout"] for trial in trials}) == len(trials)
    with (out / "trials.csv").open() as stream:
        assert [int(row["trial"]) for row in csv.DictReader(stream)] == [trial.number for trial in trials]


@pytest.mark.slow
def test_two_processes_share_the_journal(tmp_path):
    pids = search_by_two(tmp_path)
    assert_one_search(tmp_path, open_study(tmp_path, frame={"seed": 0}), pids)


def test_a_lock_that_a_killed_process_left_is_not_waited_for_forever(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tune, "LOCK_GRACE_S", 3)
    out = Path("runs") / "tune"
    open_study(out, frame={"seed": 0})
    (out / f"{JOURNAL}.lock").touch()
    began = time.monotonic()
    open_study(out, frame={"seed": 0}).ask()
    assert time.monotonic() - began >= 3  # it was not simply ignored
    assert not (out / f"{JOURNAL}.lock").exists()


@pytest.mark.slow
def test_a_killed_process_costs_the_others_nothing(tmp_path):
    victim, other = start_two(tmp_path)
    while not (tmp_path / "trials.csv").exists():
        time.sleep(0.01)
    victim.kill()
    victim.communicate()
    other.communicate(timeout=300)
    assert other.returncode == 0
    states = [trial.state for trial in open_study(tmp_path, frame={"seed": 0}).get_trials(deepcopy=False)]
    assert states.count(optuna.trial.TrialState.COMPLETE) >= 16
    assert states.count(optuna.trial.TrialState.RUNNING) <= 1
