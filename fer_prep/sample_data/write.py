"""Writes the four sample trees: one subject at a time, in processes, the same bytes whatever their number."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from fer_prep.engines.choice import make_engine
from fer_prep.engines.engine import answered
from fer_prep.errors import UsageError
from fer_prep.progress import Progress, silent
from fer_prep.sample_data import bosphorus_tree, bu3dfe_tree, rgbd_tree
from fer_prep.sample_data.native_files import write_file
from fer_prep.sample_data.truth import TruthRow, truth_csv
from fer_prep.validated import checked, read_json

DATASETS: Final = ("bu3dfe", "bosphorus", "cald3r", "mend3s")
SETTINGS_FILE: Final = "sample_data.json"
TRUTH_FILE: Final = "truth.csv"
FORMAT_VERSION: Final = 1
DEFAULT_INTENSITIES: Final = (3, 4)
SEEDS_OF_STARTS: Final = {1907: "generated-v1"}
"""Seeds whose people ``--registered`` made for a start of fer-train to learn from."""


@dataclass(frozen=True, kw_only=True)
class SampleDataSummary:
    """What lies under ``out``: samples by dataset, subjects by dataset, and whether it was there already."""

    out: Path
    samples: dict[str, int]
    subjects: dict[str, int]
    already_there: bool


@dataclass(frozen=True, kw_only=True)
class _Written:
    """What ``sample_data.json`` says."""

    settings: dict[str, Any]
    files: int | None
    """None while they are being written."""


def write_sample_data(
    out: Path,
    *,
    subjects: int = 6,
    seed: int = 0,
    intensities: tuple[int, ...] = DEFAULT_INTENSITIES,
    workers: int | None = None,
    progress: Progress = silent,
) -> SampleDataSummary:
    """Write BU3DFE, BosphorusDB, CalD3r and MenD3s below ``out``, each with ``subjects`` people of its own.

    The bytes depend on ``subjects``, ``seed`` and ``intensities`` alone. A folder that already holds exactly this is
    left as it is; one that holds anything else is refused with UsageError. ``truth.csv`` tells what was written.
    """
    settings = _checked_settings(subjects=subjects, seed=seed, intensities=intensities)
    if _already_complete(out, settings):
        return _summary(out, (out / TRUTH_FILE).read_text("utf-8").splitlines()[1:], already_there=True)
    out.mkdir(parents=True, exist_ok=True)
    write_file(out / SETTINGS_FILE, _settings_bytes(settings, files=None))
    tasks = [(dataset, index) for index in range(subjects) for dataset in DATASETS]
    rows: dict[tuple[str, int], list[TruthRow]] = {}
    write = partial(_write_task, out=out, settings=settings)
    with progress("sample data", total=len(tasks), unit="people") as advance:
        for task, outcome in make_engine(workers=workers).run(write, items=tasks):
            rows[task] = answered(outcome, name=f"{task[0]}, person {task[1]}")
            advance(1)
    ordered = [row for dataset in DATASETS for index in range(subjects) for row in rows[dataset, index]]
    table = truth_csv(ordered)
    write_file(out / TRUTH_FILE, table)
    write_file(out / SETTINGS_FILE, _settings_bytes(settings, files=_count_files(out)))
    return _summary(out, table.decode("utf-8").splitlines()[1:], already_there=False)


def _write_task(task: tuple[str, int], *, out: Path, settings: dict[str, Any]) -> list[TruthRow]:
    return write_person(out, *task, settings=settings)


def write_person(out: Path, dataset: str, index: int, *, settings: dict[str, Any]) -> list[TruthRow]:
    """Write one person of one dataset; the random numbers depend on the seed, the dataset and the index alone."""
    rng = np.random.default_rng([settings["seed"], DATASETS.index(dataset), index])
    if dataset == "bu3dfe":
        return bu3dfe_tree.write_subject(out, index, rng=rng, intensities=tuple(settings["intensities"]))
    if dataset == "bosphorus":
        return bosphorus_tree.write_subject(out, index, rng=rng)
    database = rgbd_tree.CALD3R if dataset == "cald3r" else rgbd_tree.MEND3S
    return rgbd_tree.write_subject(out, database, index, rng=rng)


def _checked_settings(*, subjects: int, seed: int, intensities: tuple[int, ...]) -> dict[str, Any]:
    if not 1 <= subjects <= 100:
        raise UsageError(f"expected 1 to 100 subjects a dataset; found {subjects}")
    if seed < 0:
        raise UsageError(f"expected a seed of 0 or more; found {seed}")
    if seed in SEEDS_OF_STARTS:
        raise UsageError(
            f"seed {seed} is kept for the people whom the start {SEEDS_OF_STARTS[seed]} has learned from",
            hint="take another seed",
        )
    if not intensities or not set(intensities) <= set(bu3dfe_tree.STRENGTHS):
        raise UsageError(f"expected intensities among 1, 2, 3, 4; found {', '.join(map(str, intensities)) or 'none'}")
    levels = sorted(set(intensities))
    return {"format_version": FORMAT_VERSION, "subjects": subjects, "seed": seed, "intensities": levels}


def _settings_bytes(settings: dict[str, Any], *, files: int | None) -> bytes:
    """``files`` is None while the folder is being written."""
    return (json.dumps({"settings": settings, "files": files}, indent=2) + "\n").encode("utf-8")


def _count_files(out: Path) -> int:
    """How many finished files lie in ``out``, besides those of this module."""
    own = {SETTINGS_FILE, TRUTH_FILE}
    return sum(1 for path in out.rglob("*") if path.is_file() and path.name not in own and path.suffix != ".part")


def _already_complete(out: Path, settings: dict[str, Any]) -> bool:
    """True where ``out`` holds exactly this; UsageError where it holds something else."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if not out.is_dir():
        raise UsageError("expected a folder; found a file", path=out)
    try:
        content = read_json(out / SETTINGS_FILE, error=UsageError)
    except FileNotFoundError:
        raise UsageError(
            "expected an empty folder; found files that sample-data did not write",
            path=out,
            hint="choose another --out: sample data is never mixed with other data",
        ) from None
    found = checked(_Written, content, path=out / SETTINGS_FILE, error=UsageError)
    if found.settings != settings:
        raise UsageError(
            f"expected sample data made with {_in_words(settings)}; found some made with {_in_words(found.settings)}",
            path=out,
            hint="delete that folder, choose another --out, or use the same options",
        )
    return (out / TRUTH_FILE).is_file() and _count_files(out) == found.files


def _in_words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _summary(out: Path, lines: list[str], *, already_there: bool) -> SampleDataSummary:
    cells = [line.split(",") for line in lines]
    samples = Counter(row[0] for row in cells)
    people = Counter(dataset for dataset, _ in {(row[0], row[2]) for row in cells})
    return SampleDataSummary(out=out, samples=dict(samples), subjects=dict(people), already_there=already_there)
