"""What one raw BU-3DFE mesh or Bosphorus scan costs, stage by stage, on one core at 512 × 512.

    OMP_NUM_THREADS=1 python -m benchmarks.render --root data/raw [--rounds 5] [--memory-samples 10000]

Stages: *read* (files → arrays), *geometry* (arrays → colour and depth on the same rays), *encode* (depth to uint16, two
PNG files in memory). Beside them, in the same run and from the same arrays, the thesis's way to the depth map alone.
Then the throughput of two worker processes against one, and the memory of a worker over many samples.

Reported is the median over recordings of the least processor time in all rounds: what the work costs where other
programs on the machine disturb it least. All of it is measured in a worker process as the prepare commands start it:
one thread, and an allocator that keeps freed memory. Beside it stands a fixed piece of work (sorting a million random
numbers) in the same rounds: processors that share a core with other programs need more time for that, too.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import psutil

from benchmarks.render_stages import Recording, encode, recordings, seconds, see
from benchmarks.thesis_rendering import cubic_griddata, vtk_problem, vtk_z_buffer
from fer_prep.engines.engine import WorkerDied
from fer_prep.engines.process_engine import ProcessEngine
from fer_prep.formats.bnt import RangeGrid
from fer_prep.geometry.renderers import DEFAULT_RENDERER, Renderer, choose_renderer, probe_renderers

GOALS_MS = {"bu3dfe": 80.0, "bosphorus": 60.0}
GOAL_TWO_WORKERS = 1.8
GOAL_MEMORY_MIB = 1000.0
FLAT_MIB = 8.0
STAGES = ("read", "geometry", "encode")
WARM_UP = 4


def time_stages(recording: Recording, *, renderer: Renderer) -> tuple[float, float, float]:
    """Processor milliseconds of read, geometry and encode."""
    read_s, (shape, picture) = seconds(recording.read)  # type: ignore[misc]
    geometry_s, frame = seconds(lambda: see(shape, picture, renderer=renderer))
    encode_s, _ = seconds(lambda: encode(frame))  # type: ignore[arg-type]
    return 1e3 * read_s, 1e3 * geometry_s, 1e3 * encode_s


def time_thesis_way(recording: Recording) -> float:
    """Processor milliseconds of the thesis's way from arrays to a depth map."""
    shape, _ = recording.read()
    if isinstance(shape, RangeGrid):
        return 1e3 * seconds(lambda: cubic_griddata(shape.points_mm, shape.image_uv, shape.valid))[0]
    return 1e3 * seconds(lambda: vtk_z_buffer(shape.vertices, shape.faces))[0]


@dataclass(frozen=True)
class Stages:
    """Processor milliseconds of the stages and of the fixed piece of work, in a worker process."""

    renderer: str

    def __call__(self, recording: Recording) -> tuple[float, ...]:
        """Time them once."""
        cv2.setNumThreads(1)
        numbers = np.random.default_rng(0).random(1_000_000)
        fixed_s, _ = seconds(lambda: np.sort(numbers))
        return *time_stages(recording, renderer=choose_renderer(self.renderer)), 1e3 * fixed_s


def in_worker(function: Callable, items: list[Recording]) -> list:
    """What one worker says to the items, in their order; the first is done twice, to warm up."""
    results = [result for _, result in ProcessEngine(workers=1).run(function, items=[items[0], *items])]
    if dead := [result for result in results if isinstance(result, WorkerDied)]:
        raise RuntimeError(dead[0].reason)
    return results[1:]


def report_stages(dataset: str, items: list[Recording], *, rounds: int, renderer: str) -> None:
    """Print the stages' medians, their sum against the goal, and the thesis's way."""
    timed = np.array(in_worker(Stages(renderer), items * rounds)).reshape(rounds, len(items), -1)
    *medians, fixed = np.median(timed.min(axis=0), axis=0).tolist()
    total, goal = sum(medians), GOALS_MS[dataset]
    parts = "   ".join(f"{stage} {value:6.1f}" for stage, value in zip(STAGES, medians, strict=True))
    verdict = "reached" if total <= goal else "missed"
    print(f"{dataset:10} {parts}   total {total:6.1f} ms   goal {goal:.0f} ms {verdict}   ({len(items)} recordings)")
    print(f"{'':10} the fixed piece of work: {fixed:6.1f} ms")
    problem = vtk_problem() if dataset == "bu3dfe" else ""
    name = "VTK z-buffer" if dataset == "bu3dfe" else "griddata cubic"
    if problem:
        print(f"{'':10} thesis ({name}): not measured ({problem})")
        return
    few, rounds = items[:3], min(3, rounds)  # the cubic way takes seconds
    thesis = float(np.median(np.reshape(in_worker(time_thesis_way, few * rounds), (rounds, len(few))).min(axis=0)))
    print(f"{'':10} thesis ({name}), depth only: {thesis:6.1f} ms = {thesis / medians[1]:.2f} × our geometry stage")


class Worked(NamedTuple):
    """What a worker says after a sample: who it is, its resident memory, and the processor time of the sample."""

    process: int
    memory_mib: float
    processor_s: float


@dataclass(frozen=True)
class Whole:
    """All three stages, in a worker process."""

    renderer: str

    def __call__(self, recording: Recording) -> Worked:
        """Read, see, encode."""
        cv2.setNumThreads(1)
        processor_s, _ = seconds(lambda: encode(see(*recording.read(), renderer=choose_renderer(self.renderer))))
        return Worked(os.getpid(), psutil.Process().memory_info().rss / 2**20, processor_s)


def run_workers(items: list[Recording], *, workers: int, count: int, renderer: str) -> tuple[float, list[Worked]]:
    """Samples a second of ``workers`` processes that are all at work, and what they said of ``count`` samples.

    The clock starts when every worker has done a few, and stops while all still have something to do.
    """
    done: Counter[int] = Counter()
    said: list[Worked] = []
    start = 0.0
    with closing(ProcessEngine(workers=workers).run(Whole(renderer), items=cycle(items))) as results:
        for _, result in results:
            if isinstance(result, WorkerDied):
                raise RuntimeError(result.reason)
            if start:
                said.append(result)
                if len(said) == count:
                    break
                continue
            done[result.process] += 1
            if len(done) == workers and min(done.values()) >= WARM_UP:
                start = time.perf_counter()
    return count / (time.perf_counter() - start), said


def report_workers(dataset: str, items: list[Recording], *, count: int, renderer: str) -> None:
    """Print the throughput of two workers against one, as the better of two runs each."""
    rates, processor_ms = dict.fromkeys((1, 2), 0.0), dict.fromkeys((1, 2), np.inf)
    for _ in range(2):
        for workers in rates:
            rate, said = run_workers(items, workers=workers, count=count, renderer=renderer)
            rates[workers] = max(rates[workers], rate)
            processor_ms[workers] = min(processor_ms[workers], 1e3 * float(np.mean([one.processor_s for one in said])))
    ratio = rates[2] / rates[1]
    verdict = "reached" if ratio >= GOAL_TWO_WORKERS else "missed"
    print(f"{dataset:10} one worker {rates[1]:5.1f}/s   two workers {rates[2]:5.1f}/s   ratio {ratio:.2f} ({verdict})")
    print(f"{'':10} processor time a sample: {processor_ms[1]:.1f} ms with one, {processor_ms[2]:.1f} ms with two")


def report_memory(dataset: str, items: list[Recording], *, count: int, renderer: str) -> None:
    """Print the memory of one worker after its first tenth and at the end; the recordings come again and again."""
    _, said = run_workers(items, workers=1, count=count, renderer=renderer)
    memory = [one.memory_mib for one in said]
    early, late = memory[len(memory) // 10], memory[-1]
    verdict = "reached" if max(memory) < GOAL_MEMORY_MIB and late - early < FLAT_MIB else "missed"
    print(
        f"{dataset:10} memory after {len(memory) // 10} samples {early:.0f} MiB,"
        f" after {len(memory)} {late:.0f} MiB, peak {max(memory):.0f} MiB ({verdict})"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/raw"), help="a folder with both trees below it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--renderer", default=DEFAULT_RENDERER, help="or one of: " + ", ".join(probe_renderers()))
    parser.add_argument("--samples", type=int, default=150, help="for the throughput of workers")
    parser.add_argument("--memory-samples", type=int, default=300)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    renderer = choose_renderer(options.renderer)
    found = recordings(options.root)
    if not found:
        parser.error(f"no whole BU-3DFE or Bosphorus recordings below {options.root}")
    load = os.getloadavg()[0]
    print(
        f"{os.cpu_count()}-core CPU ({platform.machine()}), Python {platform.python_version()}, NumPy {np.__version__}"
    )
    print(f"renderer {renderer.name}, load before the start {load:.1f}")
    for dataset, items in found.items():
        report_stages(dataset, items, rounds=options.rounds, renderer=options.renderer)
    for dataset, items in found.items():
        report_workers(dataset, items, count=options.samples, renderer=options.renderer)
        report_memory(dataset, items, count=options.memory_samples, renderer=options.renderer)


if __name__ == "__main__":
    main()
