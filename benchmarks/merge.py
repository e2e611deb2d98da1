"""Merging at the thesis's full size, and how fast the result is read.

Repeats the samples of prepared folders under new names (hard links) until there are as many as the reference thesis
had: 8,716 of CalD3r and MenD3s, 2,500 of BU-3DFE, 902 of Bosphorus. Merges them, writes the very same pixels with
a plain sequential h5py loop in the same run, and reads both, a contiguous file and a raw memory map beside them.

Goals: a merge reaches at least 0.4 of the plain write's rate, by the wall clock of a quiet machine; random reads of
the file 0.8 of the map's.

    python benchmarks/merge.py data/prepared/* --work bench
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from fer_prep.dataset.reader import DatasetFile
from fer_prep.digests import bytes_digest, data_digest
from fer_prep.merge.merge_folders import merge
from fer_prep.prepare.folder import SAMPLES, SUMMARY, PreparedFolder, sample_file, table_name
from fer_prep.prepare.folder_tables import samples_text
from fer_prep.prepare.landmark_tables import table_bytes

FULL_SIZE = 8716 + 2500 + 902


@contextmanager
def timed(seconds: dict[str, tuple[float, float]], name: str) -> Iterator[None]:
    """Put the wall and the processor seconds of the block into ``seconds``."""
    wall, busy = time.perf_counter(), time.process_time()
    yield
    seconds[name] = (time.perf_counter() - wall, time.process_time() - busy)


def repeat_folders(sources: list[Path], work: Path, *, samples: int) -> list[Path]:
    """Prepared folders with ``samples`` samples in all, made of hard links to those of ``sources``."""
    folders = [PreparedFolder.open(path) for path in sources]
    total = sum(len(folder.rows) for folder in folders)
    made = []
    for number, folder in enumerate(folders):
        wanted = samples * len(folder.rows) // total
        if number == len(folders) - 1:
            wanted = samples - sum(count for _, count in made)
        out = work / "prepared" / f"{number}-{folder.dataset}"
        _repeat(folder, out, count=wanted)
        made.append((out, wanted))
    return [path for path, _ in made]


def _repeat(folder: PreparedFolder, out: Path, *, count: int) -> None:
    for part in ("rgb", "depth"):
        (out / part).mkdir(parents=True)
    rows = []
    for number in range(count):
        row = folder.rows[number % len(folder.rows)]
        name = row["id"].split("/", 1)[1]
        again = f"{name}-r{number // len(folder.rows):04d}"
        os.link(folder.rgb_path(name), sample_file(out, "rgb", again))
        os.link(folder.depth_path(name), sample_file(out, "depth", again))
        rows.append({**row, "id": f"{folder.dataset}/{again}", "subject": f"{row['subject']}-{number % 100}"})
    tables = {SAMPLES: samples_text(rows).encode()}
    repeated = np.arange(count) % len(folder.rows)
    for scheme, points in folder.landmarks.items():
        tables[table_name(scheme)] = table_bytes(points.take(repeated), ids=[row["id"] for row in rows])
    for name, content in tables.items():
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(content)
    summary = dict(folder.summary)
    summary["counts"] = {**summary["counts"], "samples": count}
    summary["digest"] = data_digest((row["digest"] for row in rows), (row["label"] for row in rows))
    summary["tables"] = {**summary["tables"], **{name: bytes_digest(content) for name, content in tables.items()}}
    (out / SUMMARY).write_text(json.dumps(summary), encoding="utf-8")


def write_plainly(data: DatasetFile, path: Path, *, chunked: bool) -> None:
    """The pixels of ``data``, one sample after another, by h5py's ordinary assignment; synced like a merge."""
    block = 256
    # pixels come from memory, so that only writing is timed: a block is read once and written again and again
    rgb, depth = data.read("rgb", range(min(block, data.n))), data.read("depth", range(min(block, data.n)))
    with h5py.File(path, "w", libver="earliest") as root:
        for name, pixels in (("rgb", rgb), ("depth", depth)):
            shape = (data.n, *pixels.shape[1:])
            chunks = (1, *pixels.shape[1:]) if chunked else None
            root.create_dataset(name, shape, pixels.dtype, chunks=chunks, track_times=False)
        rgb_out, depth_out = root["rgb"], root["depth"]
        for row in range(data.n):
            rgb_out[row] = rgb[row % len(rgb)]
            depth_out[row] = depth[row % len(depth)]
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def read_rates(read: Callable[[int], object], *, n: int, samples: int) -> tuple[float, float]:
    """Samples a second in random and in sequential order, best of two."""
    order = np.random.default_rng(0).integers(0, n, samples)
    rates = []
    for rows in (order, np.arange(min(samples, n))):
        best = np.inf
        for _ in range(2):
            start = time.perf_counter()
            for row in rows:
                read(int(row))
            best = min(best, time.perf_counter() - start)
        rates.append(len(rows) / best)
    return rates[0], rates[1]


def measure_reading(path: Path, work: Path, *, samples: int) -> dict[str, tuple[float, float]]:
    """Read rates of the dataset, of plain h5py on it, of a contiguous copy, and of a memory map."""
    rates = {}
    with DatasetFile.open(path) as data:
        rates["DatasetFile"] = read_rates(
            lambda row: (data.read("rgb", [row]), data.read("depth", [row])), n=data.n, samples=samples
        )
        rates["raw memory map"] = _map_rates(data, work / "raw.npy", samples=samples)
        contiguous = work / "contiguous.h5"
        write_plainly(data, contiguous, chunked=False)
        for name, file in (("h5py, this file", path), ("h5py, contiguous", contiguous)):
            with h5py.File(file, "r") as root:
                rgb, depth = root["rgb"], root["depth"]
                rates[name] = read_rates(
                    lambda row, rgb=rgb, depth=depth: (rgb[row], depth[row]), n=data.n, samples=samples
                )
        contiguous.unlink()
    return rates


def _map_rates(data: DatasetFile, path: Path, *, samples: int) -> tuple[float, float]:
    """Copying samples of the same number of bytes out of a memory map: what the machine can do at best."""
    mapped = np.lib.format.open_memmap(path, "w+", np.uint8, (data.n, data.height, data.width, 5))
    for row in range(data.n):
        mapped[row] = row % 251
    mapped.flush()
    rates = read_rates(lambda row: mapped[row].copy(), n=data.n, samples=samples)
    path.unlink()
    return rates


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", nargs="+", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="a folder to make and remove; 9 GB at full size")
    parser.add_argument("--samples", type=int, default=FULL_SIZE)
    parser.add_argument("--size", type=int, default=260)
    parser.add_argument("--reads", type=int, default=3000)
    arguments = parser.parse_args()
    arguments.work.mkdir()
    try:
        folders = repeat_folders(arguments.prepared, arguments.work, samples=arguments.samples)
        seconds: dict[str, tuple[float, float]] = {}
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        out = arguments.work / "global.h5"
        with timed(seconds, "merge"):
            summary = merge(folders, out=out, size=arguments.size)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with DatasetFile.open(out) as data, timed(seconds, "plain h5py write"):
            write_plainly(data, arguments.work / "plain.h5", chunked=True)
        (arguments.work / "plain.h5").unlink()
        megabytes = summary.bytes_written / 1e6
        print(f"{summary.n} samples of {summary.size}², {megabytes:.0f} MB, {os.cpu_count()} processors")
        print(f"other programs ran beside it: load {os.getloadavg()[0]:.1f}, of which about {os.cpu_count()} its own")
        for name, (wall, busy) in seconds.items():
            rate = f"{summary.n / wall:8.0f} samples/s {megabytes / wall:7.0f} MB/s"
            print(f"{name:>18}: {wall:7.1f} s (processor {busy:.1f} s) {rate}")
        (merge_wall, merge_busy), (plain_wall, plain_busy) = seconds["merge"], seconds["plain h5py write"]
        print(f"merge reaches {plain_wall / merge_wall:.0%} of the plain write; were all processors its own, up to")
        print(f"{plain_busy / merge_busy * (os.cpu_count() or 1):.0%}: {merge_busy / plain_busy:.1f} times the work")
        print(f"peak memory {peak / 1024:.0f} MB ({before / 1024:.0f} MB before the merge)")
        print(f"{'read':>18}: random, sequential samples/s")
        for name, (random, sequential) in measure_reading(out, arguments.work, samples=arguments.reads).items():
            print(f"{name:>18}: {random:8.0f} {sequential:8.0f}")
    finally:
        shutil.rmtree(arguments.work)


if __name__ == "__main__":
    main()
