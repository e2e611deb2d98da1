"""What follows training: ``predictions.csv``, ``summary.json``, figures and ``report.html`` of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fer_prep.progress import Progress, silent
from fer_train.config import Config
from fer_train.inference.trained_run import TrainedRun
from fer_train.metrics.summary import gather_predictions, summarise
from fer_train.report.html_report import write_report
from fer_train.training.cross_validate import FoldChoice, Say, cross_validate
from fer_train.training.machine import is_first_process
from fer_train.training.run_folder import SUMMARY, RunFolder


def train_and_report(
    data_path: Path,
    *,
    config: Config,
    folds: FoldChoice,
    run: RunFolder,
    only: int | None = None,
    say: Say = lambda text: None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """``cross_validate``, and what follows from it in the first of several processes; return the summary."""
    trained = cross_validate(data_path, config=config, folds=folds, run=run, only=only, say=say, progress=progress)
    if not is_first_process():
        return {}
    predictions = gather_predictions(trained.results, classes=trained.manifest.classes)
    run.write_predictions(predictions)
    summary = summarise(
        trained.results,
        predictions=predictions,
        manifest=trained.manifest,
        data=trained.data.file,
        config=config,
    )
    run.write_json(SUMMARY, summary)
    opened = TrainedRun(run=run, manifest=trained.manifest, predictions=predictions, data=trained.data)
    write_report(run, data=trained.data.file, trained=opened)
    return summary
