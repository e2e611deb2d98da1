"""Every item is answered, whatever becomes of the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from waiting import wait_until

from fer_prep.engines.engine import InProcessEngine, ProcessEngine, WorkerDied, default_engine, usable_cpus
from fer_prep.errors import EngineError, UsageError

# functions at module level: worker processes import this module to find them


def square(number):
    return number * number


def thread_settings(name):
    import cv2

    return os.environ[name], cv2.getNumThreads()


def die_of(ending):
    """End this process; the signal may reach another thread first, and this one must not answer before it does."""
    os.kill(os.getpid(), ending)
    time.sleep(60)


def die_on_seven(number):
    if number == 7:
        die_of(signal.SIGSEGV)
    return number


def die_once(place):
    """Kill the worker unless the place says that this was done before."""
    if place.name == "fatal" and not place.exists():
        place.touch()
        die_of(signal.SIGKILL)
    return place.name


def last_words(number):
    sys.stderr.write("malloc(): corrupted top size\n")
    sys.stderr.flush()
    os.abort()


def refuse(number):
    raise UsageError("this machine lacks a library", hint="install it")


def unpicklable_error(number):
    class Local(Exception):
        pass

    raise Local("from inside")


def unpicklable_result(number):
    return lambda: number


def slow_then_touch(place):
    time.sleep(0.05)
    place.touch()


def process_of(number):
    time.sleep(0.02)
    return os.getpid()


def hang_after_two(number):
    if number >= 2:
        time.sleep(3600)
    return process_of(number)


@pytest.mark.parametrize("engine", [InProcessEngine(), ProcessEngine(workers=1), ProcessEngine(workers=2, threads=2)])
def test_each_item_comes_back_once_with_its_result(engine):
    outcomes = list(engine.run(square, items=range(50)))
    assert sorted(outcomes) == [(number, number * number) for number in range(50)]


def test_no_items_start_no_process():
    assert list(ProcessEngine(workers=4).run(square, items=[])) == []


def test_work_is_shared_among_processes():
    processes = {process for _, process in ProcessEngine(workers=2).run(process_of, items=range(12))}
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_libraries_in_workers_use_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    ((_, found),) = ProcessEngine(workers=1).run(thread_settings, items=["OMP_NUM_THREADS"])
    assert found == ("1", 1)
    assert os.environ["OMP_NUM_THREADS"] == "4"


def test_what_the_user_tuned_in_glibc_stays(monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.perturb=3")
    ((_, found),) = ProcessEngine(workers=1).run(thread_settings, items=["GLIBC_TUNABLES"])
    assert found[0].split(":")[-1] == "glibc.malloc.perturb=3"  # the last one counts where two contradict
    assert "glibc.malloc.tcache_count" in found[0]
    assert os.environ["GLIBC_TUNABLES"] == "glibc.malloc.perturb=3"


def test_items_are_taken_as_they_are_needed():
    taken = []
    items = (taken.append(number) or number for number in range(1000))
    running = ProcessEngine(workers=2).run(square, items=items)
    for _ in range(10):
        next(running)
    running.close()
    assert len(taken) <= 10 + 2 * 2


def test_an_item_that_kills_its_worker_twice_is_answered_and_costs_nobody_else():
    outcomes = dict(ProcessEngine(workers=2).run(die_on_seven, items=range(20)))
    assert outcomes.pop(7) == WorkerDied(reason="worker process killed by SIGSEGV")
    assert outcomes == {number: number for number in range(20) if number != 7}


def test_an_item_whose_worker_was_killed_once_gets_a_second_chance(tmp_path):
    places = [tmp_path / name for name in ("a", "b", "fatal", "c", "d", "e")]
    outcomes = dict(ProcessEngine(workers=2).run(die_once, items=places))
    assert outcomes == {place: place.name for place in places}


def test_what_a_worker_said_before_it_died_is_told():
    ((_, outcome),) = ProcessEngine(workers=1).run(last_words, items=[1])
    assert "SIGABRT" in outcome.reason
    assert "malloc(): corrupted top size" in outcome.reason


def test_when_every_worker_dies_the_run_ends():
    with pytest.raises(EngineError, match=r"every worker process dies: .*SIGABRT"):
        list(ProcessEngine(workers=2).run(last_words, items=range(100)))


def test_errors_of_the_function_end_the_run():
    with pytest.raises(UsageError, match="lacks a library") as caught:
        list(ProcessEngine(workers=2).run(refuse, items=range(10)))
    assert caught.value.hint == "install it"


@pytest.mark.parametrize(
    ("function", "said"), [(unpicklable_error, "Local: from inside"), (unpicklable_result, "pickle")]
)
def test_what_cannot_travel_does_not_hang(function, said):
    with pytest.raises(Exception, match=said):
        list(ProcessEngine(workers=1).run(function, items=[1]))


def test_closing_stops_the_work_at_once(tmp_path):
    running = ProcessEngine(workers=2).run(slow_then_touch, items=[tmp_path / str(number) for number in range(100)])
    next(running)
    running.close()
    done = len(list(tmp_path.iterdir()))
    time.sleep(0.2)
    assert len(list(tmp_path.iterdir())) == done < 100


RUN_FOREVER = """
import sys, time
sys.path[:0] = {folders!r}
from test_engine import hang_after_two
from fer_prep.engines.engine import ProcessEngine
if __name__ == "__main__":
    try:
        for _, process in ProcessEngine(workers=2).run(hang_after_two, items=range(100)):
            print(process, flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9), (signal.SIGTERM, -15)])
def test_workers_end_with_their_parent_even_where_their_work_hangs(tmp_path, ending, code):
    script = tmp_path / "forever.py"
    script.write_text(RUN_FOREVER.format(folders=[str(folder) for folder in Path(__file__).parents[:2]]))
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    workers = set()
    while len(workers) < 2:
        workers.add(int(parent.stdout.readline()))
    if ending == signal.SIGINT:
        os.killpg(parent.pid, ending)  # Ctrl-C reaches the whole group
    else:
        parent.send_signal(ending)
    _, said = parent.communicate(timeout=30)
    assert parent.returncode == code
    assert said == ""
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), "the workers' end", seconds=30)


def test_no_more_processes_than_items():
    processes = {process for _, process in ProcessEngine(workers=30).run(process_of, items=range(2))}
    assert len(processes) == 2


def test_default_engine_uses_the_processors_that_it_may():
    assert default_engine(workers=0) == InProcessEngine()
    assert default_engine(workers=3, threads=2) == ProcessEngine(workers=3, threads=2)
    assert default_engine() == ProcessEngine(workers=usable_cpus())
