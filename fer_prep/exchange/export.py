"""Ways out of HDF5: a folder of pictures by class, and WebDataset tar shards. Pixels and labels stay the same."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from fer_prep.atomic_files import errors_name, write_atomically
from fer_prep.csv_tables import write_table
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_prep.folds.splits import FoldManifest
from fer_prep.formats.images import write_image
from fer_prep.landmark_set import LandmarkSet
from fer_prep.outputs import filling
from fer_prep.prepare.folder import table_name
from fer_prep.prepare.folder_tables import SOFT
from fer_prep.prepare.landmark_tables import table_bytes
from fer_prep.progress import Progress, silent

_BLOCK = 64


@dataclass(frozen=True, kw_only=True)
class ExportedSample:
    """One sample on its way out."""

    split: str
    """``train`` or ``val`` of a fold; empty where no fold was chosen."""
    position: int
    """Its number within its split."""
    emotion: str
    key: str
    """``<dataset>_<name>`` without dots, which tar readers take for the end of a key."""
    pngs: dict[str, bytes]
    """By modality, of those that are stored."""
    facts: dict[str, Any]
    """Every column of the samples table and ``soft_<class>``, JSON-able; ``label`` is the index into the classes."""
    row: int
    """Its number in the dataset."""


def export_folder(
    data: DatasetFile, out: Path, *, manifest: FoldManifest | None = None, fold: int = 0, progress: Progress = silent
) -> int:
    """Write ``[train|val/]rgb/<class>/<key>.png``, ``depth/…`` (16 bit, as stored), ``samples.csv`` and landmarks.

    ``rgb/`` is what torchvision's ImageFolder reads; ``import`` takes the folder as it is. Landmarks are NumPy
    archives ``landmarks/<scheme>.npz`` as in a prepared folder. ``out`` must be empty. Returns the number of samples.
    """
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    with filling(out) as folder:
        for sample in _samples(data, manifest=manifest, fold=fold, progress=progress):
            places = {kind: Path(sample.split) / kind / sample.emotion / f"{sample.key}.png" for kind in sample.pngs}
            for kind, content in sample.pngs.items():
                path = folder / places[kind]
                path.parent.mkdir(parents=True, exist_ok=True)
                with errors_name(path):
                    path.write_bytes(content)
            files = {kind: place.as_posix() for kind, place in places.items()}
            rows.append({**files, "emotion": sample.emotion, "split": sample.split, **_flat(sample.facts)})
            numbers.append(sample.row)
        for scheme in data.landmark_schemes:
            content = table_bytes(data.landmarks(scheme).take(numbers), ids=[row["id"] for row in rows])
            write_atomically(folder / table_name(scheme), content=content)
        write_atomically(folder / "samples.csv", content=write_table(rows[0], (row.values() for row in rows)))
    return len(rows)


def export_webdataset(
    data: DatasetFile,
    out: Path,
    *,
    per_shard: int = 1000,
    manifest: FoldManifest | None = None,
    fold: int = 0,
    progress: Progress = silent,
) -> list[Path]:
    """Write ``[train-|val-]00000.tar`` …: each sample as ``key.rgb.png``, ``key.depth.png``, ``key.cls``, ``key.json``.

    The JSON has every column, and the landmarks by scheme. Files of one sample stand together and every key occurs
    once, as readers of such shards require. ``out`` must be empty. The same dataset gives the same bytes. Returns the
    shards.
    """
    if per_shard < 1:
        raise UsageError(f"--per-shard {per_shard}: expected at least 1")
    shards: list[Path] = []
    samples = _samples(data, manifest=manifest, fold=fold, progress=progress)
    landmarks = {scheme: data.landmarks(scheme) for scheme in data.landmark_schemes}
    with filling(out) as folder:
        for (split, number), of_shard in groupby(samples, key=lambda s: (s.split, s.position // per_shard)):
            path = folder / f"{split}{'-' if split else ''}{number:05d}.tar"
            _write_shard(path, of_shard, landmarks=landmarks)
            shards.append(out / path.name)
    return shards


def _write_shard(path: Path, samples: Iterable[ExportedSample], *, landmarks: Mapping[str, LandmarkSet]) -> None:
    # PAX is USTAR where that is enough, and has room for names of any length
    with errors_name(path), tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for sample in samples:
            _add(
                tar,
                sample,
                landmarks={scheme: _points(every.take([sample.row])) for scheme, every in landmarks.items()},
            )


def _points(of_sample: LandmarkSet) -> dict[str, Any]:
    """The landmarks of one sample, JSON-able: unknown numbers are null."""
    tables = {"points_px": of_sample.points_px, "points_mm": of_sample.points_mm}
    listed = {name: _plain(table[0]) for name, table in tables.items() if table is not None}
    return {"names": of_sample.names, **listed}


def _add(tar: tarfile.TarFile, sample: ExportedSample, *, landmarks: dict[str, Any]) -> None:
    about = {**sample.facts, "emotion": sample.emotion, **({"landmarks": landmarks} if landmarks else {})}
    files = {
        "cls": str(sample.facts["label"]).encode(),
        "json": json.dumps(about, sort_keys=True).encode(),
        **{f"{kind}.png": content for kind, content in sample.pngs.items()},
    }
    for extension, content in sorted(files.items()):
        # a fresh TarInfo has no time, no owner and mode 644: equal samples give equal bytes
        entry = tarfile.TarInfo(f"{sample.key}.{extension}")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))


def _samples(
    data: DatasetFile, *, manifest: FoldManifest | None, fold: int, progress: Progress
) -> Iterator[ExportedSample]:
    """All samples in row order, or those of one fold: its training samples, then its validation samples."""
    sides: dict[str, tuple[str, ...]] = {"": tuple(data.ids.tolist())}
    if manifest is not None:
        sides = {"train": manifest.fold(fold).train, "val": manifest.fold(fold).val}
    columns = {name: data.column(name) for name in data.column_names()}
    if (soft := data.soft_labels) is not None:
        columns |= {f"{SOFT}{name}": soft[:, label] for label, name in enumerate(data.classes)}
    keys: dict[str, str] = {}
    with progress("exporting", total=sum(map(len, sides.values()))) as advance:
        for split, ids in sides.items():
            rows = np.sort(data.rows_of(ids))
            for start in range(0, len(rows), _BLOCK):
                block = rows[start : start + _BLOCK]
                pixels = {kind: data.read(kind, block) for kind in data.modalities}
                for place, row in enumerate(block.tolist()):
                    name = str(data.ids[row])
                    yield ExportedSample(
                        split=split,
                        position=start + place,
                        emotion=data.classes[data.labels[row]],
                        key=sample_key(name, keys, data.path),
                        pngs={kind: write_image(of_block[place]) for kind, of_block in pixels.items()},
                        facts={column: _plain(values[row]) for column, values in columns.items()},
                        row=row,
                    )
                    advance(1)


def sample_key(name: str, keys: dict[str, str], path: Path) -> str:
    """The file name of a sample id; two ids that would share one are refused."""
    key = name.replace("/", "_").replace(".", "-")
    if keys.setdefault(key, name) != name:
        raise UsageError(f"{keys[key]} and {name} would both be called {key}", path=path)
    return key


def _plain(value: Any) -> Any:
    """A value that JSON has: NaN becomes null."""
    if isinstance(value, np.ndarray):
        return [_plain(part) for part in value]
    if isinstance(value, np.floating):
        return float(str(value)) if np.isfinite(value) else None  # the shortest text that reads back the same
    return value.item() if isinstance(value, np.generic) else value


def _flat(facts: dict[str, Any]) -> dict[str, Any]:
    """Pairs as two numbers with a space between, unknown as nothing."""
    return {
        name: " ".join("" if part is None else str(part) for part in value).strip()
        if isinstance(value, list)
        else "" if value is None else value
        for name, value in facts.items()
    }  # fmt: skip
