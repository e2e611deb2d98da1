"""Two processes work on one search: by the journal in its folder, and by a database."""

from __future__ import annotations

import csv
import json
import os
import pwd
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from tiny_training import TINY, write_telling_data
from typer.testing import CliRunner

from fer_prep.errors import FerError, UsageError
from fer_train.analysis import search_storage
from fer_train.analysis.search_storage import JOURNAL, open_storage
from fer_train.analysis.tune import open_study
from fer_train.cli.app import app

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
study = open_study(out, frame={"seed": 0}, storage=sys.argv[2])
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


def start_searcher(out, *, storage=""):
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", SEARCHER, str(out), storage],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def start_two(out, *, storage=""):
    """Two processes that begin together."""
    searchers = [start_searcher(out, storage=storage) for _ in range(2)]
    for searcher in searchers:
        assert searcher.stdout.readline() == "ready\n"
    for searcher in searchers:
        searcher.stdin.write("go\n")
        searcher.stdin.flush()
    return searchers


def search_by_two(out, *, storage=""):
    """Let two processes search together until both end; returns their ids."""
    searchers = start_two(out, storage=storage)
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
    monkeypatch.setattr(search_storage, "LOCK_GRACE_S", 3)
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


@pytest.fixture
def postgres(tmp_path_factory):
    """The URL of a PostgreSQL server of our own, on a socket in a temporary folder."""
    pytest.importorskip("psycopg")
    if not shutil.which("initdb") or not shutil.which("pg_ctl"):
        pytest.skip("no PostgreSQL server programs here")
    if os.geteuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/fer-pg-XXXXXX"], text=True).strip())
    who = {"user": "postgres", "group": "postgres", "cwd": folder} if os.geteuid() == 0 else {"cwd": folder}
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        subprocess.run(["initdb", "-D", "data", "-A", "trust", "-U", "me", "--no-sync"], check=True, **who, **quiet)
        options = f"-F -k {folder} -c listen_addresses=''"
        subprocess.run(["pg_ctl", "-D", "data", "-w", "-o", options, "start"], check=True, **who, **quiet)
        yield f"postgresql+psycopg://me@/postgres?host={folder}"
    finally:
        subprocess.run(["pg_ctl", "-D", "data", "-m", "immediate", "stop"], **who, **quiet)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_two_processes_share_a_database(tmp_path, postgres):
    pids = search_by_two(tmp_path / "mine", storage=postgres)
    assert_one_search(tmp_path / "mine", open_study(tmp_path / "mine", frame={"seed": 0}, storage=postgres), pids)
    assert not (tmp_path / "mine" / JOURNAL).exists()
    assert open_study(tmp_path / "another", frame={"seed": 1}, storage=postgres).get_trials() == []
    with pytest.raises(UsageError, match="begun with another seed"):
        open_study(tmp_path / "elsewhere" / "mine", frame={"seed": 1}, storage=postgres)


@pytest.mark.slow
def test_many_may_be_the_first_in_a_database(tmp_path, postgres):
    """All find it empty and make the tables."""
    for number in range(3):
        with sqlalchemy.create_engine(postgres, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE new{number}"))
        url = postgres.replace("/postgres?", f"/new{number}?")
        together = threading.Barrier(6)

        def open_it(_, url=url, together=together):
            together.wait()
            return open_storage(tmp_path, url=url)

        with ThreadPoolExecutor(6) as pool:
            storages = list(pool.map(open_it, range(6)))
        study = optuna.create_study(storage=storages[0], study_name="mine")
        assert [len(storage.get_all_studies()) for storage in storages] == [1] * 6
        assert study.trials == []


def test_a_database_that_cannot_be_used_leaves_no_folder_of_the_search(tmp_path):
    with pytest.raises(FerError):
        open_study(tmp_path / "runs" / "mine", frame={"seed": 1}, storage="my-database")
    assert not list(tmp_path.iterdir())


def test_sqlite_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(FerError, match="side by side") as caught:
        open_storage(tmp_path, url=f"sqlite:///{tmp_path}/trials.db")
    assert "leave --storage out" in caught.value.hint


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("my-database", "is no database URL"),
        ("mysql://me@localhost/trials", "needs the Python package MySQLdb"),
        ("postgresql+psycopg://me@127.0.0.1:1/trials", "cannot be used: connection"),
    ],
)
def test_a_database_that_cannot_be_used_is_an_error_of_two_lines(tmp_path, url, said):
    with pytest.raises(FerError, match=said):
        open_storage(tmp_path, url=url)


def test_the_command_takes_the_url(tmp_path):
    data = write_telling_data(tmp_path / "global.h5", subjects=6)
    settings = [f"--set={key}={json.dumps(value)}" for key, value in TINY.items() if "." in key]
    options = ["--data", str(data), "--out", str(tmp_path / "search"), "--storage", "sqlite:///x.db"]
    result = CliRunner().invoke(app, ["tune", *options, *settings])
    assert result.exit_code == 2
    assert "its locks do not hold" in result.output
