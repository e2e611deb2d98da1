"""``fer-prep align`` against MediaPipe's face mesh that does nothing but detect: processor time of one sample.

The reference: ``mp.solutions.face_mesh`` over pictures that are decoded already; its points are not even read. Against
it the whole of what a worker does with a sample, from raw files to its staged ones. On a full machine, where each
processor has a worker, the ratio of the processor times is that of the rates; unlike rates, other programs beside it
disturb it little. Both take turns, and the median of the ratios is printed.

    OMP_NUM_THREADS=1 python -m benchmarks.align --root data/raw/CalD3r [--turns 7]

Goal: 35 %.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import mediapipe

from fer_prep.formats.images import read_rgb
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.prepare.worker import PrepareTask, Task
from fer_prep.sources.cald3r_mend3s import RgbdPairs

GOAL = 0.35


def milliseconds(work: Callable[[int], object], count: int) -> float:
    """Processor time of one of ``count`` pieces of work, all threads together."""
    start = time.process_time()
    for index in range(count):
        work(index)
    return 1e3 * (time.process_time() - start) / count


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/raw/CalD3r"), help="a CalD3r or MenD3s tree")
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    source = RgbdPairs(dataset="mend3s" if options.root.name.lower() == "mend3s" else "cald3r")
    samples = source.list_samples(options.root).samples
    pictures = [read_rgb(sample.files["rgb"].read_bytes()) for sample in samples]
    mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=4, refine_landmarks=True)
    shares: list[float] = []
    print(f"{len(samples)} samples, load {os.getloadavg()[0]:.1f} before")
    with tempfile.TemporaryDirectory() as folder:
        task = PrepareTask(source=source, settings=PrepareSettings(), root=options.root, folder=Path(folder), code="")
        for turn in range(options.turns + 1):
            detect = milliseconds(lambda index: mesh.process(pictures[index]), len(samples))
            align = milliseconds(lambda index: task(Task(sample=samples[index], known=None)), len(samples))
            if turn:  # the first one warms up
                shares.append(detect / align)
                print(f"MediaPipe alone {detect:5.1f} ms, align {align:5.1f} ms: {shares[-1]:.0%}", flush=True)
    low, middle, high = statistics.quantiles(shares, n=4)
    print(f"{middle:.0%} ({low:.0%} to {high:.0%}); goal {GOAL:.0%}: {'reached' if middle >= GOAL else 'missed'}")


if __name__ == "__main__":
    main()
