"""The training loop of one fold, to be read from top to bottom.

One *step* is one optimiser step: ``batch_size`` samples, passed through the network in micro-batches whose gradients
accumulate. The One-Cycle schedule moves once a step. Nothing inside a step waits for the device: its numbers are
fetched once a second, at validations of an inner split, and at checkpoints.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor

from fer_prep.errors import FerError
from fer_train.config import Config
from fer_train.data.batches import Batches
from fer_train.data.random_draws import network_seed
from fer_train.losses.base import ExpressionLoss
from fer_train.models.network import ExpressionNetwork
from fer_train.training.checkpoint import State
from fer_train.training.machine import Machine
from fer_train.training.optimiser import make_optimiser, make_schedule
from fer_train.training.out_of_memory import explaining_memory_and_lone_samples
from fer_train.training.processes import average_buffers, gathered, own_parts, own_share, sum_gradients, summed
from fer_train.training.steps import Steps, validation_positions
from fer_train.training.views import Views

REPORT_SECONDS: Final = 1.0
"""How often losses are fetched from the device for whoever watches."""


@dataclass(frozen=True, kw_only=True)
class FoldRows:
    """Rows (n,) int64 that a fold trains on, is judged by, and (with an inner split) chooses its weights with."""

    train: Tensor
    val: Tensor
    inner: Tensor | None = None
    views: Views | None = None
    """Of the recordings in ``train``."""


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
        machine: Machine,
        seed: int,
        checkpoint: Path,
    ) -> None:
        self.batches, self.rows, self.config, self.machine = batches, rows, config, machine
        self.seed, self.checkpoint = seed, checkpoint
        self.listeners: list[RowListener] = []
        self.at_epoch_end: EpochListener | None = None
        settings = config.training
        self.steps = Steps(rows.train, settings=settings, seed=seed, views=rows.views)
        self.validation_positions = validation_positions(self.steps.per_epoch, settings.validations_per_epoch)

        network.to(machine.device)
        optimiser = make_optimiser(network, config.optimiser)
        schedule = make_schedule(optimiser, config.optimiser, total_steps=self.steps.total)
        ema = ModelEmaV3(network, decay=settings.ema_decay, device=machine.device) if settings.ema_decay else None
        self.forward: Any = torch.compile(network) if config.machine.compile else network
        self.state = State(network, loss.to(machine.device), optimiser, schedule, machine.scaler(), ema)
        self._micro_batches = iter(batches.training(()))
        self._reported_at = self._saved_at = time.monotonic()
        self._reported = 0
        """How many rows of the history hold numbers that are known here."""

    def run(self) -> State:
        """Train to the last epoch, going on from the checkpoint where there is one."""
        self.begin()
        while not self.state.finished:
            self.advance()
        return self.state

    def begin(self) -> None:
        """Take up the checkpoint, and begin to read."""
        if self.checkpoint.exists():
            self.state.load(self.checkpoint)
            self._reported = len(self.state.history)
        self.forward.train()
        self._micro_batches = self.batches.training(self._plan(self.state.step))

    def _plan(self, first: int) -> Iterator[tuple[int, Tensor]]:
        """(epoch, rows) of every micro-batch that this process passes through the network from step ``first`` on."""
        for step in range(first, self.steps.total):
            for part in own_parts(self.steps.micro_batches(step), self.machine):
                yield step // self.steps.per_epoch, part.rows

    def advance(self) -> None:
        """One optimiser step with all that belongs to it: schedule, history, validation, checkpoint."""
        state, step = self.state, self.state.step
        epoch, position = divmod(step, self.steps.per_epoch)
        rates = {f"rate_{g['name']}": float(g["lr"]) for g in state.optimiser.param_groups}
        with explaining_memory_and_lone_samples(self.config.training.micro_batch_size):
            numbers = self._optimiser_step(step)
        state.schedule.step()
        state.step += 1
        if state.ema:
            state.ema.update(state.network, step=state.step)
        row: dict[str, float | Tensor] = {"step": state.step, "epoch": state.step / self.steps.per_epoch}
        row |= {name: rates[name] for name in ("rate_backbone", "rate_fusion") if name in rates} | numbers
        state.history.append(row)

        if position + 1 in self.validation_positions:
            row |= self._validate()
        if self.at_epoch_end and position + 1 == self.steps.per_epoch:
            self.at_epoch_end(epoch + 1, self)
        state.finished = state.step == self.steps.total or self._should_stop()
        self._report_and_save()

    def _optimiser_step(self, step: int) -> dict[str, Tensor]:
        """Forward and backward over the micro-batches, one clipped step of AdamW, then the loss's centers move.

        The gradient is that of the mean over the step's samples, also where the last step of an epoch has fewer.
        Returns the step's loss and accuracy in percent, on the device.
        """
        state, machine = self.state, self.machine
        micro_batches = self.steps.micro_batches(step)
        loss_and_hits = torch.zeros(2, device=machine.device)
        features = [torch.empty(0, state.network.feature_width, device=machine.device)]
        labels = [torch.empty(0, dtype=torch.int64, device=machine.device)]
        for part in own_parts(micro_batches, machine):
            torch.manual_seed(network_seed(seed=self.seed, step=step, part=part.number))  # dropout follows from it
            batch = next(self._micro_batches)  # inputs: name → (b, C, S, S); labels (b,)
            with machine.autocast():
                output = self.forward(batch.inputs)  # logits (b, K), features (b, D)
            loss = state.loss(output.logits, output.features, batch.targets) * part.weight
            state.scaler.scale(loss).backward()
            hits = (output.logits.detach().argmax(1) == batch.labels).sum()
            loss_and_hits += torch.stack((loss.detach(), hits))
            features.append(output.features.detach().float())
            labels.append(batch.labels)
        sum_gradients(state.network.parameters(), machine)
        average_buffers(state.network, machine)
        if self.config.optimiser.clip_norm:
            state.scaler.unscale_(state.optimiser)
            torch.nn.utils.clip_grad_norm_(state.network.parameters(), self.config.optimiser.clip_norm)
        state.scaler.step(state.optimiser)
        state.scaler.update()
        state.optimiser.zero_grad()
        state.loss.update(torch.cat(features), torch.cat(labels))
        total, hits = summed(loss_and_hits, machine)
        return {"train_loss": total, "train_accuracy": 100 * hits / sum(map(len, micro_batches))}

    def _validate(self) -> dict[str, Tensor]:
        """Look at the whole validation fold (and the inner split): the numbers for the newest history row."""
        numbers = {f"val_{name}": value for name, value in self._scores(self.rows.val).items()}
        if self.rows.inner is None:
            return numbers
        inner_loss = self._scores(self.rows.inner)["loss"]
        if self.state.chosen is None or inner_loss.item() < self.state.chosen["loss"]:
            weights = {name: value.detach().cpu().clone() for name, value in self.state.judged.state_dict().items()}
            self.state.chosen = {"step": self.state.step, "loss": inner_loss.item(), "weights": weights}
        return numbers | {"inner_loss": inner_loss}

    @torch.no_grad()
    def _scores(self, rows: Tensor) -> dict[str, Tensor]:
        """Loss, overall and average class accuracy in percent, on the device."""
        logits, features, labels = self.outputs(rows)
        hits = (logits.argmax(1) == labels).float()
        members = (labels[:, None] == torch.arange(logits.shape[1], device=labels.device)).float()  # (n, K)
        recalls = (members * hits[:, None]).sum(0) / members.sum(0).clamp(min=1)
        return {
            "loss": self.state.loss(logits, features, labels),
            "overall_accuracy": 100 * hits.mean(),
            "average_accuracy": 100 * recalls.sum() / members.any(0).sum(),
        }

    @torch.no_grad()
    def outputs(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (n, K), features (n, D) and labels (n,) of rows, by the network as it is now, in evaluation mode."""
        network = self.state.judged if self.state.ema else self.forward
        was_training = network.training
        network.eval()
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        own = own_share(rows, self.machine).split(self.config.machine.validation_batch_size)
        for batch in self.batches.validation(own):
            with self.machine.autocast():
                output = network(batch.inputs)
            found.append((output.logits.float(), output.features.float(), batch.labels))
        network.train(was_training)
        logits, features, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
        logits, features, labels = (gathered(v, self.machine, count=len(rows)) for v in (logits, features, labels))
        return logits, features, labels

    def _should_stop(self) -> bool:
        """True when the inner loss has not fallen during the last ``early_stop`` validations."""
        patience, chosen = self.config.training.early_stop, self.state.chosen
        if not patience or chosen is None:
            return False
        return sum("inner_loss" in row and row["step"] > chosen["step"] for row in self.state.history) >= patience

    def _report_and_save(self) -> None:
        """Fetch numbers and write the checkpoint when their time has come, and at the end."""
        now = time.monotonic()
        save = self.state.finished or now - self._saved_at >= self.config.machine.checkpoint_seconds
        if save or now - self._reported_at >= REPORT_SECONDS:
            self._report()
            self._reported_at = now
        if save:
            # numbers were fetched first: a checkpoint never holds weights that became NaN unnoticed
            if self.machine.first:
                self.state.save(self.checkpoint)
            self._saved_at = time.monotonic()

    def _report(self) -> None:
        """Fetch the numbers that the device still holds, and tell whoever listens."""
        for row in self.state.history[self._reported :]:
            known = {name: float(value) for name, value in row.items()}
            row |= known
            self._stop_if_not_finite(known)
            for listener in self.listeners:
                listener(known)
        self._reported = len(self.state.history)

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
