"""A torch Dataset of a fer-rgbd file, and a trained model for one's own program: what others may rely on.

``fer_train`` itself has these names; see docs/reference/python.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from fer_prep.dataset.reader import DatasetFile
from fer_train.environment import choose_device
from fer_train.inference.predict import Prediction, predict
from fer_train.inference.predictor import Predictor


class RgbdItem(TypedDict, total=False):
    """One sample of an ``RgbdDataset``; ``rgb``, and ``depth`` with ``valid``, as far as the file stores them."""

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
        item = RgbdItem(label=int(self.file.labels[row]), id=str(self.file.ids[row]))
        if "rgb" in self.file.modalities:
            item["rgb"] = torch.from_numpy(self.file.read("rgb", [row])[0]).permute(2, 0, 1) / 255
        if "depth" in self.file.modalities:
            depth = torch.from_numpy(self.file.read("depth", [row])[0].astype(np.int32))[None]
            item["depth"], item["valid"] = depth / 65535, depth > 0
        return item


@final
class Classifier:
    """A trained run: the networks of its folds, whose probabilities are averaged; see ``load_model``."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.classes: tuple[str, ...] = predictor.classes
        self.image_size: int = predictor.description.image_size
        self.inputs: tuple[str, ...] = predictor.description.model.input_names
        """What the networks look at, such as ``rgb`` and ``depth``."""

    def predict(
        self,
        source: Path | str,
        *,
        depth: Path | str | None = None,
        prepared: bool = False,
        depth_unit_mm: float = 0.125,
    ) -> list[Prediction]:
        """Probabilities of an ``.h5`` dataset, a folder of pictures, one picture with its ``depth``, or a mesh.

        Pictures outside of a prepared folder are taken as a camera recorded them, with depth in steps of
        ``depth_unit_mm``, and are aligned as the training data was (by the packages of ``fer-rgbd[prep]``) unless they
        are ``prepared``. Whom some of the networks have learned from is judged by the others, whom all know left out.

        Raises ``FerError`` where a picture cannot be used.
        """
        depth_file = None if depth is None else Path(depth)
        answers = predict(
            self._predictor, Path(source), depth=depth_file, prepared=prepared, depth_unit_mm=depth_unit_mm
        )
        if answers.rejected:
            raise answers.rejected[0]
        return answers.predictions

    def probabilities(
        self,
        rgb: NDArray[np.uint8] | None = None,
        depth: NDArray[np.uint16] | None = None,
        landmarks: NDArray[np.floating[Any]] | None = None,
    ) -> NDArray[np.float64]:
        """(B, K) of prepared pictures in memory: ``rgb`` (B, H, W, 3) sRGB, ``depth`` (B, H, W) as stored, MediaPipe's
        ``landmarks`` (B, 468, 2) in their pixels, which help ``classical``, and say how large a pixel is where a
        network looks at metric depth: their eyes are taken to be 63 mm apart.

        What the networks do not look at may be left out; what they lack is a ``UsageError``.
        """
        known = {"rgb": rgb, "depth": depth, "points_px": landmarks}
        given = {name: array for name, array in known.items() if array is not None}
        return self._predictor.probabilities(self._predictor.prepare(given))


def load_model(run: Path | str, *, device: str = "auto") -> Classifier:
    """A trained network of a run folder (all its folds together), of one ``fold-K``, or of ``fer-train export``.

    ``device`` is ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    >>> import fer_train
    >>> model = fer_train.load_model("runs/demo", device="cpu")
    >>> first = model.predict("global.h5")[0]
    >>> round(sum(first.probabilities), 6), first.best(model.classes) in model.classes
    (1.0, True)
    """
    return Classifier(Predictor.load(Path(run), device=choose_device(device)))
