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

from fer_prep.engines.choice import make_engine
from fer_prep.engines.engine import InProcessEngine, WorkerDied, usable_cpus
from fer_prep.engines.process_engine import ProcessEngine
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


def meet(folder):
    """The worker's number, once another worker is here too: however slowly it starts."""
    (folder / str(os.getpid())).touch()
    wait_until(lambda: len(list(folder.iterdir())) == 2, "two workers at work")
    return os.getpid()


def hang(folder):
    (folder / str(os.getpid())).touch()
    time.sleep(3600)


class NotOnWorkers:
    """A function that a worker cannot load."""

    def __call__(self, number):
        return number

    def __reduce__(self):
        return os.abort, ()


@pytest.mark.parametrize("engine", [InProcessEngine(), ProcessEngine(workers=1), ProcessEngine(workers=2)])
def test_each_item_comes_back_once_with_its_result(engine):
    outcomes = list(engine.run(square, items=range(50)))
    assert sorted(outcomes) == [(number, number * number) for number in range(50)]


def test_no_items_start_no_process():
    assert list(ProcessEngine(workers=4).run(square, items=[])) == []


def test_work_is_shared_among_processes(tmp_path):
    processes = {process for _, process in ProcessEngine(workers=2).run(meet, items=[tmp_path] * 2)}
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_libraries_in_workers_use_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    ((_, found),) = ProcessEngine(workers=1).run(thread_settings, items=["OMP_NUM_THREADS"])
    assert found == ("1", 1)
    assert os.environ["OMP_NUM_THREADS"] == "4"


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


def test_workers_that_cannot_even_start_end_the_run():
    with pytest.raises(EngineError, match=r"every worker process dies: .*SIGABRT") as caught:
        list(ProcessEngine(workers=2).run(NotOnWorkers(), items=range(100)))
    assert "--workers 0" in caught.value.hint


def test_errors_of_the_function_end_the_run():
    with pytest.raises(UsageError, match="lacks a library") as caught:
        list(ProcessEngine(workers=2).run(refuse, items=range(10)))
    assert caught.value.hint == "install it"


@pytest.mark.parametrize("function", [unpicklable_error, unpicklable_result])
def test_what_cannot_travel_does_not_hang(function):
    try:
        ((_, answer),) = ProcessEngine(workers=1).run(function, items=[1])
    except Exception as error:
        answer = error
    assert "pickle" in str(answer)


def test_closing_stops_the_work_at_once(tmp_path):
    running = ProcessEngine(workers=2).run(slow_then_touch, items=[tmp_path / str(number) for number in range(100)])
    next(running)
    running.close()
    done = len(list(tmp_path.iterdir()))
    time.sleep(0.2)
    assert len(list(tmp_path.iterdir())) == done < 100


RUN_FOREVER = """
import sys
sys.path[:0] = {folders!r}
from pathlib import Path
from test_engine import hang
from fer_prep.engines.process_engine import ProcessEngine
if __name__ == "__main__":
    try:
        list(ProcessEngine(workers=2).run(hang, items=[Path(sys.argv[1])] * 9))
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9), (signal.SIGTERM, -15)])
def test_workers_end_with_their_parent_even_where_their_work_hangs(tmp_path, ending, code):
    script = tmp_path / "forever.py"
    script.write_text(RUN_FOREVER.format(folders=[str(folder) for folder in Path(__file__).parents[:2]]))
    (busy := tmp_path / "busy").mkdir()
    parent = subprocess.Popen(
        [sys.executable, str(script), str(busy)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_until(lambda: len(list(busy.iterdir())) == 2, "two workers at work", seconds=30)
    workers = [int(path.name) for path in busy.iterdir()]
    if ending == signal.SIGINT:
        os.killpg(parent.pid, ending)  # Ctrl-C reaches the whole group
    else:
        parent.send_signal(ending)
    _, said = parent.communicate(timeout=30)
    assert parent.returncode == code
    assert "Traceback" not in said
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), "the workers' end", seconds=30)


def test_no_more_processes_than_items(tmp_path):
    processes = {process for _, process in ProcessEngine(workers=30).run(meet, items=[tmp_path] * 2)}
    assert len(processes) <= 2


def test_the_default_uses_the_processors_that_it_may():
    assert make_engine(workers=0) == InProcessEngine()
    assert make_engine(workers=3) == ProcessEngine(workers=3)
    assert make_engine() == ProcessEngine(workers=usable_cpus())
