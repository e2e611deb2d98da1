"""``last.ckpt``: everything a fold needs to go on as if it had never stopped.

A checkpoint is taken between two optimiser steps, so that no half-accumulated gradient has to be kept. Order and
augmentation follow from (seed, epoch, sample); dropout from the random state kept here. Training from a checkpoint
therefore repeats the undisturbed run bit for bit on a CPU.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from fer_prep.atomic_files import replacing
from fer_prep.errors import UsageError

FORMAT: Final = "fer-checkpoint"
VERSION: Final = 2


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, text, and dicts and lists of them) to ``path``, whole or not at all."""
    with replacing(path) as part:
        torch.save({"format": FORMAT, "version": VERSION, **state}, part)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU, without running any code in it; a foreign or damaged file is an error."""
    hint = "delete the file to train this fold from the start"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UsageError("no such checkpoint", path=path) from None
    except Exception as error:  # torch raises many types for damaged files: zip, pickle, runtime errors
        raise UsageError(f"cannot be read as a checkpoint: {_first_line(error)}", path=path, hint=hint) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UsageError(f"expected a {FORMAT} file; found something else", path=path, hint=hint)
    if state["version"] != VERSION:
        raise UsageError(f"expected checkpoint version {VERSION}; found {state['version']}", path=path, hint=hint)
    return state


def random_state(device: torch.device) -> dict[str, Any]:
    """The state of PyTorch's generators that this process draws from."""
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Put the generators back; a state of another kind of device leaves this one's as it is seeded."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def seed_libraries(seed: int) -> None:
    """Seed PyTorch, and the global generators that third-party code may draw from."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - not for us: for libraries that use the global generator


def seed_network(seed: int, device: torch.device) -> None:
    """Seed what a network on ``device`` draws from. ``torch.manual_seed`` visits all kinds of devices: 0.4 ms."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
