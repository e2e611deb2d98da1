"""What datasets cost in hours, bytes and memory, from measured rates (``results/rates.toml``) and nothing else.

    python -m benchmarks.cost_model                        # the tables, Markdown
    python -m benchmarks.cost_model --write docs/scale.md  # put them into the page

The arithmetic: workers share the work evenly, up to the rate of what only one process can do. A GPU rate has not been
measured, so that there is no row for training.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RATES = Path(__file__).parent / "results" / "rates.toml"
BEGIN, END = "<!-- cost model: begin -->", "<!-- cost model: end -->"
WORKERS = (1, 8, 64)
PIXEL_BYTES = 260 * 260 * (3 + 2)
"""One sample of the HDF5 file: RGB in 8 and depth in 16 bits."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """How many recordings of each kind."""

    name: str
    meshes: int = 0
    scans: int = 0
    pairs: int = 0

    @property
    def samples(self) -> int:
        """All of them."""
        return self.meshes + self.scans + self.pairs


DATASETS = (
    Dataset(name="the thesis's Global dataset", meshes=2500, scans=902, pairs=8716),
    Dataset(name="BU-4DFE", meshes=60_600),
    Dataset(name="4DFAB", meshes=1_800_000),
)
"""A frame of BU-4DFE and 4DFAB is taken to cost what a BU-3DFE mesh costs: nobody here has them."""


def read_rates() -> dict[str, float]:
    """Rates that were measured, by name."""
    content = tomllib.loads(RATES.read_text(encoding="utf-8"))
    return {name: float(entry["value"]) for name, entry in content.items() if "value" in entry}


def prepare_ms(dataset: Dataset, rates: Mapping[str, float]) -> float:
    """Processor milliseconds of all workers together."""
    return (
        dataset.meshes * rates["prepare_mesh_ms"]
        + dataset.scans * rates["prepare_scan_ms"]
        + dataset.pairs * rates["prepare_pair_ms"]
    )


def prepare_hours(dataset: Dataset, workers: int, rates: Mapping[str, float]) -> float:
    """Shared by the workers, but never faster than the one process that publishes (Dask's hand-out, the dearer)."""
    one_writer_ms = dataset.samples * (rates["publish_ms"] + rates["hand_out_dask_ms"])
    return max(prepare_ms(dataset, rates) / workers, one_writer_ms) / 3.6e6


def merge_hours(dataset: Dataset, workers: int, rates: Mapping[str, float]) -> float:
    """Shared by the threads of one machine, but never faster than its disk takes the pixels."""
    disk_ms = dataset.samples * PIXEL_BYTES / (1e3 * rates["disk_write_mb_s"])
    return max(dataset.samples * rates["merge_ms"] / workers, disk_ms) / 3.6e6


def time_rows(rates: Mapping[str, float]) -> Iterator[list[str]]:
    """Hours of both steps by dataset and number of workers, and the memory that those workers take together."""
    for dataset in DATASETS:
        for workers in WORKERS:
            yield [
                dataset.name,
                f"{dataset.samples:,}",
                str(workers),
                duration(prepare_hours(dataset, workers, rates)),
                duration(merge_hours(dataset, workers, rates)),
                size(workers * rates["worker_mb"] * 1e6),
            ]


def size_rows(rates: Mapping[str, float]) -> Iterator[list[str]]:
    """Bytes on disk and in the memory of the steps that hold a whole table."""
    for dataset in DATASETS:
        n = dataset.samples
        yield [
            dataset.name,
            size(n * rates["prepared_bytes"]),
            size(n * PIXEL_BYTES),
            size(n * rates["folds_bytes"]),
            size(n * rates["table_bytes"]),
            size(n * rates["folds_memory_bytes"]),
            duration(n * rates["folds_us"] / 3.6e9),
        ]


def limit_rows(rates: Mapping[str, float]) -> Iterator[list[str]]:
    """Where more workers stop helping."""
    mesh, pair = rates["prepare_mesh_ms"], rates["prepare_pair_ms"]
    for engine, hand_out in (("processes", rates["hand_out_processes_ms"]), ("dask", rates["hand_out_dask_ms"])):
        writer = rates["publish_ms"] + hand_out
        yield [
            f"preparing, --engine {engine}",
            f"one process publishes {1000 / writer:,.0f} samples a second",
            f"{mesh / writer:.0f} workers on meshes, {pair / writer:.0f} on RGB-D pairs",
        ]
    disk_ms = PIXEL_BYTES / (1e3 * rates["disk_write_mb_s"])
    yield [
        "merging",
        f"the disk takes {1000 / disk_ms:,.0f} samples a second",
        f"{rates['merge_ms'] / disk_ms:.0f} processors",
    ]


def duration(hours: float) -> str:
    """``2.5 h``, ``7 min`` or ``3 s``."""
    seconds = 3600 * hours
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if hours < 2 else f"{hours:,.1f} h"


def size(count: float) -> str:
    """Bytes as MB, GB or TB (powers of ten)."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1e6:.0f} MB"


def table(titles: Sequence[str], rows: Iterator[list[str]]) -> str:
    """A Markdown table."""
    lines = [list(titles), ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables() -> str:
    """All of the model's tables."""
    rates = read_rates()
    time_titles = ("dataset", "samples", "workers", "prepare", "merge", "memory of the workers")
    size_titles = ("dataset", "prepared folder", "HDF5", "folds", "table while merging", "folds: memory", "folds: time")
    limit_titles = ("step", "bound", "reached by")
    return "\n\n".join(
        (
            table(time_titles, time_rows(rates)),
            table(size_titles, size_rows(rates)),
            table(limit_titles, limit_rows(rates)),
        )
    )


def main() -> None:
    """Print the tables, or write them into a page between its two marks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", type=Path, help="a Markdown page with the two marks")
    options = parser.parse_args()
    if options.write is None:
        print(tables())
        return
    page = options.write.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    options.write.write_text(f"{before}{BEGIN}\n{tables()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
