"""Judge trained folds on other people: a run or a single fold → scores, predictions, confusion matrix.

All folds of a run judge every sample; the ensemble's probability is the mean of theirs. That is honest only where no
fold has trained on the people that are judged: those are left out and counted, and a file without others is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_prep.progress import Progress, silent
from fer_train.data.image_dataset import ImageDataset
from fer_train.data.images import Images, images_of, to_floats
from fer_train.data.normalise import FoldNormalisation
from fer_train.metrics.plots import confusion_figure, save_figure
from fer_train.metrics.predictions import Predictions
from fer_train.metrics.registry import METRICS, confusion_matrix
from fer_train.metrics.resampling import AnswersByPerson, interval
from fer_train.models.model_file import ModelDescription, load_model, model_folders
from fer_train.models.network import ExpressionNetwork
from fer_train.models.trained_people import samples_of_people_trained_on
from fer_train.training.run_folder import RunFolder

BATCH: Final = 64


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """One or more trained networks that share classes and input; what they say is averaged."""

    networks: tuple[ExpressionNetwork, ...]
    normalisations: tuple[FoldNormalisation, ...]
    description: ModelDescription
    """Of the first; the others differ in their normalisation alone."""
    folders: tuple[Path, ...]

    @classmethod
    def load(cls, path: Path, *, device: torch.device) -> Ensemble:
        """From the folder of a fold, or of a run with all its folds."""
        folders = model_folders(path)
        loaded = [load_model(folder, device=device) for folder in folders]
        first = loaded[0][1]
        for folder, (_, description) in zip(folders, loaded, strict=True):
            if (description.classes, description.image_size) != (first.classes, first.image_size):
                raise UsageError("has other classes or another input size than the other folds", path=folder)
        return cls(
            networks=tuple(network for network, _ in loaded),
            normalisations=tuple(description.normalisation.to(device) for _, description in loaded),
            description=first,
            folders=tuple(folders),
        )

    def prepare(self, stored: Mapping[str, NDArray[Any]], *, device: torch.device) -> dict[str, torch.Tensor]:
        """Stored ``rgb`` (B, H, W, 3) and ``depth`` (B, H, W) → images (B, C, S, S) in [0, 1] on the device."""
        description = self.description
        return images_of(stored, image_size=description.image_size, equalise=description.equalise_luma, device=device)

    @torch.no_grad()
    def probabilities(self, images: Images) -> torch.Tensor:
        """Images (B, C, S, S) in [0, 1] by modality → (B, K) float64."""
        answers: list[torch.Tensor] = []
        for network, normalisation in zip(self.networks, self.normalisations, strict=True):
            answers.append(network(normalisation(images)).logits.double().softmax(dim=1))
        return torch.stack(answers).mean(dim=0)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The outcome: ``report`` (JSON-able scores, in all and by dataset) and the single predictions."""

    report: dict[str, Any]
    predictions: Predictions

    def write(self, folder: Path) -> None:
        """Write ``evaluation.json``, ``predictions.csv`` and ``confusion.png``."""
        run = RunFolder(folder)
        run.write_json("evaluation.json", self.report)
        run.write_predictions(self.predictions)
        counts = np.array(self.report["confusion"])
        save_figure(
            confusion_figure(counts, self.predictions.classes, normalise=True, of="the ensemble"),
            folder / "confusion.png",
        )


def evaluate(
    run: Path, data_path: Path, *, device: torch.device, strangers_only: bool = True, progress: Progress = silent
) -> Evaluation:
    """Judge a dataset by a run's ensemble; samples of people or classes it must not judge are left out and counted.

    ``strangers_only=False`` judges also whoever bears the name of somebody trained on: for sample data, whose people
    are named as real ones are. The report says so.
    """
    ensemble = Ensemble.load(run, device=device)
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
    data = load_for(ensemble.description, data_path, device=device, progress=progress)
    of_known_classes = data.labels.numpy() >= 0
    rows = np.flatnonzero(of_known_classes & strangers)
    if not len(rows):
        raise UsageError(
            f"has no sample of {', '.join(ensemble.description.classes)} by people not trained on", path=data_path
        )
    probabilities = np.concatenate(list(_judge(ensemble, data, rows)))
    subjects, datasets = data.file.column("subject")[rows], data.file.column("dataset")[rows]
    predictions = Predictions(
        classes=ensemble.description.classes,
        ids=tuple(data.ids[rows].tolist()),
        folds=np.full(len(rows), -1),
        labels=data.labels.numpy()[rows],
        probabilities=probabilities,
    )
    report = {
        "run": run.name,
        "models": len(ensemble.networks),
        "data_digest": data.file.data_digest,
        "classes": list(ensemble.description.classes),
        "left_out": int((strangers & ~of_known_classes).sum()),
        "left_out_trained_on": int((~strangers).sum()),
        "judged_of_same_name": int((known_by_name & strangers).sum()),
        **_scores(predictions, subjects),
        "datasets": {
            str(name): _scores(predictions.only(datasets == name), subjects[datasets == name])
            for name in np.unique(datasets)
        },
    }
    return Evaluation(report=report, predictions=predictions)


def load_for(
    description: ModelDescription, data_path: Path, *, device: torch.device, progress: Progress
) -> ImageDataset:
    """A dataset brought to the input of a trained network; it must have at least one of the network's classes."""
    with DatasetFile.open(data_path) as file:
        missing = [name for name in description.classes if name not in file.classes]
    if missing:
        raise UsageError(
            f"the network tells {', '.join(missing)} apart, which this dataset does not have among its classes",
            path=data_path,
        )
    return ImageDataset(
        data_path,
        inputs=description.model.input_names,
        device=device,
        classes=description.classes,
        image_size=description.image_size,
        equalise=description.equalise_luma,
        progress=progress,
    )


def _judge(ensemble: Ensemble, data: ImageDataset, rows: NDArray[np.int64]) -> Iterator[NDArray[np.float64]]:
    for stored in data.batches(torch.from_numpy(rows).split(BATCH)):
        yield ensemble.probabilities(to_floats(stored)).cpu().numpy()


def _scores(predictions: Predictions, subjects: NDArray[np.str_]) -> dict[str, Any]:
    """Every metric with its interval over people, ``subjects`` (n,), and the confusion matrix."""
    answers = AnswersByPerson.of(predictions, subjects)
    counts = confusion_matrix(predictions.labels, predictions.predicted, classes=len(predictions.classes))
    intervals = {
        f"{metric.key}_ci95": list(interval(metric, answers, rng=np.random.default_rng(0))) for metric in METRICS
    }
    return {
        "samples": len(predictions.ids),
        "subjects": answers.people,
        **predictions.scores,
        **intervals,
        "confusion": counts.astype(int).tolist(),
    }
