"""One fold from its sample ids to its files: network, loss and normalisation are made from the training side alone."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from fer_prep.atomic_files import write_atomically
from fer_prep.folds.splits import Fold, FoldManifest, make_inner_split
from fer_train.config import Config, LossSettings
from fer_train.data.batches import Batches
from fer_train.data.normalise import FoldNormalisation
from fer_train.data.pixel_store import PixelStore
from fer_train.losses import loss_class, make_loss
from fer_train.losses.base import ExpressionLoss, balanced_class_weights
from fer_train.models.model_file import build_network, describe, save_model
from fer_train.training.checkpoint import seed_libraries
from fer_train.training.initial_weights import set_initial_weights
from fer_train.training.live import training_display
from fer_train.training.loop import EpochListener, FoldRows, FoldTraining, RowListener
from fer_train.training.run_folder import history_to_csv
from fer_train.training.state import State

CHECKPOINT: Final = "last.ckpt"


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


def run_fold(
    index: int,
    *,
    manifest: FoldManifest,
    data: PixelStore,
    config: Config,
    fabric: Fabric,
    folder: Path,
    at_epoch_end: EpochListener | None = None,
    show: bool = True,
) -> FoldResult:
    """Train fold ``index``, going on from its checkpoint where there is one, and write its files.

    ``show``: draw how far it is. Of several processes that share the training the first one draws and writes.
    A fold whose checkpoint says that it is finished is only read back and judged again.
    """
    seed = config.training.seed + index
    fold = manifest.fold(index)
    train_ids, inner_ids = _inner_split(fold, manifest=manifest, data=data, config=config, seed=seed)
    rows = FoldRows(
        train=data.rows_of(train_ids),
        val=data.rows_of(fold.val),
        inner=data.rows_of(inner_ids) if inner_ids else None,
    )
    training = prepare_training(
        rows, data=data, config=config, fabric=fabric, seed=seed, checkpoint=folder / CHECKPOINT
    )
    training.at_epoch_end = at_epoch_end
    with ExitStack() as watching:
        if fabric.is_global_zero and show:
            title, steps = manifest.title(index), training.steps.total
            display = training_display(title, total_steps=steps, batch_size=config.training.batch_size)
            training.listeners.append(watching.enter_context(display))
        if fabric.is_global_zero:
            training.listeners.append(watching.enter_context(tensorboard_events(folder)))
        state = training.run()
    return _finish(index, training=training, state=state, ids=fold.val, folder=folder)


def prepare_training(
    rows: FoldRows, *, data: PixelStore, config: Config, fabric: Fabric, seed: int, checkpoint: Path
) -> FoldTraining:
    """Everything that is fitted to the training side: normalisation, class weights, and a freshly seeded network."""
    normalisation = FoldNormalisation.fit(data, rows.train, modality=config.model.modality)
    seed_libraries(seed)
    network = build_network(
        config.model, classes=len(data.classes), image_size=config.data.image_size, pretrained=not checkpoint.exists()
    )
    learnt_from = [rows.train] if rows.inner is None else [rows.train, rows.inner]
    people = set(data.file.column("subject")[torch.cat(learnt_from).cpu().numpy()].tolist())
    if config.model.weights and not checkpoint.exists():
        judged = rows.val.cpu().numpy()
        people |= set_initial_weights(network, config.model, classes=data.classes, file=data.file, judged=judged)
    weights = None
    if config.loss.class_weights == "balanced":
        weights = balanced_class_weights(data.labels[rows.train.cpu()], classes=len(data.classes))
    loss = build_loss(
        config.loss, classes=len(data.classes), feature_width=network.feature_width, class_weights=weights
    )
    batches = Batches(
        data,
        normalisation=normalisation,
        augmentation=config.augmentation,
        depth_channels=config.model.depth_channels,
        seed=seed,
    )
    training = FoldTraining(
        network, loss=loss, batches=batches, rows=rows, config=config, fabric=fabric, seed=seed, checkpoint=checkpoint
    )
    training.state.people = sorted(people)
    return training


def build_loss(
    settings: LossSettings, *, classes: int, feature_width: int, class_weights: torch.Tensor | None
) -> ExpressionLoss:
    """The loss of these settings, given those of them that it has."""
    own = set(inspect.signature(loss_class(settings.name)).parameters)
    arguments = {name: value for name, value in asdict(settings).items() if name in own - {"class_weights"}}
    return make_loss(
        settings.name, classes=classes, feature_width=feature_width, class_weights=class_weights, **arguments
    )


def _inner_split(
    fold: Fold, *, manifest: FoldManifest, data: PixelStore, config: Config, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids to train on and ids to choose by; without an inner split all are trained on."""
    share = config.training.inner_split
    if not share:
        return fold.train, ()
    inner = make_inner_split(data.file, fold.train, group_by=manifest.group_by, share=share, seed=seed)
    return inner.train, inner.val


def _finish(index: int, *, training: FoldTraining, state: State, ids: tuple[str, ...], folder: Path) -> FoldResult:
    """Judge the kept weights and write model, description and history."""
    if state.chosen is not None:
        state.judged.load_state_dict(state.chosen["weights"])
    logits, features, labels = training.final_outputs()
    with torch.no_grad():
        loss = state.loss(logits, features, labels).item()
    data, config = training.batches.data, training.config
    description = describe(
        config,
        classes=data.classes,
        normalisation=training.batches.normalisation,
        people=state.people,
        data_settings=data.file.settings,
    )
    if training.fabric.is_global_zero:
        save_model(folder, state.judged.state_dict(), description=description)
        write_atomically(folder / "history.csv", content=history_to_csv(state.history))
    return FoldResult(
        index=index,
        ids=ids,
        labels=labels.cpu().numpy(),
        probabilities=logits.double().softmax(dim=1).cpu().numpy(),
        loss=loss,
        history=state.history,
        train_samples=len(training.rows.train),
    )


@contextmanager
def tensorboard_events(folder: Path) -> Generator[RowListener]:
    """A listener that writes TensorBoard events into ``folder``; steps that are done again replace the old ones."""
    from torch.utils.tensorboard import SummaryWriter

    writers: list[SummaryWriter] = []

    def listen(row: Mapping[str, float]) -> None:
        step = int(row["step"])
        if not writers:
            # the first row says where training goes on: what an interrupted run wrote beyond it is void
            writers.append(SummaryWriter(str(folder), purge_step=step))
        for name, value in row.items():
            if name not in ("step", "epoch"):
                group, _, rest = name.partition("_")
                writers[0].add_scalar(f"{group}/{rest}", value, step)

    try:
        yield listen
    finally:
        for writer in writers:
            writer.close()
