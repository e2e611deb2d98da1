"""``fer-train fit`` beside busy programs: what it takes, against a fair share of the processors and an empty machine.

On P processors with B busy programs beside it, a program of P threads has P of B + P shares: a fit that kept them all
busy takes (B + P) / P times as long, 4 times with two processors and six programs. Goal: at most 1.6 times that.
Rounds alternate between both, each a whole ``fer-train fit`` of its own, and the first of each counts for nothing.
On a machine where others are at work "alone" is not alone, and the quotient flatters; the load is printed with it.

    python -m benchmarks.shared_machine --data global.h5 --rounds 3 [--busy 6] [--preset demo --epochs 4]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPIN = "while True: pass"
FAIR_LIMIT = 1.6


def seconds_of_a_fit(data: Path, *, preset: str, epochs: int) -> float:
    """A whole run in a process of its own, without drawing a conclusion from its numbers."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["fit", "--data", str(data.resolve()), "--preset", preset, "--epochs", str(epochs), "--no-baselines"]
        command = [sys.executable, "-m", "fer_train", *words, "--out", f"{folder}/run"]
        environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=environment)
        return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, default=6)
    chosen = parser.parse_args()
    processors = len(os.sched_getaffinity(0))
    fair = (chosen.busy + processors) / processors
    print(f"{processors} processors, {chosen.busy} busy programs, load before: {os.getloadavg()[0]:.1f}")
    quotients: list[float] = []
    for number in range(chosen.rounds + 1):
        alone = seconds_of_a_fit(chosen.data, preset=chosen.preset, epochs=chosen.epochs)
        busy = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(chosen.busy)]
        try:
            beside = seconds_of_a_fit(chosen.data, preset=chosen.preset, epochs=chosen.epochs)
        finally:
            for program in busy:
                program.kill()
                program.wait()
        print(
            f"round {number}: alone {alone:.1f} s, beside {beside:.1f} s, {beside / alone / fair:.2f} of a fair share"
        )
        if number:
            quotients.append(beside / alone / fair)
    found = statistics.median(quotients)
    print(f"median {found:.2f} of a fair share (goal: at most {FAIR_LIMIT})")


if __name__ == "__main__":
    main()
