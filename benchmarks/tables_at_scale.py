"""What the tables of a very large dataset cost: no pixels, 1.8 million rows by default (4DFAB has as many frames).

    python -m benchmarks.tables_at_scale [--samples 1800000] [--subjects 180] [--work FOLDER]

Writes a dataset whose pixels are never allocated (HDF5 stores no chunk that was not written), then runs every step that
handles all rows at once, each in a process of its own: processor seconds, and the most memory it held beyond that of an
idle one. Reading ``samples.csv`` is measured on 1/18 of the rows and scaled.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.schema import FORMAT, FORMAT_VERSION, STATISTICS
from fer_prep.digests import data_digest
from fer_prep.emotions import EMOTIONS
from fer_prep.findings import CheckReport
from fer_prep.folds.splits import make_folds, read_folds, subjects_on_both_sides, write_folds
from fer_prep.inspection.check_dataset import check_coverage, check_table
from fer_prep.inspection.confounding import describe_confounding
from fer_prep.inspection.statistics import counts_csv, draw_distributions, subjects_table
from fer_prep.prepare.folder_tables import read_samples, samples_text
from fer_prep.samples_table import COLUMNS

SIZE = 260


def main() -> None:
    """Make the file, run the steps, print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--samples", type=int, default=1_800_000)
    parser.add_argument("--subjects", type=int, default=180)
    parser.add_argument("--work", type=Path, help="a folder to keep the dataset in, for a second run")
    parser.add_argument("--step", default="", help=f"only one of {', '.join(s.__name__ for s in STEPS.values())}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = (options.work or Path(folder)) / "global.h5"
        if not path.exists():
            write_empty_dataset(path, samples=options.samples, subjects=options.subjects)
        megabytes = path.stat().st_size / 1e6
        print(f"{options.samples} samples of {options.subjects} people; the tables take {megabytes:.0f} MB")
        for name, step in STEPS.items():
            if options.step not in ("", step.__name__):
                continue
            seconds, extra_mb, said = in_process(step, path)
            print(f"{name:<44} {seconds:8.1f} s {extra_mb:8.0f} MB   {said}", flush=True)


def write_empty_dataset(path: Path, *, samples: int, subjects: int) -> None:
    """A dataset with all its tables and pixels that read as zeros; sorted by id."""
    number = np.arange(samples)
    person = number * subjects // samples
    texts = {
        "id": [f"4dfab/S{p:03d}_{n:07d}" for p, n in zip(person, number, strict=True)],
        "subject": [f"4dfab:S{p:03d}" for p in person],
        "dataset": ["4dfab"] * samples,
        "source_file": [f"S{p:03d}/{n:07d}.obj" for p, n in zip(person, number, strict=True)],
        "digest": [f"{n:032x}" for n in number],
        "label_source": ["posed"] * samples,
        "rgb_source": ["texture"] * samples,
        "landmarks_from": ["dataset"] * samples,
    }
    labels = (number % len(EMOTIONS)).astype(np.uint8)
    with h5py.File(path, "w", libver="earliest") as root:
        root.create_dataset("rgb", (samples, SIZE, SIZE, 3), "u1", chunks=(1, SIZE, SIZE, 3))
        root.create_dataset("depth", (samples, SIZE, SIZE), "<u2", chunks=(1, SIZE, SIZE))
        for column in COLUMNS:
            if column.kind == "str":
                root[f"samples/{column.name}"] = np.array(texts.get(column.name, [""] * samples), "S")
            else:
                shape = (samples, 2) if column.width == 2 else (samples,)
                root[f"samples/{column.name}"] = labels if column.name == "label" else np.ones(shape, column.kind)
        _mark_text(root)
        for name, shape in STATISTICS.items():
            root[f"statistics/{name}"] = np.full((samples, *shape), SIZE * SIZE, np.uint64)
        root.attrs["format"], root.attrs["format_version"] = FORMAT, FORMAT_VERSION
        root.attrs["classes"], root.attrs["depth_unit_mm"] = list(EMOTIONS), 0.01
        root.attrs["created_by"], root.attrs["settings"] = "benchmark", "{}"
        root.attrs["digest"] = data_digest(texts["digest"], labels.tolist())


def _mark_text(root: h5py.File) -> None:
    """Fixed-length text as the writer stores it: UTF-8."""
    for column in COLUMNS:
        if column.kind == "str":
            values = root[f"samples/{column.name}"][:]
            del root[f"samples/{column.name}"]
            kind = h5py.string_dtype("utf-8", max(1, values.dtype.itemsize))
            root.create_dataset(f"samples/{column.name}", data=values.astype(kind), dtype=kind)


def in_process(step: Callable[[Path], str], path: Path) -> tuple[float, float, str]:
    """Processor seconds, megabytes beyond an idle process, and what the step says."""
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    process = context.Process(target=_measured, args=(step, path, answers))
    process.start()
    answer = answers.get()
    process.join()
    return answer


def _measured(step: Callable[[Path], str], path: Path, answers: Any) -> None:
    idle = _peak_mb()
    start = time.process_time()
    said = step(path)
    seconds = time.process_time() - start
    answers.put((seconds, _peak_mb() - idle, said))


def read_csv(path: Path) -> str:
    """samples.csv of a prepared folder, as merging holds it; scaled from a part of the rows."""
    with DatasetFile.open(path) as data:
        rows = range(0, data.n, 18)
        columns = {column.name: data.column(column.name)[::18] for column in COLUMNS}
        table = path.with_name("samples.csv")
        table.write_text(samples_text({name: values[i] for name, values in columns.items()} for i in range(len(rows))))
    before, start = _resident_mb(), time.process_time()
    kept = read_samples(table)
    seconds, grown = time.process_time() - start, _resident_mb() - before
    return f"{len(kept)} rows: {grown:.0f} MB; all of them {18 * seconds:.0f} s, {18 * grown:.0f} MB"


def _resident_mb() -> float:
    return _memory_mb("VmRSS")


def _peak_mb() -> float:
    """Of this program alone: getrusage would begin with the peak of the process that started it."""
    return _memory_mb("VmHWM")


def _memory_mb(name: str) -> float:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024 / 1e6


def open_and_read(path: Path) -> str:
    """Every column of /samples."""
    with DatasetFile.open(path) as data:
        for name in data.column_names():
            data.column(name)
        return f"{len(data.column_names())} columns"


def folds(path: Path) -> str:
    """The default folds, made and written."""
    with DatasetFile.open(path) as data:
        manifest = make_folds(data)
        write_folds(manifest, path.with_suffix(".folds.json"), data=data)
    return f"{path.with_suffix('.folds.json').stat().st_size / 1e6:.0f} MB of JSON"


def folds_again(path: Path) -> str:
    """The folds read and validated, and what they share looked for."""
    with DatasetFile.open(path) as data:
        manifest = read_folds(path.with_suffix(".folds.json"), data=data)
        return f"{sum(subjects_on_both_sides(manifest, data))} people on both sides"


def a_fold_of_rows(path: Path) -> str:
    """What training asks of the tables: row numbers of a fold, its mean and std."""
    with DatasetFile.open(path) as data:
        manifest = read_folds(path.with_suffix(".folds.json"))
        rows = data.rows_of(manifest.fold(0).train)
        return f"mean {data.statistics(rows).rgb.mean[0]:.2f} over {len(rows)} rows"


def check(path: Path) -> str:
    """fer-prep check, without --deep."""
    report = CheckReport(path=str(path), kind="dataset")
    with DatasetFile.open(path) as data:
        check_table(data, report)
        check_coverage(data, report)
        describe_confounding(data, report)
    return f"{len(report.findings)} findings"


def stats(path: Path) -> str:
    """fer-prep stats, but for the depth range, which reads all pixels."""
    with DatasetFile.open(path) as data:
        picture = draw_distributions(data)
        return f"{len(counts_csv(data).splitlines())} lines, {len(subjects_table(data))} dataset, {len(picture)} bytes"


STEPS: dict[str, Callable[[Path], str]] = {
    "samples.csv read (a part)": read_csv,
    "open, read all columns": open_and_read,
    "check": check,
    "stats": stats,
    "folds made, validated, written": folds,
    "folds read, validated": folds_again,
    "rows, mean and std of a fold": a_fold_of_rows,
}

if __name__ == "__main__":
    main()
