"""A training loop as earlier work has it, to be compared with: PNG files, workers, transforms of single samples.

Its style is the point: every sample is decoded by Pillow and transformed alone in a worker, batches are float32 from
the start, float16 with a loss scaler on a GPU, and the loss is fetched after every step.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import final

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from fer_train.config import Config
from fer_train.data.pixel_store import PixelStore
from fer_train.data.pixels import DEPTH_MAX, RGB_MAX
from fer_train.losses.cross_entropy import CrossEntropyLoss
from fer_train.models.model_file import build_network

WORKERS = 2


@final
class PictureFolder(Dataset[tuple[Tensor, Tensor, int]]):
    """``rgb/N.png`` and ``depth/N.png`` → ((3, S, S), (3, S, S), label), augmented one by one."""

    def __init__(self, folder: Path, labels: list[int], *, config: Config) -> None:
        chosen = config.augmentation
        self._folder, self._labels = folder, labels
        self._geometry = v2.Compose(
            [
                v2.RandomRotation((-chosen.rotation_degrees, chosen.rotation_degrees)),
                v2.RandomHorizontalFlip(chosen.flip),
            ]
        )
        self._colour = v2.ColorJitter(chosen.brightness, chosen.contrast, chosen.saturation)
        self._erase = v2.RandomErasing(chosen.erase)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        with Image.open(self._folder / f"rgb/{index}.png") as picture:
            rgb = np.asarray(picture, np.float32) / RGB_MAX
        with Image.open(self._folder / f"depth/{index}.png") as picture:
            depth = np.asarray(picture, np.float32)[..., None] / DEPTH_MAX
        both = torch.from_numpy(np.concatenate([rgb, depth], axis=2)).permute(2, 0, 1)
        both = self._erase(self._geometry(both))
        colour = self._colour(both[:3].clamp(0, 1))
        return (colour - 0.5) / 0.25, ((both[3:] - 0.1) / 0.1).expand(3, -1, -1), self._labels[index]


@final
class PlainLoop:
    """The loop; ``step`` does one optimiser step. Network, batch and accumulation are those of the configuration."""

    def __init__(self, data: PixelStore, rows: Tensor, *, config: Config, device: torch.device, folder: Path) -> None:
        self._config, self._device = config, device
        labels = write_pictures(data, rows, folder)
        parts = math.ceil(config.training.batch_size / config.training.micro_batch_size)
        size = math.ceil(config.training.batch_size / parts)
        self._parts = parts
        self._loader = DataLoader(
            PictureFolder(folder, labels, config=config),
            batch_size=size,
            shuffle=True,
            drop_last=True,
            num_workers=WORKERS,
            persistent_workers=True,
            pin_memory=device.type == "cuda",
            multiprocessing_context="forkserver",
        )
        classes = len(data.classes)
        network = build_network(config.model, classes=classes, image_size=config.data.image_size, pretrained=False)
        self._channels = config.model.depth_channels
        self._network = network.to(device)
        self._loss = CrossEntropyLoss(classes=classes).to(device)
        self._optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
        self._scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")
        self._batches = iter(self._loader)

    def step(self) -> int:
        """One optimiser step; returns the number of images in it."""
        self._network.train()
        images = 0
        for _ in range(self._parts):
            rgb, depth, labels = (each.to(self._device) for each in self._next())
            with torch.autocast(self._device.type, torch.float16, enabled=self._device.type == "cuda"):
                output = self._network(rgb, depth[:, : self._channels])
                loss = self._loss(output.logits, output.features, labels) / self._parts
            self._scaler.scale(loss).backward()
            loss.item()
            images += len(labels)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._optimiser.zero_grad()
        return images

    def close(self) -> None:
        """End the workers."""
        del self._batches, self._loader

    def _next(self) -> tuple[Tensor, Tensor, Tensor]:
        try:
            return next(self._batches)
        except StopIteration:
            self._batches = iter(self._loader)
            return next(self._batches)


def write_pictures(data: PixelStore, rows: Tensor, folder: Path) -> list[int]:
    """Write the samples as PNG files named by their place in ``rows``; return their labels."""
    for part in ("rgb", "depth"):
        (folder / part).mkdir(parents=True)
    labels: list[int] = []
    for some in rows.to(data.row_device).split(64):
        batch = data.gather(some)
        rgb = batch.pictures.permute(0, 2, 3, 1).cpu().numpy()
        depth = batch.depths.cpu().numpy().view(np.uint16)
        for picture, distances, label in zip(rgb, depth, batch.labels.tolist(), strict=True):
            Image.fromarray(picture).save(folder / f"rgb/{len(labels)}.png")
            Image.fromarray(distances).save(folder / f"depth/{len(labels)}.png")
            labels.append(max(label, 0))
    return labels
