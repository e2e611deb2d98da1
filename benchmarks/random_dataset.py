"""Write a dataset of random pixels, for timing a training where there are no recordings and no OpenCV.

    python -m benchmarks.random_dataset --out random.h5 [--samples 10895] [--size 260]

10,895 samples make five folds that train on 8,716 each, as many as the thesis did.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.writer import DatasetWriter, measure
from fer_prep.emotions import EMOTIONS
from fer_prep.folds.default import folds_path
from fer_prep.folds.splits import make_folds, write_folds
from fer_prep.samples_table import COLUMNS

PEOPLE = 35


def write_random_dataset(path: Path, *, samples: int, size: int, seed: int = 0) -> None:
    """Write the file and its default folds beside it; every person shows every class."""
    rng = np.random.default_rng(seed)
    rows = [row_of(index) for index in range(samples)]
    rows.sort(key=lambda row: row["id"])
    writer = DatasetWriter(path, n=samples, size=size, classes=EMOTIONS)
    for row in rows:
        rgb = rng.integers(0, 256, (size, size, 3), np.uint8)
        depth = rng.integers(0, 20_000, (size, size), np.uint16)
        writer.append(measure(row, rgb, depth))
    writer.finish(settings={"made_by": "benchmarks.random_dataset"})
    with DatasetFile.open(path) as data:
        write_folds(make_folds(data), folds_path(path), data=data)


def row_of(index: int) -> dict[str, object]:
    """The table's row of one sample: what is not known of it is empty, 0 or NaN."""
    nothing = {"str": "", "f4": float("nan")}
    row: dict[str, object] = {c.name: np.full(c.width, nothing.get(c.kind, 0)) for c in COLUMNS if c.width > 1}
    row |= {c.name: nothing.get(c.kind, 0) for c in COLUMNS if c.width == 1}
    label, person = index % len(EMOTIONS), index // len(EMOTIONS) % PEOPLE
    row |= {"id": f"random/{index:06d}", "dataset": "random", "subject": f"random:{person}", "label": label}
    return row | {"label_source": "posed", "source_file": f"{index}.png"}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=10_895)
    parser.add_argument("--size", type=int, default=260)
    options = parser.parse_args()
    write_random_dataset(options.out, samples=options.samples, size=options.size)


if __name__ == "__main__":
    main()
