"""Judge trained folds on other people: a run or a single fold → scores, predictions, confusion matrix.

All folds of a run judge every sample; the ensemble's probability is the mean of theirs. That is honest only where no
fold has trained on the people that are judged: those are left out and counted, and a file without others is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_prep.progress import Progress, silent
from fer_train.inference.predictor import Predictor
from fer_train.metrics.plots import confusion_figure, save_figure
from fer_train.metrics.predictions import Predictions
from fer_train.metrics.registry import METRICS, confusion_matrix, majority_class
from fer_train.metrics.resampling import AnswersByPerson, interval
from fer_train.models.trained_people import samples_of_people_trained_on
from fer_train.training.run_folder import PREDICTIONS, RunFolder
from fer_train.training.views import is_frontal


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The outcome: ``report`` (JSON-able scores, in all and by dataset) and the single predictions."""

    report: dict[str, Any]
    predictions: Predictions

    def write(self, folder: Path) -> None:
        """Write ``evaluation.json``, ``predictions.csv`` and ``confusion.png``."""
        RunFolder(folder).write_json("evaluation.json", self.report)
        self.predictions.write(folder / PREDICTIONS)
        counts = np.array(self.report["confusion"])
        figure = confusion_figure(counts, self.predictions.classes, normalise=True, of="the ensemble")
        save_figure(figure, folder / "confusion.png")


def evaluate(
    run: Path, data_path: Path, *, device: torch.device, strangers_only: bool = True, progress: Progress = silent
) -> Evaluation:
    """Judge a dataset by a run's networks; samples of people or classes they must not judge are left out and counted.

    ``strangers_only=False`` judges also whoever bears the name of somebody trained on: for sample data, whose people
    are named as real ones are. The report says so.
    """
    predictor = Predictor.load(run, device=device)
    with DatasetFile.open(data_path) as file:
        known_by_name = samples_of_people_trained_on(run, file)
    strangers = ~known_by_name if strangers_only else np.ones_like(known_by_name)
    if not strangers.any():
        raise UsageError(
            f"all of its {len(strangers)} samples are of people that were trained on by this run",
            path=data_path,
            hint="the run's own out-of-fold result is in its summary.json; evaluate on other data, or, if these people "
            "only share names with those, add --same-names strangers",
        )
    data = predictor.open_data(data_path, progress=progress)
    labels = data.labels.numpy()
    frontal = is_frontal(data.ids)
    rows = np.flatnonzero((labels >= 0) & strangers & frontal)
    if not len(rows):
        raise UsageError(f"has no sample of {', '.join(predictor.classes)} by people not trained on", path=data_path)
    predictions = Predictions(
        classes=predictor.classes,
        ids=tuple(data.ids[rows].tolist()),
        folds=np.full(len(rows), -1),
        labels=labels[rows],
        probabilities=predictor.judge(data, rows, progress=progress),
    )
    subjects, datasets = data.file.column("subject")[rows], data.file.column("dataset")[rows]
    report = {
        "run": run.name,
        "models": len(predictor.networks),
        "data_digest": data.file.data_digest,
        "classes": list(predictor.classes),
        "left_out": int((strangers & (labels < 0)).sum()),
        "left_out_views": int((strangers & ~frontal).sum()),
        "left_out_trained_on": int((~strangers).sum()),
        "judged_of_same_name": int((known_by_name & strangers).sum()),
        **_scores(predictions, subjects),
        "datasets": {
            str(name): _scores(predictions.only(datasets == name), subjects[datasets == name])
            for name in np.unique(datasets)
        },
    }
    return Evaluation(report=report, predictions=predictions)


def _scores(predictions: Predictions, subjects: NDArray[np.str_]) -> dict[str, Any]:
    """Every metric with its interval over people, ``subjects`` (n,), the confusion matrix, and of how many they are."""
    answers = AnswersByPerson.of(predictions, subjects)
    counts = confusion_matrix(predictions.labels, predictions.predicted, classes=len(predictions.classes))
    intervals = {f"{metric.key}_ci95": interval(metric, answers, rng=np.random.default_rng(0)) for metric in METRICS}
    majority, share = majority_class(counts)
    return {
        "samples": len(predictions.ids),
        "subjects": answers.people,
        **predictions.scores,
        **intervals,
        "majority": {"class": predictions.classes[majority], "overall_accuracy": share},
        "confusion": counts.astype(int).tolist(),
    }
