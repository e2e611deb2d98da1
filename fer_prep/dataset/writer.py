"""Write a ``fer-rgbd`` dataset, one sample at a time, so that equal inputs give equal bytes.

Bytes are reproducible because nothing in the file knows the time, the machine or the order of threads: no object
times, the oldest file layout, fixed-length text, one chunk a sample, written in row order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from fer_prep import __version__
from fer_prep.dataset.schema import FORMAT, FORMAT_VERSION, STATISTICS
from fer_prep.dataset.writer_disk import discard, os_errors, sync
from fer_prep.dataset.writer_pixels import PackedPixels, PixelWriter, PlacedPixels
from fer_prep.depth_encoding import UNIT_MM
from fer_prep.digests import data_digest, pixel_digest
from fer_prep.errors import UsageError
from fer_prep.samples_table import COLUMNS, Column, Row, column_array

CREATED_BY: Final = f"fer-prep {__version__}"

_EXACT_PIXELS: Final = 1 << 18
"""So many squares of 16-bit numbers add up to less than 2⁵⁰, which also survives a root in float64."""


def pixel_statistics(rgb: NDArray[np.uint8], depth: NDArray[np.uint16]) -> dict[str, Any]:
    """The exact sums of one sample, by the names of ``schema.STATISTICS``.

    ``rgb`` (H, W, 3), ``depth`` (H, W) stored values. Depth 0 adds nothing, so its sums need no mask.
    """
    valid = (depth > 0).view(np.uint8)
    planes = cv2.split(rgb)
    # norms of unsigned numbers are sums (L1) and sums of squares; OpenCV adds them up exactly, many at a time: a
    # twentieth of the time of bincount, an eighth of that of sums over wider types
    return {
        "pixels": np.uint64(depth.size),
        "valid_pixels": np.uint64(cv2.countNonZero(valid)),
        "rgb_sum": _plane_norms(planes, cv2.NORM_L1),
        "rgb_sum_of_squares": _plane_norms(planes, cv2.NORM_L2SQR),
        "rgb_valid_sum": _plane_norms(planes, cv2.NORM_L1, mask=valid),
        "rgb_valid_sum_of_squares": _plane_norms(planes, cv2.NORM_L2SQR, mask=valid),
        "depth_sum": _depth_norm(depth, cv2.NORM_L1),
        "depth_sum_of_squares": _depth_norm(depth, cv2.NORM_L2SQR),
    }


def _depth_norm(depth: NDArray[np.uint16], kind: int) -> np.uint64:
    """One norm of the stored values, exact: OpenCV adds up in float64, which has every whole number below 2⁵³."""
    rows = max(1, _EXACT_PIXELS // depth.shape[1])
    return np.uint64(sum(round(cv2.norm(depth[y : y + rows], kind)) for y in range(0, len(depth), rows)))


def _plane_norms(planes: Sequence[Any], kind: int, *, mask: NDArray[np.uint8] | None = None) -> NDArray[np.uint64]:
    """(3,) one norm of every plane; rounded, because OpenCV hands the whole number out through a float64 root."""
    return np.array([round(cv2.norm(plane, kind, mask)) for plane in planes], np.uint64)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A sample ready to be stored: its row (label an index into the file's classes, digest set), pixels and sums."""

    row: Row
    rgb: NDArray[np.uint8]
    """(H, W, 3), contiguous."""
    depth: NDArray[np.uint16]
    """(H, W), contiguous, little-endian."""
    statistics: Mapping[str, Any]


def measure(row: Mapping[str, Any], rgb: NDArray[np.uint8], depth: NDArray[np.uint16], *, digest: str = "") -> Measured:
    """Digest and sums of one sample's pixels: the part of writing that can run beside it, in a thread.

    ``digest`` spares computing it where it was just verified against these very pixels.
    """
    rgb, depth = np.ascontiguousarray(rgb, np.uint8), np.ascontiguousarray(depth, "<u2")
    row = {**row, "digest": digest or pixel_digest(rgb, depth)}
    return Measured(row=row, rgb=rgb, depth=depth, statistics=pixel_statistics(rgb, depth))


class GlobalWriter:
    """Writes the rows of one file in order; ``finish`` completes it. Memory does not grow with the pixels.

    ``n`` samples of ``size`` × ``size``; ``compression`` is None or the keywords of ``h5py.create_dataset``.
    The file must be renamed into place by the caller: until ``finish`` it is not a dataset.
    """

    def __init__(
        self, path: Path, *, n: int, size: int, classes: Sequence[str], compression: Mapping[str, Any] | None = None
    ) -> None:
        if n == 0:
            raise UsageError("there is nothing to write: no sample is left", path=path)
        self.path = path
        self.n = n
        self.classes = tuple(classes)
        self.rows: list[Row] = []
        self._statistics = {name: np.zeros((n, *shape), np.uint64) for name, shape in STATISTICS.items()}
        self._file = h5py.File(path, "w", libver="earliest", track_order=False)
        try:
            self.pixels: PixelWriter = (
                PlacedPixels(self._file, path, n=n, size=size)
                if compression is None
                else PackedPixels(self._file, n=n, size=size, compression=compression)
            )
        except BaseException:
            discard(self._file, path)
            raise

    def append(self, sample: Measured) -> None:
        """Store the next sample."""
        self.pixels.put(len(self.rows), sample.rgb, sample.depth)
        self.append_row(sample)

    def append_row(self, sample: Measured) -> None:
        """Store the row and the sums of the next sample, whose pixels were put already."""
        for name, value in sample.statistics.items():
            self._statistics[name][len(self.rows)] = value
        self.rows.append(sample.row)

    def finish(self, *, settings: Mapping[str, Any]) -> str:
        """Write tables and attributes, close and sync the file; return the digest of the data."""
        if len(self.rows) != self.n:
            raise UsageError(f"{self.n} samples were announced, {len(self.rows)} written", path=self.path)
        with os_errors(self.path):
            tables = write_tables(self._file, self.rows, self._statistics)
            digest = write_attributes(self._file, self.rows, classes=self.classes, settings=settings)
            self._file.flush()
            del tables
            self.pixels.close()
            self._file.close()
        sync(self.path)
        return digest

    def abandon(self) -> None:
        """Close and remove the unfinished file, also where its disk takes nothing any more."""
        self.pixels.close()
        discard(self._file, self.path)


def write_tables(
    root: h5py.File, rows: Sequence[Mapping[str, Any]], statistics: Mapping[str, NDArray[np.uint64]]
) -> list[h5py.Dataset]:
    """Write ``/samples`` and ``/statistics``; keep what is returned until the file is flushed.

    A dataset that is let go writes what it has buffered, and h5py cannot raise an error at that moment.
    """
    samples, group = root.create_group("samples"), root.create_group("statistics")
    columns = [_write_column(samples, column, rows) for column in COLUMNS]
    return columns + [group.create_dataset(name, data=statistics[name], track_times=False) for name in STATISTICS]


def _write_column(samples: h5py.Group, column: Column, rows: Sequence[Mapping[str, Any]]) -> h5py.Dataset:
    if column.kind != "str":
        return samples.create_dataset(column.name, data=column_array(column, rows), track_times=False)
    texts = [str(row[column.name]).encode() for row in rows]
    # fixed length: smaller and faster than variable-length text, and every tool reads it
    length = max(1, *(len(text) for text in texts)) if texts else 1
    kind = h5py.string_dtype("utf-8", length)
    return samples.create_dataset(column.name, data=np.array(texts, dtype=kind), dtype=kind, track_times=False)


def write_attributes(
    root: h5py.File, rows: Iterable[Mapping[str, Any]], *, classes: Sequence[str], settings: Mapping[str, Any]
) -> str:
    """Write the root attributes; return the dataset digest."""
    rows = list(rows)
    digest = data_digest((row["digest"] for row in rows), (row["label"] for row in rows))
    root.attrs["format"] = FORMAT
    root.attrs["format_version"] = FORMAT_VERSION
    root.attrs["classes"] = list(classes)
    root.attrs["depth_unit_mm"] = UNIT_MM
    root.attrs["created_by"] = CREATED_BY
    root.attrs["settings"] = json.dumps(settings, sort_keys=True)
    root.attrs["digest"] = digest
    return digest
