"""A torch Dataset of a fer-rgbd file, and a trained model for one's own program: what others may rely on.

``fer_train`` itself has these names; see docs/reference/python.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_train.data.inputs import modalities_of
from fer_train.environment import choose_device
from fer_train.inference.evaluate import Ensemble
from fer_train.inference.predict import Prediction, predict


class RgbdItem(TypedDict):
    """One sample of an ``RgbdDataset``."""

    rgb: Tensor
    """(3, H, W) float32 in [0, 1]."""
    depth: Tensor
    """(1, H, W) float32 in [0, 1]: stored depth / 65535, 0 where there is none."""
    valid: Tensor
    """(1, H, W) bool: where there is depth."""
    label: int
    """Index into the dataset's ``classes``."""
    id: str


@final
class RgbdDataset(Dataset[RgbdItem]):
    """A fer-rgbd file for a ``torch.utils.data.DataLoader``; safe with worker processes.

    ``ids`` chooses samples, such as one side of a fold; without it all are there, sorted by id.

    >>> import fer_train
    >>> dataset = fer_train.RgbdDataset("global.h5")
    >>> len(dataset), dataset.classes[0], tuple(dataset[0]["rgb"].shape)
    (14, 'anger', (3, 32, 32))
    """

    def __init__(self, path: Path | str, *, ids: Sequence[str] | None = None) -> None:
        self.file = DatasetFile.open(path)
        self.classes = self.file.classes
        self._rows = np.arange(self.file.n) if ids is None else self.file.rows_of(ids)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> RgbdItem:
        row = int(self._rows[index])
        depth = torch.from_numpy(self.file.read("depth", [row])[0].astype(np.int32))
        return RgbdItem(
            rgb=torch.from_numpy(self.file.read("rgb", [row])[0]).permute(2, 0, 1) / 255,
            depth=(depth / 65535)[None],
            valid=(depth > 0)[None],
            label=int(self.file.labels[row]),
            id=str(self.file.ids[row]),
        )


@final
class Classifier:
    """A trained run: the networks of its folds, whose probabilities are averaged; see ``load_model``."""

    def __init__(self, ensemble: Ensemble, *, device: torch.device) -> None:
        self._ensemble, self._device = ensemble, device
        self.classes: tuple[str, ...] = ensemble.description.classes
        self.image_size: int = ensemble.description.image_size
        self.inputs: tuple[str, ...] = ensemble.description.model.input_names
        """What the networks look at, such as ``rgb`` and ``depth``."""

    def predict(self, source: Path | str, *, depth: Path | str | None = None) -> list[Prediction]:
        """Probabilities of an ``.h5`` dataset, a prepared folder, or one prepared picture with its ``depth``.

        Raises ``FerError`` where a picture cannot be used.
        """
        found = predict(self._ensemble, Path(source), depth=None if depth is None else Path(depth), device=self._device)
        if found.set_aside:
            raise found.set_aside[0]
        return found.made

    def probabilities(self, rgb: NDArray[np.uint8], depth: NDArray[np.uint16]) -> NDArray[np.float64]:
        """(B, K) of prepared pictures in memory: ``rgb`` (B, H, W, 3) sRGB, ``depth`` (B, H, W) as stored."""
        if rgb.ndim != 4 or rgb.shape[3] != 3 or depth.shape != rgb.shape[:3]:
            raise UsageError(expected="rgb (B, H, W, 3) and depth (B, H, W)", found=f"{rgb.shape} and {depth.shape}")
        if rgb.dtype != np.uint8 or depth.dtype != np.uint16:
            raise UsageError(expected="rgb of uint8 and depth of uint16", found=f"{rgb.dtype} and {depth.dtype}")
        stored = {"rgb": rgb, "depth": depth}
        wanted = {name: stored[name] for name in modalities_of(self.inputs)}
        images = self._ensemble.prepare(wanted, device=self._device)
        return self._ensemble.probabilities(images).cpu().numpy()


def load_model(run: Path | str, *, device: str = "auto") -> Classifier:
    """A trained network of a run folder (all its folds together), of one ``fold-K``, or of ``fer-train export``.

    ``device`` is ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    >>> import fer_train
    >>> model = fer_train.load_model("runs/demo", device="cpu")
    >>> first = model.predict("global.h5")[0]
    >>> round(sum(first.probabilities), 6), first.best(model.classes) in model.classes
    (1.0, True)
    """
    chosen = choose_device(device)
    return Classifier(Ensemble.load(Path(run), device=chosen), device=chosen)
