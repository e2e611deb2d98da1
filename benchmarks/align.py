"""``fer-prep align`` on all processors against MediaPipe's face mesh that does nothing but detect, in the same run.

The reference: a process a processor, each with ``mp.solutions.face_mesh`` over pictures that are decoded already; the
points are not even read. Against it the whole of ``align``, raw files to a finished prepared folder, by as many worker
processes. Both are timed once their processes are under way; they take turns, and the median of the ratios is printed.

    python -m benchmarks.align --root data/raw/CalD3r [--turns 7] [--workers 2]

Goal: 35 %.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from fer_prep.engines.engine import usable_cpus
from fer_prep.engines.process_engine import ONE_THREAD, ProcessEngine
from fer_prep.formats.images import read_rgb
from fer_prep.prepare.prepare_tree import prepare
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.sources.cald3r_mend3s import RgbdPairs

GOAL = 0.35
WARM_UP = 10
"""Samples a worker before its time begins: it starts, imports, and loads models."""


def pictures_a_second(files: tuple[Path, ...]) -> float:
    """How fast this process detects; the first call loads and shows all pictures once before the clock starts."""
    process, pictures = _loaded(files)
    start = time.perf_counter()
    for picture in pictures:
        process(picture)
    return len(pictures) / (time.perf_counter() - start)


@cache
def _loaded(files: tuple[Path, ...]) -> tuple[Callable[[Any], Any], list[Any]]:
    import mediapipe

    mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=4, refine_landmarks=True)
    pictures = [read_rgb(file.read_bytes()) for file in files]
    for picture in pictures:
        mesh.process(picture)
    return mesh.process, pictures


def samples_a_second(source: RgbdPairs, root: Path, out: Path, *, workers: int) -> float:
    """How fast ``align`` finishes samples once all workers are warm."""
    finished: list[float] = []

    @contextmanager
    def clock(title: str, *, total: int, unit: str = "samples") -> Generator[Callable[[int], None]]:
        del title, total, unit
        yield lambda count: finished.extend([time.perf_counter()] * count)

    engine = ProcessEngine(workers=workers)
    prepare(source, root=root, out=out, settings=PrepareSettings(), engine=engine, progress=clock)
    counted = finished[WARM_UP * workers :]
    if len(counted) < 20:
        raise SystemExit(f"{len(finished)} samples are too few to be timed: more subjects are needed")
    return (len(counted) - 1) / (counted[-1] - counted[0])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/raw/CalD3r"), help="a CalD3r or MenD3s tree")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--workers", type=int, default=usable_cpus())
    options = parser.parse_args()
    os.environ.update(ONE_THREAD)
    source = RgbdPairs(dataset="mend3s" if options.root.name.lower() == "mend3s" else "cald3r")
    samples = source.list_samples(options.root).samples
    files = tuple(sample.files["rgb"] for sample in samples)
    print(f"{usable_cpus()} processors, {options.workers} processes, load {os.getloadavg()[0]:.1f} before")
    pools = [ProcessPoolExecutor(1, mp_context=get_context("spawn")) for _ in range(options.workers)]
    shares: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        for turn in range(options.turns):
            detect = sum([done.result() for done in [pool.submit(pictures_a_second, files) for pool in pools]])
            align = samples_a_second(source, options.root, Path(scratch, str(turn)), workers=options.workers)
            shares.append(align / detect)
            print(f"MediaPipe alone {detect:6.1f}/s, align {align:6.1f}/s: {shares[-1]:.0%}", flush=True)
    for pool in pools:
        pool.shutdown()
    low, middle, high = statistics.quantiles(shares, n=4)
    print(f"{middle:.0%} ({low:.0%} to {high:.0%}); goal {GOAL:.0%}: {'reached' if middle >= GOAL else 'missed'}")


if __name__ == "__main__":
    main()
