"""The run folder: everything a run leaves behind, in one place, readable without this program.

::

    config.toml        resolved settings              predictions.csv  out of fold: id, fold, label, predicted, …
    folds.json         who was trained on and judged  figures/*.png    report.html  self-contained
    environment.json   versions, machine, device      fold-K/          model.safetensors, config.json, history.csv,
    summary.json       the result                                      TensorBoard events, last.ckpt
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from fer_prep.atomic_files import write_atomically
from fer_prep.errors import UsageError
from fer_train.config import Config
from fer_train.csv_text import to_csv
from fer_train.metrics.predictions import Predictions
from fer_train.settings_file import config_to_toml, differences, read_config

CONFIG: Final = "config.toml"
SUMMARY: Final = "summary.json"
FOLDS: Final = "folds.json"
ENVIRONMENT: Final = "environment.json"
FEATURES: Final = "features.safetensors"
PREDICTIONS: Final = "predictions.csv"


@dataclass(frozen=True)
class RunFolder:
    """Paths and file formats of one run."""

    path: Path
    made: tuple[Path, ...] = ()
    """Folders that were not there before this run, the innermost first."""

    @classmethod
    def create(cls, path: Path, *, config: Config) -> RunFolder:
        """Start a new run; a folder that already holds one is refused."""
        if (path / CONFIG).exists():
            raise UsageError(
                "there is a run in this folder already", path=path, hint="continue it with --resume, or choose --out"
            )
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError("expected a new or empty folder for the run; found other things", path=path)
        made = tuple(folder for folder in (path, *path.parents) if not folder.exists())
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path, made)
        write_atomically(path / CONFIG, content=config_to_toml(config))
        return run

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run; a folder without one is refused."""
        if not (path / CONFIG).is_file():
            raise UsageError(f"expected a run folder (with {CONFIG}); there is none", path=path)
        return cls(path)

    @property
    def config(self) -> Config:
        """The settings the run was started with."""
        return read_config(self.path / CONFIG)

    def refuse_other_settings(self, config: Config) -> None:
        """Raise UsageError that lists every setting in which ``config`` differs from the run's own."""
        different = differences(self.config, config)
        if different:
            raise UsageError(
                f"this run was started with other settings: {'; '.join(different)}",
                path=self.path,
                hint="resume with the settings of its config.toml (give none), or start a new run with another --out",
            )

    def discard_unstarted(self, *others: Path) -> None:
        """Remove a run in which no fold was begun, so that the corrected command finds its place free.

        With it go ``others``, files that were written for it alone, and the folders that it was the first to need.
        """
        if any(self.path.glob("fold-*")):
            return
        for file in (*(self.path / name for name in (CONFIG, FOLDS, ENVIRONMENT, FEATURES)), *others):
            file.unlink(missing_ok=True)
        for folder in dict.fromkeys((self.path, *self.made)):
            if any(folder.iterdir()):
                return
            folder.rmdir()

    def fold(self, index: int) -> Path:
        """``fold-K``, counted from 0 as in ``folds.json``."""
        return self.path / f"fold-{index}"

    @property
    def folds_file(self) -> Path:
        """The fold manifest of the run."""
        return self.path / FOLDS

    @property
    def report(self) -> Path:
        """The page to look at."""
        return self.path / "report.html"

    @property
    def figures(self) -> Path:
        """The folder of the pictures."""
        return self.path / "figures"

    @property
    def finished(self) -> bool:
        """True once the summary, which is written after all folds, is there."""
        return (self.path / SUMMARY).is_file()

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write ``environment.json``, ``summary.json``, …; whole or not at all."""
        write_atomically(self.path / name, content=json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def read_summary(self) -> dict[str, Any]:
        """The result of a finished run."""
        if not self.finished:
            raise UsageError("this run is not finished", path=self.path, hint="continue it with --resume")
        return json.loads((self.path / SUMMARY).read_text(encoding="utf-8"))

    def read_environment(self) -> dict[str, Any]:
        """What the run was computed with."""
        return json.loads((self.path / ENVIRONMENT).read_text(encoding="utf-8"))

    def write_predictions(self, predictions: Predictions) -> None:
        """Write ``predictions.csv``."""
        predictions.write(self.path / PREDICTIONS)

    def read_predictions(self) -> Predictions:
        """Read ``predictions.csv`` back."""
        return Predictions.read(self.path / PREDICTIONS)


def default_run_path(name: str, *, parent: Path = Path("runs")) -> Path:
    """``runs/<time>-<name>``, of a time that no run there has yet."""
    time = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    path = parent / f"{time}-{name}"
    number = 2
    while path.exists():
        path = parent / f"{time}-{name}-{number}"
        number += 1
    return path


def newest_unfinished_run(parent: Path = Path("runs")) -> Path:
    """The run that ``--resume`` without ``--out`` means."""
    candidates = [path.parent for path in parent.glob(f"*/{CONFIG}") if not (path.parent / SUMMARY).exists()]
    if not candidates:
        raise UsageError("there is no unfinished run to resume", path=parent, hint="name one with --out")
    return max(candidates, key=lambda path: (path / CONFIG).stat().st_mtime)


def finished_runs(parent: Path = Path("runs")) -> list[Path]:
    """The finished run folders in ``parent``, oldest first: what a command means that is given no run."""
    found = [path.parent for path in parent.glob(f"*/{SUMMARY}") if (path.parent / CONFIG).is_file()]
    if not found:
        raise UsageError("there is no finished run", path=parent, hint="train one with fer-train kfold, or name a run")
    return sorted(found, key=lambda path: ((path / SUMMARY).stat().st_mtime_ns, path.name))


def history_to_csv(history: Sequence[Mapping[str, float]]) -> str:
    """One line a step; the validation columns are empty where nothing was validated."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    return to_csv(columns, ([_number(row.get(name)) for name in columns] for row in history))


def read_history(path: Path) -> list[dict[str, float]]:
    """Read ``history.csv`` back: one dict a step, without the empty cells."""
    with path.open(encoding="utf-8", newline="") as stream:
        return [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(stream)]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.8g}"
