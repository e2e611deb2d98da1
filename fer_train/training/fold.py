"""One fold from its sample ids to its files: network, loss and normalisation are made from the training side alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_prep.atomic_files import write_atomically
from fer_prep.digests import settings_digest
from fer_prep.errors import FoldsError, UsageError
from fer_prep.folds.splits import Fold, FoldManifest, make_inner_split
from fer_prep.progress import Progress, silent
from fer_train.classical.landmarks import landmarks_of
from fer_train.classical.network import ClassicalNetwork
from fer_train.config import Config
from fer_train.data.batches import Batches
from fer_train.data.image_dataset import ImageDataset
from fer_train.data.images import to_floats
from fer_train.data.normalise import FoldNormalisation
from fer_train.losses import make_loss
from fer_train.losses.base import balanced_class_weights
from fer_train.metrics.predictions import Predictions
from fer_train.models.answers import answer
from fer_train.models.model_file import build_network, describe, save_model
from fer_train.models.trained_people import refuse_unnoticed_people
from fer_train.training.features import Features, compute_features
from fer_train.training.initial_weights import set_initial_weights
from fer_train.training.live import tensorboard_events, training_display
from fer_train.training.loop import EpochListener, FoldRows, FoldTraining
from fer_train.training.machine import Machine, seed_libraries
from fer_train.training.run_folder import history_to_csv
from fer_train.training.views import Views, frontal_and_turned

CHECKPOINT: Final = "last.ckpt"
INNER_CHECKPOINT: Final = "share.ckpt"
HELD_OUT: Final = 0.25
"""Share of the training samples, by person, that say what a network counts beside discriminants."""


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """What came out of one fold."""

    index: int
    ids: tuple[str, ...]
    """The judged samples."""
    labels: NDArray[np.int64]
    """(n,)."""
    probabilities: NDArray[np.float64]
    """(n, K)."""
    loss: float
    """The training loss function on the judged samples."""
    history: list[dict[str, float]]
    train_samples: int
    turned: Predictions | None = None
    """Of the other views of the judged recordings, where there are some."""


def run_fold(
    index: int,
    *,
    manifest: FoldManifest,
    data: ImageDataset,
    config: Config,
    machine: Machine,
    folder: Path,
    at_epoch_end: EpochListener | None = None,
    features: Features | None = None,
    show: bool = True,
) -> FoldResult:
    """Train fold ``index``, going on from its checkpoint where there is one, and write its files.

    The discriminants beside the network are fitted to ``features``; without them these are computed anew.
    ``show``: draw how far it is. Of several processes that share the training the first one draws and writes.
    A fold whose checkpoint says that it is finished is only read back and judged again.
    """
    seed = config.training.seed + index
    fold = manifest.fold(index)
    train, inner = fold.train, None
    if config.training.inner_split:
        share = config.training.inner_split
        split = make_inner_split(data.file, fold.train, group_by=manifest.group_by, share=share, seed=seed)
        train, inner = split.train, data.rows_of(split.val)
    rows = fold_rows(train, fold.val, data=data, inner=inner, views=config.augmentation.views)
    training = prepare_training(
        rows, data=data, config=config, machine=machine, seed=seed, checkpoint=folder / CHECKPOINT, features=features
    )
    training.at_epoch_end = at_epoch_end
    with ExitStack() as watching:
        if machine.first and show:
            title, steps = manifest.title(index), training.steps.total
            display = training_display(title, total_steps=steps, batch_size=config.training.batch_size)
            training.listeners.append(watching.enter_context(display))
        if machine.first:
            training.listeners.append(watching.enter_context(tensorboard_events(folder)))
        training.run()
    return _finish(index, training=training, fold=fold, folder=folder)


def fold_rows(
    train: Sequence[str], val: Sequence[str], *, data: ImageDataset, inner: Tensor | None = None, views: bool
) -> FoldRows:
    """The rows of a fold: a recording counts once, and is judged as it is."""
    learned = data.rows_of(train)
    of_recordings = Views(learned, data)
    several = views and len(of_recordings.rows) < len(learned)
    return FoldRows(
        train=of_recordings.rows if several else frontal_and_turned(learned, data)[0],
        val=frontal_and_turned(data.rows_of(val), data)[0],
        inner=None if inner is None else frontal_and_turned(inner, data)[0],
        views=of_recordings if several else None,
    )


def open_data(
    path: Path,
    *,
    config: Config,
    device: torch.device,
    classes: Sequence[str] | None = None,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = silent,
) -> ImageDataset:
    """The dataset as these settings want it: inputs, size, in memory or streamed."""
    return ImageDataset(
        path,
        inputs=config.model.input_names,
        image_size=config.data.image_size,
        equalise=config.data.equalise_luma,
        metric=config.augmentation.depth_holes > 0,
        classes=classes,
        device=device,
        memory=config.machine.data_memory,
        reading_threads=config.machine.reading_workers,
        say=say,
        progress=progress,
    )


def prepare_training(
    rows: FoldRows,
    *,
    data: ImageDataset,
    config: Config,
    machine: Machine,
    seed: int,
    checkpoint: Path,
    features: Features | None = None,
    share: bool = True,
) -> FoldTraining:
    """Everything that is fitted to the training side: normalisation, class weights, and a freshly seeded network.

    ``share``: find out what the network counts beside discriminants, by a training of its own.
    """
    classes = len(data.classes)
    normalisation = FoldNormalisation.fit(
        data,
        rows.train if rows.views is None else rows.views.all,
        inputs=config.model.input_names,
        settings=asdict(config.data),
    )
    seed_libraries(seed)
    network = build_network(
        config.model, classes=classes, image_size=config.data.image_size, pretrained=not checkpoint.exists()
    )
    if network.fitted:
        raise UsageError(f"the network {config.model.network!r} is fitted at once: it has no steps and no epochs")
    learnt_from = rows.train if rows.inner is None else torch.cat([rows.train, rows.inner])
    people = set(data.file.column("subject")[learnt_from.numpy()].tolist())
    if config.model.weights and not checkpoint.exists():
        judged = rows.val.numpy()
        people |= set_initial_weights(network, config.model, classes=data.classes, file=data.file, judged=judged)
    bound_to = identity(rows, data=data, config=config, seed=seed)
    if isinstance(network.classical, ClassicalNetwork):
        # before the network is trained: what cannot be fitted is said at once
        blocks = network.classical.blocks
        features = features or compute_features(data, blocks)
        network.classical.fit({name: features[name][learnt_from] for name in blocks}, data.labels[learnt_from].numpy())
        if share and not checkpoint.exists():
            fit_share(
                network.classical,
                learnt_from,
                data=data,
                config=config,
                machine=machine,
                seed=seed,
                checkpoint=checkpoint.with_name(INNER_CHECKPOINT),
                features=features,
            )
    weights = None
    if config.loss.class_weights == "balanced":
        weights = balanced_class_weights(data.labels[rows.train], classes=classes)
    loss = make_loss(config.loss, classes=classes, feature_width=network.feature_width, class_weights=weights)
    batches = Batches(
        data,
        normalisation=normalisation,
        augmentation=config.augmentation,
        seed=seed,
        soft_targets=config.loss.targets == "soft",
    )
    training = FoldTraining(
        network, loss=loss, batches=batches, rows=rows, config=config, machine=machine, seed=seed, checkpoint=checkpoint
    )
    training.state.people, training.state.bound_to = sorted(people), bound_to
    return training


def fit_share(
    classical: ClassicalNetwork,
    train: torch.Tensor,
    *,
    data: ImageDataset,
    config: Config,
    machine: Machine,
    seed: int,
    checkpoint: Path,
    features: Features,
) -> None:
    """Choose what the network counts beside ``classical``, by some people of the rows ``train`` (n,).

    Both learn from the others, the network for half as many epochs. Where those leave a class out, or are nobody,
    nothing is learned, and both count the same.
    """
    try:
        inner = make_inner_split(data.file, data.ids[train.numpy()].tolist(), share=HELD_OUT, seed=seed)
    except FoldsError:  # a single person
        return
    rows = fold_rows(inner.train, inner.val, data=data, views=config.augmentation.views)
    epochs = math.ceil(config.training.epochs / 2)
    half = replace(config, training=replace(config.training, epochs=epochs, inner_split=0, early_stop=0))
    counts = torch.bincount(data.labels[rows.train], minlength=len(data.classes))
    if not len(rows.val) or not bool(counts.all()):
        return
    shared: Any = {"data": data, "config": half, "machine": machine, "seed": seed}
    training = prepare_training(rows, checkpoint=checkpoint, features=features, share=False, **shared)
    training.run()
    beside = training.state.judged.classical
    if not isinstance(beside, ClassicalNetwork):
        raise TypeError(f"expected discriminants, found {type(beside).__name__}")
    own, _ = beside.logits({name: features[name][rows.val] for name in beside.blocks})
    classical.fit_share(_answers(training, rows.val, alone=True).cpu(), own, data.labels[rows.val])
    if machine.first:
        checkpoint.unlink(missing_ok=True)


def identity(rows: FoldRows, *, data: ImageDataset, config: Config, seed: int) -> dict[str, str]:
    """What decides a training, part by part, as digests: a checkpoint of another one is not gone on with."""
    settings = {key: value for key, value in asdict(config).items() if key not in ("machine", "name")}
    sides = {"learned": rows.train, "judged": rows.val, "inner": torch.empty(0) if rows.inner is None else rows.inner}
    parts = {f"{side} samples": data.ids[chosen.long().numpy()].tolist() for side, chosen in sides.items()}
    parts |= {"fold": seed, "settings": settings, "classes": data.classes, "data": data.file.digest}
    return {name: settings_digest({name: part}) for name, part in parts.items()}


def _finish(index: int, *, training: FoldTraining, fold: Fold, folder: Path) -> FoldResult:
    """Judge the kept weights and write model, description and history."""
    state, data = training.state, training.batches.data
    people = data.file.column("subject")
    train, val = (set(people[data.rows_of(side).numpy()].tolist()) for side in (fold.train, fold.val))
    refuse_unnoticed_people(state.people, judged=val, both_sides=train & val, model=training.config.model, place=folder)
    if state.chosen is not None:
        state.judged.load_state_dict(state.chosen["weights"])
    logits, vectors, labels = training.outputs(training.rows.val)
    with torch.no_grad():
        loss = state.loss(logits, vectors, labels).item()
    description = describe(
        training.config,
        classes=data.classes,
        normalisation=training.batches.normalisation,
        people=state.people,
        data_settings=data.file.settings,
    )
    probabilities = _answers(training, training.rows.val).double().softmax(dim=1)
    history = [{name: float(value) for name, value in row.items()} for row in state.history]
    if training.machine.first:
        save_model(folder, state.judged.state_dict(), description=description)
        write_atomically(folder / "history.csv", content=history_to_csv(history))
    return FoldResult(
        index=index,
        ids=tuple(data.ids[training.rows.val.numpy()].tolist()),
        labels=labels.cpu().numpy(),
        probabilities=probabilities.cpu().numpy(),
        loss=loss,
        history=history,
        train_samples=len(training.rows.train),
        turned=turned_views(index, fold.val, data=data, answer=lambda rows: _answers(training, rows)),
    )


def turned_views(
    index: int, ids: Sequence[str], *, data: ImageDataset, answer: Callable[[Tensor], Tensor]
) -> Predictions | None:
    """What ``answer`` (rows (n,) → logits (n, K)) says of the judged ``ids`` that are no frontal views."""
    _, turned = frontal_and_turned(data.rows_of(ids), data)
    if not len(turned):
        return None
    return Predictions(
        classes=data.classes,
        ids=tuple(data.ids[turned.numpy()].tolist()),
        folds=np.full(len(turned), index),
        labels=data.labels[turned].numpy(),
        probabilities=answer(turned).double().softmax(dim=1).cpu().numpy(),
    )


def _answers(training: FoldTraining, rows: Tensor, *, alone: bool = False) -> Tensor:
    """(n, K) what the kept network, and the discriminants beside it unless it is ``alone``, say of ``rows`` (n,)."""
    network, data = training.state.judged, training.batches.data
    network.eval()
    plan = rows.split(training.config.machine.validation_batch_size)
    said: list[Tensor] = []
    for part, stored in zip(plan, data.batches(plan), strict=True):
        images = to_floats(stored) | landmarks_of(data.file, part.numpy())
        with training.machine.autocast():
            settings, normalisation = training.config.model, training.batches.normalisation
            said.append(answer(network, images, normalisation=normalisation, settings=settings, alone=alone))
    return torch.cat(said)
