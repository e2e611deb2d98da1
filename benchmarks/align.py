"""How close an align worker comes to MediaPipe's own throughput, measured in the same run.

The reference is a worker process that detects faces in pictures already decoded, with the one detector that a worker
has. Against it runs a worker, started the same way, that does all ``fer-prep align`` does to a sample: read and check
both PNGs, find the face, frame, warp, encode, digest, write two PNGs, give them their names. Rounds alternate, so that
a busy machine slows both; the medians are compared.

    python -m benchmarks.align --root data/raw/CalD3r [--rounds 5] [--samples 300] [--threads 3] [--workers 1 2]

Goal: at least 90 % for one worker. All but detection overlaps it in further threads of the worker, as long as there
are processors to run them: that is the first table row. With as many workers as processors nothing is left to overlap
with; then the share of detection in all processor time, printed last, is the most that can be reached.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from fer_prep.atomic_files import flush_file_system, publish_file
from fer_prep.cli.prepare_commands import ALIGN_THREADS
from fer_prep.engines.engine import ProcessEngine, usable_cpus
from fer_prep.formats.pictures import read_rgb
from fer_prep.prepare.sample_pixels import PrepareSettings
from fer_prep.prepare.task import PrepareTask, Staged, Task
from fer_prep.prepared.files import depth_path, rgb_path
from fer_prep.sample import Sample
from fer_prep.sources.cald3r_mend3s import RgbdPairs

GOAL = 0.90
WARM_UP = 20


@dataclass(frozen=True)
class Speed:
    """Samples a second of all workers together, and milliseconds of processor time a sample."""

    rate: float
    cpu_ms: float


@dataclass(frozen=True)
class DetectOnly:
    """Runs MediaPipe over pictures held in memory."""

    def __call__(self, files: tuple[Path, ...]) -> tuple[float, float]:
        """Decode all, warm up, then time detection alone: seconds by the clock and of the processor."""
        from fer_prep.faces.mediapipe_models import detect_faces

        pictures = [read_rgb(file.read_bytes()) for file in files]
        for picture in pictures[:WARM_UP]:
            detect_faces(picture)
        start, start_cpu = time.perf_counter(), time.process_time()
        for picture in pictures:
            detect_faces(picture)
        return time.perf_counter() - start, time.process_time() - start_cpu


@dataclass(frozen=True)
class WithProcessorTime:
    """A task whose answers carry the processor time that their worker had used up."""

    task: PrepareTask

    def __call__(self, item: Task) -> tuple[Any, int, float]:
        """The outcome, the worker's process, and its processor time so far in seconds."""
        return self.task(item), os.getpid(), time.process_time()


def mediapipe_alone(samples: list[Sample], *, workers: int) -> Speed:
    """MediaPipe in so many processes side by side, each over all pictures."""
    files = tuple(sample.files["rgb"] for sample in samples)
    outcomes: list[Any] = [
        outcome for _, outcome in ProcessEngine(workers=workers).run(DetectOnly(), items=[files] * workers)
    ]
    rate = sum(len(samples) / seconds for seconds, _ in outcomes)
    return Speed(rate, 1000 * sum(cpu for _, cpu in outcomes) / (workers * len(samples)))


def align(samples: list[Sample], *, source: RgbdPairs, root: Path, workers: int, threads: int) -> Speed:
    """The work of ``fer-prep align`` from raw files to files under their final names, start-up left out."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rgb_path(folder, "x").parent.mkdir()
        depth_path(folder, "x").parent.mkdir()
        task = PrepareTask(source=source, settings=PrepareSettings(), root=root, folder=folder, code="benchmark")
        warm_up = WARM_UP * workers
        items = [Task(sample=sample, known=None) for sample in islice(cycle(samples), warm_up + len(samples) * workers)]
        done, start, first_cpu, last_cpu = 0, 0.0, {}, {}
        own_cpu = 0.0
        for item, answer in ProcessEngine(workers=workers, threads=threads).run(WithProcessorTime(task), items=items):
            if not isinstance(answer, tuple) or not isinstance(answer[0], Staged):
                raise RuntimeError(f"{item.sample.id} was not prepared: {answer}")
            outcome, process, cpu = answer
            publish_file(outcome.rgb, path=rgb_path(folder, item.sample.name))
            publish_file(outcome.depth, path=depth_path(folder, item.sample.name))
            done += 1
            last_cpu[process] = max(cpu, last_cpu.get(process, 0))
            if done <= warm_up:
                start, own_cpu = time.perf_counter(), time.process_time()
                first_cpu = dict(last_cpu)
        flush_file_system(folder)
        seconds = time.perf_counter() - start
        cpu_s = sum(last_cpu[process] - first_cpu.get(process, 0) for process in last_cpu)
        cpu_s += time.process_time() - own_cpu
    return Speed((done - warm_up) / seconds, 1000 * cpu_s / (done - warm_up))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/raw/CalD3r"), help="a CalD3r or MenD3s tree")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=300, help="a round and worker; short trees are repeated")
    parser.add_argument("--threads", type=int, default=ALIGN_THREADS, help="samples side by side in a worker")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, usable_cpus()], help="so many, one after the other"
    )
    options = parser.parse_args()
    source = RgbdPairs(dataset="mend3s" if options.root.name.lower() == "mend3s" else "cald3r")
    samples = list(islice(cycle(source.list_samples(options.root).samples), options.samples))
    load = f"{os.getloadavg()[0]:.1f}"
    print(f"{usable_cpus()} processors, load {load} before; {options.threads} threads a worker; {samples[0].dataset}")
    for workers in dict.fromkeys(options.workers):
        alone, aligned = [], []
        for number in range(1, options.rounds + 1):
            alone.append(mediapipe_alone(samples, workers=workers))
            aligned.append(align(samples, source=source, root=options.root, workers=workers, threads=options.threads))
            pair = f"MediaPipe alone {alone[-1].rate:6.1f}/s   align {aligned[-1].rate:6.1f}/s"
            print(f"{workers} worker(s), round {number}: {pair}", flush=True)
        rates = [statistics.median(speed.rate for speed in speeds) for speeds in (alone, aligned)]
        cpu_ms = [statistics.median(speed.cpu_ms for speed in speeds) for speeds in (alone, aligned)]
        verdict = "reached" if rates[1] / rates[0] >= GOAL else "missed"
        goal = f"; goal {GOAL:.0%}: {verdict}" if workers == 1 else ""
        print(f"{workers} worker(s), medians: {rates[0]:.1f}/s and {rates[1]:.1f}/s: {rates[1] / rates[0]:.0%}{goal}")
        print(f"  processor time a sample: {cpu_ms[0]:.1f} ms and {cpu_ms[1]:.1f} ms: {cpu_ms[0] / cpu_ms[1]:.0%}")


if __name__ == "__main__":
    main()
