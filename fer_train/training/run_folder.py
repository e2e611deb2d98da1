"""The run folder: everything a run leaves behind, in one place, readable without this program.

::

    config.toml        resolved settings              predictions.csv  out of fold: id, fold, label, predicted, …
    folds.json         who was trained on and judged  figures/*.png    report.html  self-contained
    run.json           data, fold alone, seeds        fold-K/          model.safetensors, config.json, history.csv,
    environment.json   versions, machine, device                       TensorBoard events, last.ckpt
    summary.json       the result                     seed-S/          a run like this one, with another seed
    views.csv          what is said of turned faces, where there are some
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from fer_prep.atomic_files import LEFTOVERS, write_atomically
from fer_prep.csv_tables import read_table, write_table
from fer_prep.errors import UsageError
from fer_prep.folder_lock import file_lock
from fer_prep.validated import checked, read_json
from fer_train.config import Config
from fer_train.metrics.predictions import Predictions
from fer_train.settings_file import config_to_toml, differences, read_config

CONFIG: Final = "config.toml"
SUMMARY: Final = "summary.json"
FOLDS: Final = "folds.json"
ENVIRONMENT: Final = "environment.json"
TASK: Final = "run.json"
FEATURES: Final = "features.safetensors"
PREDICTIONS: Final = "predictions.csv"


@dataclass(frozen=True)
class Task:
    """What a run is to do, besides its settings and folds."""

    data: Path
    """The dataset; kept relative to the run folder."""
    fold: int | None = None
    """The one fold that it trains; None for all."""
    seeds: int = 1
    """How many times everything is trained, each time with another seed."""


@dataclass(frozen=True)
class RunFolder:
    """Paths and file formats of one run, which need not have begun."""

    path: Path

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

    @property
    def task(self) -> Task:
        """What the run was started to do."""
        found = checked(Task, read_json(self.path / TASK), path=self.path / TASK)
        return replace(found, data=Path(os.path.normpath(self.path / found.data)))

    @property
    def started(self) -> bool:
        """Whether a fold was begun: until then the folder belongs to whatever command comes."""
        return (self.path / CONFIG).exists() and any(self.path.glob("fold-*"))

    def refuse_other(self, config: Config, task: Task) -> None:
        """Raise UsageError where the folder holds a run of other settings or of another fold, or other things."""
        if self.path.exists() and not (self.path / CONFIG).exists():
            ours = {TASK, FOLDS, CONFIG, *(part.name for part in self.path.glob(LEFTOVERS))}  # of one that was killed
            if not self.path.is_dir() or {file.name for file in self.path.iterdir()} - ours:
                raise UsageError("expected a new or empty folder for the run; found other things", path=self.path)
        if not self.started:
            return
        if different := differences(self.config, config):
            raise UsageError(
                f"this run was started with other settings: {'; '.join(different)}",
                path=self.path,
                hint="resume with the settings of its config.toml (give none), or start a new run with another --out",
            )
        if self.task.fold != task.fold:
            here, asked = ("all folds" if fold is None else f"fold {fold}" for fold in (self.task.fold, task.fold))
            raise UsageError(
                f"this run was started for {here}; {asked} asked for",
                path=self.path,
                hint="resume it without --fold, by the command that started it, or start a new run with another --out",
            )

    def begin(self, config: Config, task: Task) -> None:
        """Write down what this run does, the settings last: a folder is a run once they are there.

        One that has started keeps what it has; only of seeds there may be more now.
        """
        self.refuse_other(config, task)
        if started := self.started:
            task = replace(self.task, seeds=task.seeds)
        else:
            (self.path / ENVIRONMENT).unlink(missing_ok=True)
        data = Path(os.path.relpath(task.data.resolve(), self.path.resolve())).as_posix()
        self.write_json(TASK, {"data": data, "fold": task.fold, "seeds": task.seeds})
        if not started:
            write_atomically(self.path / CONFIG, content=config_to_toml(config))

    @contextmanager
    def writing(self) -> Generator[None]:
        """Hold the folder for this process, by a lock beside it; BusyError where another one trains in it."""
        with file_lock(self.path):
            yield

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Keep what the run was begun with, and under ``resumed`` what each resumption brought."""
        first = self.read_environment() if (self.path / ENVIRONMENT).exists() else None
        if first is not None:
            environment = first | {"resumed": [*first.get("resumed", []), environment]}
        self.write_json(ENVIRONMENT, environment)

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
        return read_json(self.path / SUMMARY)

    def read_environment(self) -> dict[str, Any]:
        """What the run was computed with."""
        return read_json(self.path / ENVIRONMENT)

    @property
    def threads(self) -> int:
        """CPU threads that the run was begun with; 0 for one that has not begun."""
        return self.read_environment()["torch_threads"] if (self.path / ENVIRONMENT).exists() else 0

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
    return write_table(columns, ([_number(row.get(name)) for name in columns] for row in history))


def read_history(path: Path) -> list[dict[str, float]]:
    """Read ``history.csv`` back: one dict a step, without the empty cells."""
    return [{name: float(cell) for name, cell in row.items() if cell} for _, row in read_table(path).lines]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.8g}"
