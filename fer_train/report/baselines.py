"""What stands beside every network: the most frequent class, a landmark discriminant and ``classical``.

They are fitted to the training parts of the same folds, from all that the dataset has, whatever the network looks at.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from fer_prep.errors import FerError
from fer_prep.progress import Progress, silent
from fer_train.classical.blocks import FEATURES as FROZEN
from fer_train.classical.frozen import frozen_network
from fer_train.data.image_dataset import ROWS_AT_ONCE, ImageDataset
from fer_train.data.images import to_floats
from fer_train.metrics.predictions import Predictions
from fer_train.metrics.registry import METRICS, Metric
from fer_train.metrics.resampling import AnswersByPerson, interval, paired_difference
from fer_train.report.summary import gather_predictions, spread
from fer_train.settings_file import load_preset
from fer_train.training.cross_validate import CrossValidation
from fer_train.training.features import OutOfTime, kept_features, settle_blocks
from fer_train.training.fitted import fit_fold
from fer_train.training.fold import FoldResult
from fer_train.training.run_folder import FEATURES, RunFolder
from fer_train.training.views import frontal_and_turned

BLOCKS: Final = {"landmarks": "landmarks-2d", "classical": load_preset("classical").model.blocks}
"""Baseline → the blocks that it looks at."""
ROUNDS: Final = 2000
"""Random draws of an interval."""
FAILURES: Final = (FerError, ImportError, ValueError, np.linalg.LinAlgError, MemoryError)
"""A baseline that ends in one of them is impossible; the training that has just ended does not suffer from it."""


def compute_baselines(
    run: RunFolder, trained: CrossValidation, network: Predictions, *, seconds: float, progress: Progress = silent
) -> dict[str, Any]:
    """``summary.json``'s ``baselines`` for what a run has judged: the folds of ``trained``, the answers ``network``.

    What is not ready after ``seconds`` is impossible, and so is what cannot be fitted; the network itself is left out.
    """
    end, own = time.monotonic() + seconds, run.config.model
    found = {"majority": _entry([_most_frequent(each, trained) for each in trained.results], trained, network)}
    for name, blocks in BLOCKS.items():
        if own.network == "classical" and (name == "classical" or own.blocks == blocks):
            continue
        try:
            found[name] = _entry(_fit(blocks, run, trained, end=end, progress=progress), trained, network)
        except FAILURES as error:
            found[name] = {"impossible": error.message if isinstance(error, FerError) else str(error)}
    uses_blocks = own.network == "classical" or own.with_classical
    for block in own.blocks.split(",") if uses_blocks else ():
        path = block.strip().removeprefix(FROZEN)
        if path != block.strip():
            try:
                found["frozen"] = _entry(_as_it_is(path, trained, end=end), trained, network)
            except FAILURES as error:
                found["frozen"] = {"impossible": error.message if isinstance(error, FerError) else str(error)}
    return found


def _most_frequent(result: FoldResult, trained: CrossValidation) -> FoldResult:
    """Every sample is called what is most frequent in the training part, with the shares of the classes there."""
    train, _ = frontal_and_turned(trained.data.rows_of(trained.manifest.fold(result.index).train), trained.data)
    counts = torch.bincount(trained.data.labels[train], minlength=len(trained.manifest.classes)).double()
    return replace(result, probabilities=(counts / counts.sum()).repeat(len(result.labels), 1).numpy())


def _as_it_is(path: str, trained: CrossValidation, *, end: float) -> list[FoldResult]:
    """What the frozen network of ``path`` says itself, of pictures as large as they are stored."""
    frozen, classes = frozen_network(path), trained.manifest.classes
    data = ImageDataset(trained.data.file.path, inputs=("rgb",), classes=classes, memory="0")
    results: list[FoldResult] = []
    try:
        for each in trained.results:
            said: list[NDArray[np.float64]] = []
            for images in data.batches(data.rows_of(each.ids).split(ROWS_AT_ONCE)):
                if time.monotonic() > end:
                    raise OutOfTime("it takes longer than a baseline may")
                said.append(frozen.answers(to_floats(images)["rgb"], classes=classes))
            results.append(replace(each, probabilities=np.concatenate(said)))
        return results
    finally:
        data.close()


def _fit(blocks: str, run: RunFolder, trained: CrossValidation, *, end: float, progress: Progress) -> list[FoldResult]:
    """The discriminants of every fold that the run has judged; the features of all blocks are computed once."""
    file, preset = trained.data.file, load_preset("classical")
    everything, config = (
        settle_blocks(replace(preset, model=replace(preset.model, blocks=each)), file)
        for each in (preset.model.blocks, blocks)
    )
    size, inputs = config.data.image_size, everything.model.input_names
    data = ImageDataset(file.path, inputs=inputs, image_size=size, classes=trained.manifest.classes, memory="0")
    try:
        names, left = everything.model.blocks.split(","), end - time.monotonic()
        features = kept_features(run.path / FEATURES, data, names, progress=progress, seconds=left)
        results: list[FoldResult] = []
        for each in trained.results:
            if time.monotonic() > end:
                raise OutOfTime("fitting it to every fold takes longer than a baseline may")
            results.append(fit_fold(each.index, manifest=trained.manifest, data=data, config=config, features=features))
        return results
    finally:
        data.close()


def _entry(results: list[FoldResult], trained: CrossValidation, network: Predictions) -> dict[str, Any]:
    """A baseline's scores, and how much better the network is: paired over people, ``mean`` of the folds."""
    predictions = gather_predictions(results, classes=trained.manifest.classes)
    subjects = trained.data.file.column("subject")[trained.data.file.rows_of(predictions.ids)]
    ours, theirs = (AnswersByPerson.of(each, subjects) for each in (predictions, network))
    scores = {metric.key: _scores(metric, results, ours) for metric in METRICS[:2]}
    metric = METRICS[0]
    seen = paired_difference(metric, ours, theirs, rng=np.random.default_rng(0), rounds=ROUNDS)
    mean = spread([network.only(network.folds == each.index).scores for each in results], metric.key)["mean"] or 0.0
    return {**scores, "difference": {"mean": mean - scores[metric.key]["mean"], "ci95": seen.ci95}}


def _scores(metric: Metric, results: list[FoldResult], answers: AnswersByPerson) -> dict[str, Any]:
    folds = [{metric.key: metric(each.labels, each.probabilities)} for each in results]
    return spread(folds, metric.key) | {"ci95": interval(metric, answers, rng=np.random.default_rng(0))}
