"""Predict expressions of pictures: an HDF5 dataset, a prepared folder, or one registered RGB + depth pair of PNGs.

Pictures must be prepared as those trained on (``fer-prep render-bu3dfe``, ``render-bosphorus``, ``align``): aligned,
framed, and with depth encoded as 16-bit steps behind the nearest point. From there on the way is that of training:
the same resizing, equalisation and normalisation. The folds of a run form an ensemble.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fer_prep.errors import FormatError, UsageError
from fer_prep.progress import Progress, silent
from fer_train.data import prepare_pixels
from fer_train.evaluate import Ensemble, load_for
from fer_train.pixels import depth_to_float, rgb_to_float
from fer_train.run_folder import to_csv

BATCH: Final = 64


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the ensemble says about one picture."""

    id: str
    probabilities: tuple[float, ...]
    """In the order of the ensemble's classes."""

    def best(self, classes: Sequence[str]) -> str:
        """The most probable class."""
        return classes[max(range(len(classes)), key=self.probabilities.__getitem__)]


def predict(
    ensemble: Ensemble, source: Path, *, depth: Path | None = None, device: torch.device, progress: Progress = silent
) -> list[Prediction]:
    """Predict everything in ``source``: an ``.h5`` file, a folder with ``rgb/`` and ``depth/``, or an RGB PNG.

    ``depth`` is the depth PNG of an RGB PNG; a network that looks at RGB alone needs none.
    """
    if source.is_dir():
        pairs = _pairs_in(source, needs_depth=ensemble.description.model.modality != "rgb")
        return list(_predict_pairs(ensemble, pairs, device=device, progress=progress))
    if source.suffix.lower() == ".png":
        if depth is None and ensemble.description.model.modality != "rgb":
            raise UsageError(
                "this network looks at depth as well", path=source, hint="give the depth picture with --depth"
            )
        return list(_predict_pairs(ensemble, [(source.stem, source, depth)], device=device, progress=progress))
    data = load_for(ensemble.description, source, device=device, progress=progress)
    answers = []
    with progress("predicting", total=len(data)) as advance:
        for start in range(0, len(data), BATCH):
            batch = data.gather(torch.arange(start, min(start + BATCH, len(data)), device=device))
            answers.append(ensemble.probabilities(batch.rgb, batch.depth, batch.valid).cpu().numpy())
            advance(len(batch.rows))
    return _named(data.ids.tolist(), np.concatenate(answers))


def _pairs_in(folder: Path, *, needs_depth: bool) -> list[tuple[str, Path, Path | None]]:
    """(name, RGB file, depth file) of a prepared folder, sorted."""
    pictures = sorted((folder / "rgb").glob("*.png"))
    if not pictures:
        raise UsageError("expected a prepared folder with rgb/*.png and depth/*.png; found none", path=folder)
    pairs = [(path.stem, path, folder / "depth" / path.name) for path in pictures]
    missing = [depth for _, _, depth in pairs if not depth.is_file()]
    if needs_depth and missing:
        raise UsageError(f"{len(missing)} depth pictures are missing; no such file", path=missing[0])
    return [(name, rgb, depth if depth.is_file() else None) for name, rgb, depth in pairs]


def _predict_pairs(
    ensemble: Ensemble,
    pairs: Sequence[tuple[str, Path, Path | None]],
    *,
    device: torch.device,
    progress: Progress,
) -> Iterator[Prediction]:
    with progress("predicting", total=len(pairs)) as advance:
        for name, rgb_path, depth_path in pairs:
            rgb = read_rgb(rgb_path)
            height, width = rgb.shape[:2]
            depth = np.zeros((height, width), np.uint16) if depth_path is None else read_depth(depth_path)
            if depth.shape != (height, width):
                found = " × ".join(str(side) for side in reversed(depth.shape))
                raise FormatError(
                    expected=f"depth of the picture's size, {width} × {height}", found=found, path=depth_path
                )
            pictures, depths = prepare_pixels(
                rgb[None],
                depth[None],
                device=device,
                image_size=ensemble.description.image_size,
                equalise=ensemble.description.equalise_luma,
            )
            answer = ensemble.probabilities(rgb_to_float(pictures), depth_to_float(depths), depths[:, None] > 0)
            yield from _named([name], answer.cpu().numpy())
            advance(1)


def _named(ids: Sequence[str], probabilities: NDArray[np.float64]) -> list[Prediction]:
    return [
        Prediction(id=name, probabilities=tuple(row)) for name, row in zip(ids, probabilities.tolist(), strict=True)
    ]


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) sRGB of an 8-bit PNG."""
    with _open_png(path) as picture:
        if picture.mode.startswith("I"):
            raise FormatError(expected="a colour picture", found="a picture of 16-bit numbers (depth?)", path=path)
        return np.array(picture.convert("RGB"))


def read_depth(path: Path) -> NDArray[np.uint16]:
    """(H, W) stored depth of a PNG with one channel of 16 bits."""
    with _open_png(path) as picture:
        if not picture.mode.startswith("I;16"):
            raise FormatError(expected="a depth picture of 16 bits", found=f"mode {picture.mode}", path=path)
        return np.array(picture).astype(np.uint16)


def _open_png(path: Path) -> Image.Image:
    try:
        picture = Image.open(path)
        picture.load()
    except FileNotFoundError:
        raise UsageError("no such file", path=path) from None
    except (OSError, SyntaxError) as error:  # Pillow's word for a broken PNG is SyntaxError
        raise FormatError(expected="a whole PNG", found=str(error).splitlines()[0], path=path) from error
    return picture


def to_csv_text(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    """``id,predicted,<class>,…``, one line a picture."""
    lines = ([p.id, p.best(classes), *(f"{value:.8g}" for value in p.probabilities)] for p in predictions)
    return to_csv(("id", "predicted", *classes), lines)


def to_json_text(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    """A JSON list of ``{"id", "predicted", "probabilities": {class: p}}``."""
    entries = [
        {"id": p.id, "predicted": p.best(classes), "probabilities": dict(zip(classes, p.probabilities, strict=True))}
        for p in predictions
    ]
    return json.dumps(entries, indent=1) + "\n"


FORMATS: Final = {"csv": to_csv_text, "json": to_json_text}


def check_format(name: str) -> None:
    """Raise UsageError for a format that does not exist."""
    if name not in ("table", *FORMATS):
        raise UsageError(f"--format {name!r}: expected table, csv or json")
