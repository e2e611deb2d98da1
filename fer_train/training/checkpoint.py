"""``last.ckpt``: everything a fold needs to go on as if it had never stopped, and whose it is.

A checkpoint is taken between two optimiser steps, so that no half-accumulated gradient has to be kept. Order,
augmentation and dropout follow from (seed, epoch, sample) and (seed, step): training from a checkpoint repeats the
undisturbed run bit for bit on a CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor

from fer_prep.atomic_files import replacing
from fer_prep.errors import UsageError
from fer_train.losses.base import ExpressionLoss
from fer_train.models.network import ExpressionNetwork

FORMAT: Final = "fer-checkpoint"
VERSION: Final = 4
PARTS: Final = ("network", "loss", "optimiser", "schedule", "scaler", "ema")
"""Fields of ``State`` that have a state of their own."""
PLAIN: Final = ("step", "finished", "history", "chosen", "people")
"""Fields that go into a checkpoint as they are."""


@dataclass
class State:
    """What changes while a fold trains; all of it is in the checkpoint."""

    network: ExpressionNetwork
    loss: ExpressionLoss
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.OneCycleLR
    scaler: torch.amp.GradScaler
    ema: ModelEmaV3 | None
    step: int = 0
    finished: bool = False
    history: list[dict[str, float | Tensor]] = field(default_factory=list[dict[str, float | Tensor]])
    """A row a step; numbers that the device still holds are tensors."""
    chosen: dict[str, Any] | None = None
    """With an inner split: ``weights``, ``step`` and ``loss`` of its best validation."""
    people: list[str] = field(default_factory=list[str])
    """Subjects that the weights learn from, also in the training that they started from."""
    bound_to: dict[str, str] = field(default_factory=dict[str, str])
    """What a checkpoint belongs to, each part as a digest: another one's is refused."""

    @property
    def judged(self) -> ExpressionNetwork:
        """The network that is validated and kept: the averaged one where averaging is on."""
        averaged: Any = self.ema.module if self.ema else self.network
        return averaged

    def save(self, path: Path) -> None:
        """Write the checkpoint."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        save_checkpoint(path, {**parts, **{name: getattr(self, name) for name in PLAIN}, "bound_to": self.bound_to})

    def load(self, path: Path) -> None:
        """Become the state that was saved there; UsageError where it is that of another training."""
        stored = load_checkpoint(path)
        other = [part for part, digest in self.bound_to.items() if stored["bound_to"].get(part) != digest]
        if other or not set(self.people) <= set(stored["people"]):
            raise UsageError(
                f"this checkpoint is of another training, which differs in: {', '.join(other) or 'the people'}",
                path=path,
                hint="put back the folds.json, config.toml, fold folders and data that belong together, or start anew",
            )
        for name, part in self._parts().items():
            part.load_state_dict(stored[name])
        for name in PLAIN:
            setattr(self, name, stored[name])

    def _parts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in PARTS if getattr(self, name) is not None}


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, text, and dicts and lists of them) to ``path``, whole or not at all."""
    with replacing(path) as part, part.open("wb") as stream:
        try:
            torch.save({"format": FORMAT, "version": VERSION, **state}, stream)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # of a full disk torch says "unexpected pos" and no more
                raise error.__context__ from None
            raise


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU, without running any code in it; a foreign or damaged file is an error."""
    hint = "delete the file to train this fold from the start"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UsageError("no such checkpoint", path=path) from None
    except Exception as error:  # torch raises many types for damaged files: zip, pickle, runtime errors
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"cannot be read as a checkpoint: {reason}", path=path, hint=hint) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UsageError(f"expected a {FORMAT} file; found something else", path=path, hint=hint)
    if state["version"] != VERSION:
        raise UsageError(f"expected checkpoint version {VERSION}; found {state['version']}", path=path, hint=hint)
    return state
