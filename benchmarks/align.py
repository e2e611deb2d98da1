"""How close an align worker comes to MediaPipe's own throughput, measured in the same run.

The reference is a process in which MediaPipe's face mesh, as its package offers it, processes pictures already decoded;
the points are not even read. (How fast the detector of a worker is alone, points read, is printed as well.) Against it
runs a worker, started the same way, that does all ``fer-prep align`` does to a sample: read and check both PNGs, find
the face, frame, warp, encode, digest, write two PNGs, give them their names.

All of them are started once and then take turns, about a second each: one works, the others wait. What a busy machine
does to one it does to its neighbours in time, so the ratio is taken within each turn, and the median of these is what
is said. The two quartiles beside it say how far to trust it. A turn in which programs other than this one take more
than a tenth of a processor does not count.

    python -m benchmarks.align --root data/raw/CalD3r [--turns 15] [--samples 100] [--workers 1 2]

``--scratch`` is where files are written. ext4 looks at every file deleted within the last minute when it makes a new
one, for half a millisecond where a test suite has just cleaned up: what a new file costs there is printed first.

The share of detection in all processor time, printed last, is the most that can be reached. Goal: 35 %.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import psutil
from rich.progress import track

from fer_prep.atomic_files import flush_file_system, publish_file
from fer_prep.engines.engine import usable_cpus
from fer_prep.engines.process_engine import ONE_THREAD, ProcessEngine
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.faces.mediapipe_models import MAX_FACES, MIN_CONFIDENCE, detect_faces
from fer_prep.formats.images import read_rgb
from fer_prep.prepare.files import depth_path, rgb_path
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.prepare.task import PrepareTask, Staged, Task
from fer_prep.sample import Sample
from fer_prep.sources.cald3r_mend3s import RgbdPairs

GOAL = 0.35
FOREIGN_SHARE = 0.1
REFERENCE = "MediaPipe alone"
BESIDE, WITHIN = "align, detector in a process beside", "align, detector in the worker"


@dataclass(frozen=True)
class Speed:
    """Samples a second of all workers together, and milliseconds of processor time a sample."""

    rate: float
    cpu_ms: float


class Contestant(Protocol):
    """Works when it is asked to, and only then."""

    def turn(self) -> Speed:
        """Work for a while."""
        ...

    def close(self) -> None:
        """End all processes."""
        ...


@dataclass(frozen=True)
class DetectOnly:
    """Runs MediaPipe over pictures held in memory: its own class, or ``ours``, the detector of a worker."""

    files: tuple[Path, ...]
    ours: bool

    def __call__(self, _: None) -> float:
        """Seconds for all pictures; decoded and shown once before the first turn."""
        detect, pictures = _prepared(self)
        start = time.perf_counter()
        for picture in pictures:
            detect(picture)
        return time.perf_counter() - start


@cache
def _prepared(task: DetectOnly) -> tuple[Callable[[Any], Any], list[Any]]:
    detect = detect_faces if task.ours else _mediapipes_own()
    pictures = [read_rgb(file.read_bytes()) for file in task.files]
    for picture in pictures:
        detect(picture)
    return detect, pictures


def _mediapipes_own() -> Callable[[Any], Any]:
    from mediapipe.python.solutions.face_mesh import FaceMesh

    return FaceMesh(
        static_image_mode=True,
        max_num_faces=MAX_FACES,
        refine_landmarks=True,
        min_detection_confidence=MIN_CONFIDENCE,
    ).process


def processor_seconds() -> float:
    """What this process and all that it started have used up, workers and their detectors."""
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(times.user + times.system for times in (process.cpu_times() for process in family))


class MediapipeAlone:
    """MediaPipe in ``workers`` processes side by side, each over all pictures."""

    def __init__(self, samples: list[Sample], *, workers: int, ours: bool = False) -> None:
        self._pictures = len(samples)
        task = DetectOnly(tuple(sample.files["rgb"] for sample in samples), ours)
        self._task, spawn = task, get_context("spawn")
        self._workers = [ProcessPoolExecutor(1, mp_context=spawn) for _ in range(workers)]

    def turn(self) -> Speed:
        """All pictures once, in each process."""
        start_cpu = processor_seconds()
        running = [worker.submit(self._task, None) for worker in self._workers]
        seconds = [future.result() for future in running]
        cpu_s = processor_seconds() - start_cpu
        return Speed(
            rate=sum(self._pictures / each for each in seconds),
            cpu_ms=1000 * cpu_s / (self._pictures * len(self._workers)),
        )

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.shutdown()


class Align:
    """The work of ``fer-prep align``, from raw files to files under their final names."""

    def __init__(
        self,
        samples: list[Sample],
        *,
        source: RgbdPairs,
        root: Path,
        folder: Path,
        workers: int,
        beside: bool,
    ) -> None:
        self._folder = folder
        rgb_path(folder, "x").parent.mkdir(parents=True)
        depth_path(folder, "x").parent.mkdir()
        settings = PrepareSettings(landmarks=FinderSpec(beside=beside))
        task = PrepareTask(source=source, settings=settings, root=root, folder=folder, code="benchmark")
        items = (Task(sample=sample, known=None) for sample in cycle(samples))
        self._run = ProcessEngine(workers=workers).run(task, items=items)
        self._in_flight = 2 * workers
        self._count = len(samples) * workers
        self._done = 0

    def turn(self) -> Speed:
        """All samples once for each worker; those that were finished while others had their turn do not count."""
        self._publish(2 * self._in_flight)
        start, start_cpu = time.perf_counter(), processor_seconds()
        self._publish(self._count)
        flush_file_system(self._folder)
        seconds, cpu_s = time.perf_counter() - start, processor_seconds() - start_cpu
        return Speed(self._count / seconds, 1000 * cpu_s / self._count)

    def _publish(self, count: int) -> None:
        for item, outcome in islice(self._run, count):
            if not isinstance(outcome, Staged):
                raise RuntimeError(f"{item.sample.id} was not prepared: {outcome}")
            name = f"{item.sample.name}_{self._done}"  # repeated samples are new files, as in a first run
            publish_file(outcome.rgb, path=rgb_path(self._folder, name))
            publish_file(outcome.depth, path=depth_path(self._folder, name))
            self._done += 1

    def close(self) -> None:
        """End all processes."""
        self._run.close()


def foreign_seconds() -> float:
    """Processor time that everything but this process and its workers has used up, and other guests of the machine."""
    times = psutil.cpu_times()
    return sum(times[:3]) + sum(times[5:8]) - processor_seconds()  # without idle, iowait and guests counted twice


def compare(contestants: dict[str, Contestant], *, turns: int) -> dict[str, list[Speed]]:
    """Let all take turns, in reverse order every other time: none always follows the one that leaves a processor idle.

    The first round, in which processes start, does not count, nor does a disturbed one.
    """
    speeds: dict[str, list[Speed]] = {name: [] for name in contestants}
    disturbed = 0
    with ExitStack() as stack:
        for contestant in contestants.values():
            stack.callback(contestant.close)
        for turn in track(range(turns + 1), description="turns"):
            of_turn: dict[str, Speed] = {}
            start, start_foreign = time.perf_counter(), foreign_seconds()
            for name in list(contestants)[:: -1 if turn % 2 else 1]:
                of_turn[name] = contestants[name].turn()
                time.sleep(0.2)  # what is still in flight ends
            if foreign_seconds() - start_foreign > FOREIGN_SHARE * (time.perf_counter() - start):
                disturbed += 1
            elif turn:
                for name, speed in of_turn.items():
                    speeds[name].append(speed)
    if len(speeds[REFERENCE]) < 2:
        raise SystemExit(f"other programs were at work in {disturbed} of {turns} turns: nothing can be said")
    print(f"{disturbed} turns left out: other programs at work")
    return speeds


def new_file_ms(folder: Path) -> float:
    """What a new, empty file costs in ``folder``: the median of 50."""

    def create(name: str) -> float:
        start = time.perf_counter()
        (folder / name).touch()
        return time.perf_counter() - start

    return 1000 * statistics.median(create(f".{k}") for k in range(50))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/raw/CalD3r"), help="a CalD3r or MenD3s tree")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--samples", type=int, default=100, help="a turn and worker; short trees are repeated")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, usable_cpus()], help="so many, one after the other"
    )
    parser.add_argument("--scratch", type=Path, help="a folder on the file system to write to")
    options = parser.parse_args()
    os.environ.update(ONE_THREAD)
    source = RgbdPairs(dataset="mend3s" if options.root.name.lower() == "mend3s" else "cald3r")
    samples = list(islice(cycle(source.list_samples(options.root).samples), options.samples))
    load = f"{os.getloadavg()[0]:.1f}"
    print(f"{usable_cpus()} processors, load {load} before; {samples[0].dataset}")
    for workers in dict.fromkeys(options.workers):
        # the files stay until the end: ext4 makes new ones slower right after many were deleted
        with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
            print(f"a new file takes {new_file_ms(Path(scratch)):.2f} ms")
            align = partial(Align, samples, source=source, root=options.root, workers=workers)
            speeds = compare(
                {
                    REFERENCE: MediapipeAlone(samples, workers=workers),
                    BESIDE: align(folder=Path(scratch, "beside"), beside=True),
                    WITHIN: align(folder=Path(scratch, "within"), beside=False),
                    "detector of a worker alone": MediapipeAlone(samples, workers=workers, ours=True),
                },
                turns=options.turns,
            )
        _report(speeds, workers=workers)


def _report(speeds: dict[str, list[Speed]], *, workers: int) -> None:
    print(f"{workers} worker(s), {len(speeds[REFERENCE])} turns")
    shares = {}
    for name, of_name in speeds.items():
        pairs = [speed.rate / reference.rate for speed, reference in zip(of_name, speeds[REFERENCE], strict=True)]
        low, shares[name], high = statistics.quantiles(pairs, n=4)
        rate, cpu_ms = (statistics.median(getattr(speed, part) for speed in of_name) for part in ("rate", "cpu_ms"))
        cores = statistics.median(speed.rate * speed.cpu_ms / 1000 for speed in of_name)
        print(
            f"  {name:36} {rate:6.1f}/s  {shares[name]:4.0%} ({low:.0%} to {high:.0%})  {cpu_ms:5.1f} ms of processor"
            f" time a sample, {cores:.1f} processors busy"
        )
    chosen = WITHIN
    if workers == 1:
        print(f"  goal {GOAL:.0%}: {'reached' if shares[chosen] >= GOAL else 'missed'}")
    detection, whole = (statistics.median(speed.cpu_ms for speed in speeds[name]) for name in (REFERENCE, chosen))
    print(f"  share of detection in the processor time: {detection / whole:.0%}")


if __name__ == "__main__":
    main()
