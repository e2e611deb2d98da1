"""How close an align worker comes to MediaPipe's own throughput, measured in the same run.

One worker process detects faces in pictures that are already decoded (the reference). Another one, started the same
way, does all that ``fer-prep align`` does to a sample: read and check both PNGs, find the face, frame, warp, encode,
digest, write two PNGs durably. Rounds alternate, so that a busy machine slows both; the medians are compared.

    python -m benchmarks.align --root data/raw/CalD3r [--rounds 5] [--samples 200] [--threads 2]

Goal: at least 90 %. The work beside detection overlaps it in further threads, so a worker needs about two processors.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from fer_prep.atomic_files import publish_file
from fer_prep.engine import ProcessEngine
from fer_prep.formats.pictures import read_rgb
from fer_prep.prepare_sample import PrepareSettings
from fer_prep.prepare_task import PrepareTask, Staged, Task
from fer_prep.prepared_files import depth_path, rgb_path
from fer_prep.sample import Sample
from fer_prep.sources.cald3r_mend3s import RgbdPairs

GOAL = 0.90
WARM_UP = 12


@dataclass(frozen=True)
class DetectOnly:
    """Runs MediaPipe over pictures held in memory; returns the seconds it took."""

    def __call__(self, files: tuple[Path, ...]) -> float:
        """Decode all, warm up, then time detection alone."""
        from fer_prep.faces.mediapipe_models import detect_faces

        pictures = [read_rgb(file.read_bytes()) for file in files]
        for picture in pictures[:WARM_UP]:
            detect_faces(picture)
        start = time.perf_counter()
        for picture in pictures:
            detect_faces(picture)
        return time.perf_counter() - start


def detections_per_second(samples: list[Sample]) -> float:
    """Pictures a second of MediaPipe alone in one worker."""
    files = tuple(sample.files["rgb"] for sample in samples)
    ((_, seconds),) = ProcessEngine(workers=1).run(DetectOnly(), items=[files])
    if not isinstance(seconds, float):
        raise RuntimeError(f"the worker died: {seconds}")
    return len(samples) / seconds


def samples_per_second(samples: list[Sample], *, source: RgbdPairs, root: Path, threads: int) -> float:
    """Samples a second of one align worker, from raw files to files under their final names, start-up left out."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rgb_path(folder, "x").parent.mkdir()
        depth_path(folder, "x").parent.mkdir()
        task = PrepareTask(source=source, settings=PrepareSettings(), root=root, folder=folder, code="benchmark")
        items = [Task(sample=sample, known=None) for sample in (*samples[:WARM_UP], *samples)]
        done, start = 0, 0.0
        for item, outcome in ProcessEngine(workers=1, threads=threads).run(task, items=items):
            if isinstance(outcome, Staged):
                publish_file(outcome.rgb, path=rgb_path(folder, item.sample.name))
                publish_file(outcome.depth, path=depth_path(folder, item.sample.name))
            done += 1
            if done == WARM_UP:
                start = time.perf_counter()
        return (done - WARM_UP) / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/raw/CalD3r"), help="a CalD3r or MenD3s tree")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=200, help="a round; short trees are repeated")
    parser.add_argument("--threads", type=int, default=2, help="samples side by side in the worker")
    options = parser.parse_args()
    source = RgbdPairs(dataset="mend3s" if options.root.name.lower() == "mend3s" else "cald3r")
    samples = list(islice(cycle(source.list_samples(options.root).samples), options.samples))
    detections, alignments = [], []
    for number in range(1, options.rounds + 1):
        detections.append(detections_per_second(samples))
        alignments.append(samples_per_second(samples, source=source, root=options.root, threads=options.threads))
        print(f"round {number}: MediaPipe alone {detections[-1]:6.1f}/s   align worker {alignments[-1]:6.1f}/s")
    detection, alignment = statistics.median(detections), statistics.median(alignments)
    ratio = alignment / detection
    print(f"median:  MediaPipe alone {detection:6.1f}/s   align worker {alignment:6.1f}/s   ratio {ratio:.0%}")
    print(f"goal {GOAL:.0%}: {'reached' if ratio >= GOAL else 'missed'}")


if __name__ == "__main__":
    main()
