"""How close an align worker comes to MediaPipe's own throughput, measured in the same run.

The reference is a process in which MediaPipe's face mesh, as its package offers it, processes pictures already decoded;
the points are not even read. (How fast the detector of a worker is alone, points read, is printed as well.) Against it
runs a worker, started the same way, that does all ``fer-prep align`` does to a sample: read and check both PNGs, find
the face, frame, warp, encode, digest, write two PNGs, give them their names. Rounds alternate, so that a busy machine
slows both; the medians are compared.

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
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psutil

from fer_prep.atomic_files import flush_file_system, publish_file
from fer_prep.cli.prepare_commands import ALIGN_THREADS
from fer_prep.engines.engine import ProcessEngine, usable_cpus
from fer_prep.faces.mediapipe_models import MAX_FACES, MIN_CONFIDENCE, detect_faces
from fer_prep.formats.pictures import read_rgb
from fer_prep.prepare.prepare import settings_of_workers
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
    """Runs MediaPipe over pictures held in memory: its own class, or ``ours``, the detector of a worker."""

    ours: bool = False

    def __call__(self, files: tuple[Path, ...]) -> tuple[float, float]:
        """Decode all, warm up, then time detection alone: seconds by the clock and of the processor."""
        detect = detect_faces if self.ours else _mediapipes_own()
        pictures = [read_rgb(file.read_bytes()) for file in files]
        for picture in pictures[:WARM_UP]:
            detect(picture)
        start, start_cpu = time.perf_counter(), time.process_time()
        for picture in pictures:
            detect(picture)
        return time.perf_counter() - start, time.process_time() - start_cpu


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


def mediapipe_alone(samples: list[Sample], *, workers: int, ours: bool = False) -> Speed:
    """MediaPipe in so many processes side by side, each over all pictures."""
    files = tuple(sample.files["rgb"] for sample in samples)
    outcomes: list[Any] = [
        outcome for _, outcome in ProcessEngine(workers=workers).run(DetectOnly(ours), items=[files] * workers)
    ]
    rate = sum(len(samples) / seconds for seconds, _ in outcomes)
    return Speed(rate, 1000 * sum(cpu for _, cpu in outcomes) / (workers * len(samples)))


def align(
    samples: list[Sample],
    *,
    source: RgbdPairs,
    root: Path,
    scratch: Path,
    workers: int,
    threads: int,
    beside: bool = True,
) -> Speed:
    """The work of ``fer-prep align`` from raw files to files under their final names, start-up left out.

    ``scratch`` keeps the files of all rounds: ext4 makes new ones much slower right after many were deleted.
    """
    if True:
        folder = Path(tempfile.mkdtemp(dir=scratch))
        rgb_path(folder, "x").parent.mkdir()
        depth_path(folder, "x").parent.mkdir()
        settings = settings_of_workers(PrepareSettings(), threads=threads if beside else 1)
        task = PrepareTask(source=source, settings=settings, root=root, folder=folder, code="benchmark")
        warm_up = WARM_UP * workers
        items = [Task(sample=sample, known=None) for sample in islice(cycle(samples), warm_up + len(samples) * workers)]
        done, start, cpu_s = 0, 0.0, 0.0
        for item, outcome in ProcessEngine(workers=workers, threads=threads).run(task, items=items):
            if not isinstance(outcome, Staged):
                raise RuntimeError(f"{item.sample.id} was not prepared: {outcome}")
            name = f"{item.sample.name}_{done}"  # repeated samples are new files, as in a first run
            publish_file(outcome.rgb, path=rgb_path(folder, name))
            publish_file(outcome.depth, path=depth_path(folder, name))
            done += 1
            if done == warm_up:
                cpu_s = -processor_seconds()
                start = time.perf_counter()
            elif done == len(items):
                cpu_s += processor_seconds()
        flush_file_system(folder)
        seconds = time.perf_counter() - start
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
        alone: list[Speed] = []
        ours: list[Speed] = []
        together: list[Speed] = []
        aligned: list[Speed] = []
        for number in range(1, options.rounds + 1):
            alone.append(mediapipe_alone(samples, workers=workers))
            ours.append(mediapipe_alone(samples, workers=workers, ours=True))
            how: dict[str, Any] = {
                "source": source,
                "root": options.root,
                "workers": workers,
                "threads": options.threads,
            }
            together.append(align(samples, **how, beside=False))
            aligned.append(align(samples, **how))
            pair = f"MediaPipe alone {alone[-1].rate:6.1f}/s   align {aligned[-1].rate:6.1f}/s"
            pair += f"   its detector alone {ours[-1].rate:6.1f}/s   in one process {together[-1].rate:6.1f}/s"
            print(f"{workers} worker(s), round {number}: {pair}", flush=True)
        rates = [statistics.median(speed.rate for speed in speeds) for speeds in (alone, aligned)]
        cpu_ms = [statistics.median(speed.cpu_ms for speed in speeds) for speeds in (alone, aligned)]
        verdict = "reached" if rates[1] / rates[0] >= GOAL else "missed"
        goal = f"; goal {GOAL:.0%}: {verdict}" if workers == 1 else ""
        print(f"{workers} worker(s), medians: {rates[0]:.1f}/s and {rates[1]:.1f}/s: {rates[1] / rates[0]:.0%}{goal}")
        for text, speeds in (
            ("detector of a worker alone", ours),
            ("align with the detector in the worker's own process", together),
        ):
            rate, cpu = (statistics.median(getattr(speed, name) for speed in speeds) for name in ("rate", "cpu_ms"))
            print(f"  {text}: {rate:.1f}/s, {cpu:.1f} ms")
        print(f"  processor time a sample: {cpu_ms[0]:.1f} ms and {cpu_ms[1]:.1f} ms: {cpu_ms[0] / cpu_ms[1]:.0%}")


if __name__ == "__main__":
    main()
