"""What the one process that publishes costs a sample: the end of scaling by more workers.

    python -m benchmarks.single_writer [--samples 2000] [--engine dask]

Files are staged first (by workers, in life); timed is what the publishing process does: handing a task out, taking
its result, two renames and a line in the journal. Processor milliseconds of this process, wall time beside them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from fer_prep.atomic_files import stage_file
from fer_prep.engines.choice import make_engine
from fer_prep.prepare.folder import KINDS, files_of, sample_file
from fer_prep.prepare.folder_writer import Record, open_for_writing
from fer_prep.prepare.worker import Task
from fer_prep.sample import Sample

MEASURED = {f"column_{number}": "0.123456" for number in range(14)}


def main() -> None:
    """Print a line for publishing, and one for the engine's own work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--engine", default="processes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder) / "prepared", samples=options.samples)
    hand_out(options.engine, samples=options.samples)


def record_of(name: str) -> Record:
    """A record of the usual size."""
    return Record(name=name, key="0" * 32, files=dict.fromkeys(KINDS, "1" * 32), measured=MEASURED)


def publish(folder: Path, *, samples: int) -> None:
    """Time the writer's part."""
    with open_for_writing(folder, dataset="fake") as writer:
        writer.begin_changes()
        names = [f"F{number:06d}" for number in range(samples)]
        for kind in KINDS:
            files_of(folder, kind).mkdir()
        staged = [{kind: stage_file(sample_file(folder, kind, name), content=b"x") for kind in KINDS} for name in names]
        wall, busy = time.perf_counter(), time.process_time()
        for name, files in zip(names, staged, strict=True):
            writer.publish(record_of(name), staged=files)
        report("publish", samples, wall, busy)


def answer(task: Task) -> Record:
    """A worker without work."""
    return record_of(task.sample.name)


def hand_out(engine: str, *, samples: int) -> None:
    """Time the engine's part in this process, with workers that do nothing."""
    tasks = [
        Task(
            sample=Sample(
                id=f"fake/F{number:06d}",
                dataset="fake",
                subject="fake:F",
                emotion="anger",
                label_source="posed",
                source_file=f"F{number:06d}",
                files={"mesh": Path(f"/data/raw/F{number:06d}.wrl")},
            ),
            known=None,
        )
        for number in range(samples)
    ]
    running = make_engine(engine, workers=2).run(answer, items=tasks)
    next(running)  # the workers have started
    wall, busy = time.perf_counter(), time.process_time()
    done = sum(1 for _ in running)
    report(f"hand out ({engine})", done, wall, busy)


def report(what: str, samples: int, wall: float, busy: float) -> None:
    """One line."""
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    print(f"{what:<22} {1000 * busy / samples:7.3f} ms processor, {1000 * wall / samples:7.3f} ms wall a sample")


if __name__ == "__main__":
    main()
