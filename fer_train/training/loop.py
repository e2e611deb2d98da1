"""The training loop of one fold, to be read from top to bottom.

One *step* is one optimiser step: ``batch_size`` samples, passed through the network in micro-batches whose gradients
accumulate. The One-Cycle schedule moves once a step. Nothing inside a step waits for the device: what it computes
about itself stays there until a second has passed, a checkpoint is due, or the fold is finished.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from lightning_fabric import Fabric
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor

from fer_prep.errors import FerError, UsageError
from fer_train.config import Config
from fer_train.data.batches import Batches
from fer_train.data.random_draws import network_seed
from fer_train.losses.base import ExpressionLoss
from fer_train.models.network import ExpressionNetwork
from fer_train.training.batch_statistics import SharedBatchStatistics
from fer_train.training.checkpoint import load_checkpoint, save_checkpoint, seed_network
from fer_train.training.inputs import Inputs
from fer_train.training.judging import Judging
from fer_train.training.late_numbers import LateNumbers
from fer_train.training.out_of_memory import explaining_out_of_memory
from fer_train.training.processes import joined, summed
from fer_train.training.schedule import make_optimiser, make_schedule
from fer_train.training.scores import ACCURACIES, scores_of
from fer_train.training.state import State
from fer_train.training.steps import Rows, Steps, explaining_lone_samples, validation_positions

REPORT_SECONDS: Final = 1.0
"""How often losses are fetched from the device for whoever watches."""


@dataclass(frozen=True, kw_only=True)
class FoldRows:
    """Which rows a fold trains on, is judged by, and (with an inner split) chooses its weights with."""

    train: Rows
    val: Rows
    inner: Rows | None = None


RowListener = Callable[[Mapping[str, float]], None]
"""Hears every history row once its numbers are known; it has ``val_loss`` where the validation fold was looked at."""

EpochListener = Callable[[int, "FoldTraining"], None]
"""Is called with the number of the epoch that has just ended, from 1, and the training; must leave it as it is."""


class FoldTraining:
    """Trains one network on one fold; ``run`` is the loop, the methods below it are its parts in order of use."""

    def __init__(
        self,
        network: ExpressionNetwork,
        *,
        loss: ExpressionLoss,
        batches: Batches,
        rows: FoldRows,
        config: Config,
        fabric: Fabric,
        seed: int,
        checkpoint: Path,
    ) -> None:
        self.batches, self.rows, self.fabric, self.seed = batches, rows, fabric, seed
        self.config, self.settings = config, config.training
        self.checkpoint = checkpoint
        self.listeners: list[RowListener] = []
        self.at_epoch_end: EpochListener | None = None
        shards = batches.data.file.shard_sizes
        self.steps = Steps(rows.train, settings=self.settings, seed=seed, shard_sizes=shards)
        self.validation_positions = validation_positions(self.steps.per_epoch, self.settings.validations_per_epoch)

        most = math.ceil(self.settings.batch_size / self.settings.micro_batch_size)
        if fabric.world_size > most:
            raise UsageError(
                f"{fabric.world_size} processes share batches of {most} micro-batches: some would have nothing to do",
                hint="start fewer processes, or set a smaller training.micro_batch_size (which changes the result)",
            )
        self.judging = Judging(batches, fabric=fabric, batch_size=config.machine.validation_batch_size)
        judged_reads = partial(self.judging.reads, rows.val, rows.inner)
        self.inputs = Inputs(self.steps, batches=batches, fabric=fabric, judged=judged_reads)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = make_optimiser(network, config.optimiser, fused=config.machine.precision != "16-mixed")
        schedule = make_schedule(optimiser, config.optimiser, total_steps=self.steps.total)
        decay = self.settings.ema_decay
        ema = ModelEmaV3(network, decay=decay, device=fabric.device) if decay else None
        forward: Any = torch.compile(network) if config.machine.compile else network
        self.forward, self.optimiser = fabric.setup(forward, optimiser)
        self.statistics = SharedBatchStatistics(network, fabric)
        self.state = State(network, loss.to(fabric.device), optimiser, schedule, ema)
        self.late_numbers = LateNumbers()
        self._read_at = self._saved_at = time.monotonic()

    def run(self) -> State:
        """Train to the last epoch, going on from the checkpoint where there is one."""
        self.begin()
        while not self.state.finished:
            self.advance()
        return self.state

    def begin(self) -> None:
        """Take up the checkpoint, and say which samples will be wanted."""
        if self.checkpoint.exists():
            self.state.restore(load_checkpoint(self.checkpoint), self.fabric.device)
        self.forward.train()  # once: it visits every module, a millisecond of every step; judging puts it back
        if not self.state.finished:
            self.inputs.start(self.state.step, validations=self.validation_positions)

    def advance(self) -> None:
        """One optimiser step with all that belongs to it: schedule, history, validation, checkpoint."""
        step = self.state.step
        epoch, position = divmod(step, self.steps.per_epoch)
        rates = self.state.schedule.get_last_lr()
        trial = partial(self._try_batch, step)
        with explaining_lone_samples(), explaining_out_of_memory(trial, size=self.steps.size(step)):
            self._optimiser_step(step)
        self.state.schedule.step()
        self.state.step += 1
        if self.state.ema:
            self.state.ema.update(self.state.network, step=self.state.step)
        self.state.history.append(self._history_row(rates))

        if position + 1 in self.validation_positions:
            self._validate()
        if self.at_epoch_end and position + 1 == self.steps.per_epoch:
            self.at_epoch_end(epoch + 1, self)
        self.state.finished = self.state.step == self.steps.total or self._should_stop()
        self._read_and_save()

    def _optimiser_step(self, step: int) -> None:
        """Forward and backward over the micro-batches, one clipped step of AdamW, then the loss's centers move.

        The gradient is that of the mean over the step's samples, also where the last step of an epoch has fewer.
        """
        parts = self.inputs.parts_of(step)
        losses, logits, features, labels = list[Tensor](), list[Tensor](), list[Tensor](), list[Tensor]()
        with self.statistics.of_step(parts, count=self.steps.count_micro_batches(step)) as fading:
            for part in parts:
                seed_network(network_seed(seed=self.seed, step=step, part=part.number), self.fabric.device)
                batch = self.inputs.next()
                with self.fabric.no_backward_sync(self.forward, enabled=part is not parts[-1]):  # type: ignore[arg-type]
                    output = self.forward(batch.rgb, batch.depth)
                    loss = self.state.loss(output.logits, output.features, batch.labels)
                    # processes average their gradients; what is wanted is the sum of the weighted parts
                    share = loss * (part.weight * self.fabric.world_size)
                    self.fabric.backward(share)
                if fading:
                    fading.after(part)
                losses.append(share.detach())
                logits.append(part.counted(output.logits.detach()))
                features.append(part.counted(output.features.detach()))
                labels.append(part.counted(batch.labels))
        if self.config.optimiser.clip_norm:
            self.fabric.clip_gradients(
                self.forward, self.optimiser, max_norm=self.config.optimiser.clip_norm, error_if_nonfinite=False
            )
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.state.loss.update(joined(features), joined(labels))
        numbers = partial(self._numbers, losses, logits, labels, count=self.steps.size(step))
        # processes have to add up at the same step: when each of them reads its numbers is its own affair
        late = numbers if self.fabric.world_size == 1 else summed(numbers(), self.fabric)
        self.late_numbers.add(len(self.state.history), ("train_loss", "train_accuracy"), late)

    def _numbers(self, losses: list[Tensor], logits: list[Tensor], labels: list[Tensor], *, count: int) -> Tensor:
        """(2,) this process's share in the loss, and in the accuracy in percent, of a step of ``count`` samples."""
        total = sum(losses[1:], start=losses[0]) / self.fabric.world_size
        correct = torch.eq(joined(logits).argmax(1), joined(labels)).sum()
        return torch.stack((total, correct * (100 / count)))

    def _history_row(self, rates: Sequence[float | Tensor]) -> dict[str, float]:
        """What is known of a step without asking the device; the rest are late numbers."""
        groups = [group["name"] for group in self.state.optimiser.param_groups]
        return {
            "step": self.state.step,
            "epoch": self.state.step / self.steps.per_epoch,
            **{f"rate_{part}": float(rates[groups.index(part)]) for part in ("backbone", "fusion")},
        }

    def _validate(self) -> None:
        """Look at the whole validation fold (and the inner split); its numbers join the newest history row."""
        index = len(self.state.history) - 1
        self.late_numbers.add(index, ("val_loss", *ACCURACIES), self._scores(self.rows.val))
        if self.rows.inner is None:
            return
        self.late_numbers.add(index, ("inner_loss",), self._scores(self.rows.inner)[:1])
        self._read()
        inner_loss = self.state.history[-1]["inner_loss"]
        if self.state.chosen is None or inner_loss < self.state.chosen["loss"]:
            weights = {name: value.detach().cpu().clone() for name, value in self.state.judged.state_dict().items()}
            self.state.chosen = {"step": self.state.step, "loss": inner_loss, "weights": weights}

    def _scores(self, rows: Rows) -> Tensor:
        """(3,) loss, overall and average class accuracy in percent, on the device."""
        return scores_of(*self.outputs(rows), loss=self.state.loss)

    def outputs(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (n, K), features (n, D) and labels (n,) of rows, by the network as it is now."""
        return self.judging.outputs(self.state.judged if self.state.ema else self.forward, rows)

    def final_outputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """``outputs`` of the validation fold, once more after training: it is said beforehand what will be read."""
        self.batches.data.announce(self.judging.reads(self.rows.val))
        return self.outputs(self.rows.val)

    def _should_stop(self) -> bool:
        """True when the inner loss has not fallen during the last ``early_stop`` validations."""
        if not self.settings.early_stop or self.state.chosen is None:
            return False
        since = [row for row in self.state.history if "inner_loss" in row and row["step"] > self.state.chosen["step"]]
        return len(since) >= self.settings.early_stop

    def _read_and_save(self) -> None:
        """Fetch numbers and write the checkpoint when their time has come, and at the end."""
        now = time.monotonic()
        save = self.state.finished or now - self._saved_at >= self.config.machine.checkpoint_seconds
        if save or now - self._read_at >= REPORT_SECONDS:
            self._read()
            self._read_at = now
        if save:
            # numbers were read first: a checkpoint never holds weights that became NaN unnoticed
            if self.fabric.is_global_zero:
                save_checkpoint(self.checkpoint, self.state.to_checkpoint(self.fabric.device))
            self._saved_at = time.monotonic()

    def _read(self) -> None:
        """Complete the history up to now, and tell whoever listens."""
        for row in self.late_numbers.join(self.state.history):
            self._stop_if_not_finite(row)
            for listener in self.listeners:
                listener(row)

    def _stop_if_not_finite(self, row: Mapping[str, float]) -> None:
        if math.isfinite(row["train_loss"]):
            return
        ids = self.batches.ids_of(self.steps.samples(int(row["step"]) - 1))
        raise FerError(
            f"the loss became {row['train_loss']} at step {int(row['step'])} of {self.steps.total} "
            f"(epoch {row['epoch']:.2f}), on {len(ids)} samples: {', '.join(ids[:8])}{' …' if len(ids) > 8 else ''}",
            hint="try lower rates (optimiser.backbone_rate, optimiser.fusion_rate), a lower loss.center_weight, "
            "or machine.precision=32-true; fer-prep check looks for broken samples",
        )

    def _try_batch(self, step: int, size: int) -> None:
        """One forward and backward pass that leaves no trace: does a batch of this size fit into memory?"""
        batch = self.batches.training(self.steps.samples(step)[:size], epoch=step // self.steps.per_epoch)
        output = self.forward(batch.rgb, batch.depth)
        self.fabric.backward(self.state.loss(output.logits, output.features, batch.labels))
        self.optimiser.zero_grad()
