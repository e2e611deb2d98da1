"""A real Dask cluster of two worker processes does what worker processes do, byte for byte, also when one is killed."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from distributed import Client, LocalCluster, Security
from fake_source import FakeSource, write_tree
from folder_snapshot import snapshot
from test_engine import die_on_seven, die_once, process_of, refuse, square

from fer_prep.engines.choice import make_engine
from fer_prep.engines.dask_engine import DIED, DaskEngine
from fer_prep.engines.engine import WorkerDied, usable_cpus
from fer_prep.engines.process_engine import ProcessEngine
from fer_prep.errors import EngineError, InstallationError, UsageError
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.prepare.prepare_tree import prepare
from fer_prep.prepare.settings import PrepareSettings

SETTINGS = PrepareSettings(size=32, landmarks=FinderSpec(kinds=("dataset",)))


@pytest.fixture(scope="module")
def cluster():
    """A scheduler and two worker processes that some other program started."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        yield cluster


@pytest.fixture
def engine(cluster):
    return DaskEngine(scheduler=cluster.scheduler_address, patience_s=30)


def run(tree, out, *, engine, source=FakeSource(), **options):  # noqa: B008
    return prepare(source, root=tree, out=out, settings=SETTINGS, engine=engine, **options)


def test_each_item_comes_back_once_with_its_result(engine):
    assert sorted(engine.run(square, items=range(50))) == [(number, number * number) for number in range(50)]


def test_work_is_shared_among_the_workers_of_the_cluster(engine):
    processes = {process for _, process in engine.run(process_of, items=range(60))}
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_items_are_taken_as_they_are_needed(engine):
    taken = []
    running = engine.run(square, items=(taken.append(number) or number for number in range(1000)))
    for _ in range(10):
        next(running)
    running.close()
    assert len(taken) <= 10 + 2 * 2 + 1


def test_errors_of_the_function_end_the_run(engine):
    with pytest.raises(UsageError, match="lacks a library") as caught:
        list(engine.run(refuse, items=range(10)))
    assert caught.value.hint == "install it"


def test_a_cluster_started_for_the_run_ends_with_it():
    outcomes = dict(DaskEngine(workers=2).run(process_of, items=range(60)))
    assert len(set(outcomes.values())) == 2
    assert not [pid for pid in set(outcomes.values()) if Path(f"/proc/{pid}").exists()]


def listening():
    """Address and port of everything that this process and its children listen on."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    found = [connection for process in processes for connection in process.net_connections("inet")]
    return {connection.laddr for connection in found if connection.status == psutil.CONN_LISTEN}


def ask(address, context):
    """What a stranger is told who asks for a page, or only connects: over TLS where there is a ``context``."""
    try:
        with socket.create_connection(address, timeout=3) as plain:
            stream = context.wrap_socket(plain) if context else plain
            stream.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            return stream.recv(100)
    except OSError:
        return b""


def test_a_cluster_started_here_tells_strangers_nothing(tmp_path):
    keys = Security.temporary()
    (tmp_path / "other.pem").write_text(keys.tls_client_key + keys.tls_client_cert)
    others = ssl.create_default_context()
    others.check_hostname, others.verify_mode = False, ssl.CERT_NONE
    others.load_cert_chain(tmp_path / "other.pem")
    before = listening()
    running = DaskEngine(workers=1).run(process_of, items=range(60))
    next(running)
    opened = listening() - before
    assert opened
    assert {ip for ip, _ in opened} == {"127.0.0.1"}
    for address in opened:
        for context in (None, others):
            answer = ask(tuple(address), context)
            assert not answer or b" 404 " in answer, (address, answer)
    running.close()


def test_an_item_that_kills_its_worker_twice_is_answered_and_costs_nobody_else(tmp_path):
    outcomes = dict(DaskEngine(workers=2).run(die_on_seven, items=range(20)))
    assert outcomes.pop(7) == DIED
    assert outcomes == {number: number for number in range(20) if number != 7}
    places = [tmp_path / name for name in ("a", "b", "fatal", "c")]
    assert dict(DaskEngine(workers=1).run(die_once, items=places)) == {place: place.name for place in places}


@contextmanager
def killing(pid, *, after):
    """A progress display that kills a process once so many samples are done."""

    @contextmanager
    def progress(description, *, total, unit="samples"):
        done = 0

        def advance(steps):
            nonlocal done
            done += steps
            if done == after:
                os.kill(pid, signal.SIGKILL)

        yield advance

    yield progress


def test_a_worker_killed_in_the_middle_costs_nothing(tmp_path, cluster, engine):
    tree = write_tree(tmp_path / "raw", samples=40, words={4: "broken", 9: "faceless", 17: "bug"})
    source = FakeSource(seconds=0.02)
    run(tree, tmp_path / "processes", engine=ProcessEngine(workers=2), source=source)
    with Client(cluster, set_as_default=False) as client:
        before = client.run(os.getpid)
    victim = next(iter(before.values()))
    with killing(victim, after=10) as progress:
        summary = run(tree, tmp_path / "dask", engine=engine, source=source, progress=progress)
    assert not Path(f"/proc/{victim}").exists()
    assert (summary.prepared, len(summary.rejected)) == (37, 3)
    assert snapshot(tmp_path / "dask") == snapshot(tmp_path / "processes")


def test_a_sample_that_kills_every_worker_is_a_rejection(tmp_path):
    tree = write_tree(tmp_path / "raw", samples=10, words={3: "killer", 7: "killer-once"})
    summary = run(tree, tmp_path / "out", engine=DaskEngine(workers=2))
    assert summary.prepared == 9
    (rejection,) = summary.rejected
    assert (rejection.stage, rejection.source_file) == ("worker", "F0003_happiness.txt")
    assert "Dask worker" in rejection.found
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_worker_that_does_not_see_the_raw_tree_says_so(tmp_path, engine, monkeypatch):
    monkeypatch.chdir(write_tree(tmp_path / "here" / "raw", samples=3).parent)
    with pytest.raises(EngineError, match="does not see the raw tree raw") as caught:
        run(Path("raw"), tmp_path / "out", engine=engine)
    assert "--part" in caught.value.hint


def test_nobody_answers_at_the_address():
    with pytest.raises(EngineError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        list(DaskEngine(scheduler="tcp://127.0.0.1:1", patience_s=1).run(square, items=[1]))


def test_a_scheduler_without_workers_is_an_error():
    with LocalCluster(n_workers=0, dashboard_address=None) as empty:
        engine = DaskEngine(scheduler=empty.scheduler_address, patience_s=0.5)
        with pytest.raises(EngineError, match="no worker is connected"):
            list(engine.run(square, items=[1]))


def test_workers_that_leave_for_good_end_the_run_instead_of_letting_it_hang(tmp_path):
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        running = DaskEngine(scheduler=cluster.scheduler_address, patience_s=0.5).run(process_of, items=range(1000))
        next(running)
        threading.Thread(target=cluster.scale, args=(0,)).start()
        with pytest.raises(EngineError, match="no worker is connected"):
            for _ in running:
                pass


def test_engines_are_chosen_by_name():
    assert make_engine(workers=2) == ProcessEngine(workers=2)
    assert make_engine() == ProcessEngine(workers=usable_cpus())
    assert make_engine("dask", workers=2) == DaskEngine(workers=2)
    assert make_engine("dask", scheduler="tcp://head:8786").remote


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "spark"}, "known: processes, dask"),
        ({"scheduler": "tcp://head:8786"}, "no use to --engine processes"),
        ({"name": "dask", "scheduler": "tcp://head:8786", "workers": 2}, "--workers as well"),
        ({"name": "dask", "workers": 0}, "--workers 0"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        make_engine(**options)


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "fer_prep.engines.dask_engine")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InstallationError, match="distributed, which is not installed") as caught:
        make_engine("dask")
    assert caught.value.hint == "pip install 'fer-rgbd[cluster]'"


def test_died_is_an_answer_of_the_engine_protocol():
    assert isinstance(DIED, WorkerDied)
