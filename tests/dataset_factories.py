"""Makers of small datasets for tests: tables in memory, HDF5 files, prepared folders. All from a seed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_prep.dataset.writer import DatasetWriter, measure
from fer_prep.depth_encoding import UNIT_MM
from fer_prep.digests import SPLIT_COLUMNS, bytes_digest, data_digest, pixel_digest, settings_digest, split_digest
from fer_prep.emotions import EMOTIONS
from fer_prep.formats.images import write_image
from fer_prep.landmark_set import LandmarkSet
from fer_prep.prepare.folder import (
    FORMAT,
    FORMAT_VERSION,
    LEFT_OUT,
    REJECTED,
    SAMPLES,
    SUMMARY,
    sample_file,
    table_name,
)
from fer_prep.prepare.folder_tables import rejections_text, samples_text
from fer_prep.prepare.landmark_tables import table_bytes
from fer_prep.samples_table import Row

NAN = float("nan")


def make_row(dataset: str, subject: str, emotion: str, number: int = 0, **changes) -> Row:
    """One row of a samples table, plausible in every column; the digest is not yet that of any pixels."""
    label_source = "elicited" if dataset in ("cald3r", "mend3s") else "posed"
    row = {
        "id": f"{dataset}/{subject}_{emotion}_{number}",
        "subject": f"{dataset}:{subject}",
        "dataset": dataset,
        "source_file": f"{subject}/{emotion}_{number}.png",
        "label": EMOTIONS.index(emotion),
        "label_source": label_source,
        "action_unit": "",
        "gender": subject[0] if subject[0] in "FM" else "",
        "ethnicity": "",
        "intensity": 1 + number % 4 if dataset == "bu3dfe" and emotion != "neutral" else 0,
        "clip": "",
        "frame": 0,
        "yaw_degrees": 0.0,
        "pitch_degrees": 0.0,
        "focal_px": float("nan"),
        "principal_px": (float("nan"), float("nan")),
        "roll_degrees": 1.5,
        "left_eye": (20.0, 12.0),
        "right_eye": (12.0, 12.0),
        "depth_offset_mm": 55.25,
        "mm_per_pixel": 5.0,
        "origin_mm": (-80.0, 80.0),
        "digest": settings_digest({"of": [dataset, subject, emotion, number]}),
        "nose_tip": (16.0, 18.0),
        "mouth_left": (19.0, 24.0),
        "mouth_right": (13.0, 24.0),
        "landmarks_from": "dataset",
        "faces_found": 1,
        "rgb_source": "picture",
        "registration_residual_px": 0.0,
        "filled_pixels": 0,
        "publishable": 1,
    }
    return {**row, **changes}


def make_rows(subjects: dict[str, int], *, emotions=EMOTIONS, repeats: int = 1) -> list[Row]:
    """Rows of ``dataset → number of subjects``, each subject with each emotion ``repeats`` times, sorted by id."""
    rows = [
        make_row(dataset, f"{'FM'[subject % 2]}{subject:03d}", emotion, number)
        for dataset, count in subjects.items()
        for subject in range(count)
        for emotion in emotions
        for number in range(repeats)
    ]
    return sorted(rows, key=lambda row: row["id"])


def make_pixels(index: int, *, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """RGB (size, size, 3) and depth (size, size) of sample ``index``: noise with a hole at the rim."""
    rng = np.random.default_rng(index)
    rgb = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
    depth = rng.integers(1, 20_000, (size, size), dtype=np.uint16)
    depth[:, : 1 + index % 3] = 0
    return rgb, depth


def make_landmarks(n: int, *, names=("chin", "nose"), metric: bool = True, vertices: bool = False) -> LandmarkSet:
    """Landmarks of ``n`` samples on a raster of 32²; every third sample has none."""
    rng = np.random.default_rng(n)
    points = rng.uniform(4, 28, (n, len(names), 2)).astype(np.float32)
    points[::3] = NAN
    depth = rng.uniform(-20, 20, (n, len(names), 1)).astype(np.float32)
    depth[::3] = NAN
    return LandmarkSet(
        names=tuple(names),
        points_px=points,
        points_mm=np.concatenate([points * 5, depth], axis=2) if metric else None,
        vertex=np.where(np.isnan(points[..., 0]), -1, 7).astype(np.int32) if vertices else None,
    )


def write_dataset(
    path: Path,
    rows: list[Row],
    *,
    classes=EMOTIONS,
    size: int = 32,
    compression=None,
    modalities=("rgb", "depth"),
    landmarks: dict[str, LandmarkSet] | None = None,
    soft_labels: np.ndarray | None = None,
) -> Path:
    """A dataset of ``make_pixels`` for each row, written by the real writer."""
    writer = DatasetWriter(
        path, n=len(rows), size=size, classes=classes, modalities=modalities, compression=compression
    )
    for index, row in enumerate(rows):
        rgb, depth = make_pixels(index, size=size)
        writer.append(measure(row, rgb if "rgb" in modalities else None, depth if "depth" in modalities else None))
    writer.finish(settings={"made_by": "tests"}, landmarks=landmarks, soft_labels=soft_labels)
    return path


write_global = write_dataset


KINDS = ("rgb", "depth", "clips", "views", "soft", "landmarks")
"""What a dataset of ``write_kind`` is about."""


def write_kind(path: Path, kind: str) -> Path:
    """A dataset of two people that has what only some datasets have."""
    rows = make_rows({"lab": 2}, emotions=EMOTIONS[:3])
    if kind == "clips":
        rows = [{**row, "clip": f"lab/{row['subject'][4:]}", "frame": number % 3} for number, row in enumerate(rows)]
    if kind == "views":
        turns = {"@y+30p-10": (30.0, -10.0), "@y-30p+0": (-30.0, 0.0), "": (0.0, 0.0)}
        rows = [
            {**row, "id": row["id"] + view, "yaw_degrees": yaw, "pitch_degrees": pitch}
            for row in rows
            for view, (yaw, pitch) in turns.items()
        ]
    rows.sort(key=lambda row: row["id"])
    shares = np.eye(len(EMOTIONS), dtype=np.float32)[[row["label"] for row in rows]] * 0.75
    shares[:, 6] += 0.25
    metric = make_landmarks(len(rows), vertices=True)
    return write_dataset(
        path,
        rows,
        modalities=(kind,) if kind in ("rgb", "depth") else ("rgb", "depth"),
        landmarks={"bu3dfe-83": metric, "mesh": make_landmarks(len(rows), metric=False)} if kind == "landmarks" else {},
        soft_labels=shares if kind == "soft" else None,
    )


@dataclass
class FoldTable:
    """A table in memory with the members that folds need, without any pixels."""

    rows: list[Row]
    classes: tuple[str, ...] = EMOTIONS

    @property
    def data_digest(self):
        return split_digest({name: self.column(name) for name in SPLIT_COLUMNS}, classes=self.classes)

    @property
    def ids(self):
        return self.column("id")

    @property
    def labels(self):
        return self.column("label").astype(np.int64)

    def column(self, name):
        return np.array([row[name] for row in self.rows])


def write_prepared(
    folder: Path,
    rows: list[Row],
    *,
    size: int = 32,
    modalities=("rgb", "depth"),
    classes=EMOTIONS,
    landmarks=(),
    soft=(),
    **settings,
) -> Path:
    """A whole prepared folder of ``make_pixels``, with the tables and summary of the real writer.

    ``landmarks``: scheme → ``LandmarkSet`` in the order of ``rows``, which must be sorted by id then; ``soft``: the
    classes whose shares the rows have.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored = []
    for row in rows:
        rgb, depth = make_pixels(int(row["digest"][:6], 16), size=size)
        rgb, depth = rgb if "rgb" in modalities else None, depth if "depth" in modalities else None
        name = row["id"].split("/", 1)[1]
        kept = {kind: pixels for kind, pixels in (("rgb", rgb), ("depth", depth)) if kind in modalities}
        for kind, pixels in kept.items():
            path = sample_file(folder, kind, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(write_image(pixels))
        stored.append({**row, "digest": pixel_digest(kept.get("rgb"), kept.get("depth"))})
    ids = [row["id"] for row in stored]
    tables = {SAMPLES: samples_text(stored, soft=soft), REJECTED: rejections_text([]), LEFT_OUT: rejections_text([])}
    tables = {name: text.encode() for name, text in tables.items()}
    tables |= {table_name(scheme): table_bytes(points, ids=ids) for scheme, points in dict(landmarks or {}).items()}
    summary = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "dataset": rows[0]["dataset"],
        "created_by": "tests",
        "settings": {"size": size, "framing": "eyes", "mask": "none", **settings},
        "classes": list(classes),
        "modalities": list(modalities),
        "landmarks": sorted(dict(landmarks or {})),
        "depth_unit_mm": UNIT_MM,
        "counts": {"samples": len(stored), "rejected": 0, "left_out": 0},
        "digest": data_digest((row["digest"] for row in stored), (row["label"] for row in stored)),
        "tables": {name: bytes_digest(content) for name, content in tables.items()},
    }
    for name, content in {**tables, SUMMARY: json.dumps(summary).encode()}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
