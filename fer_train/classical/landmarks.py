"""Found landmarks on their way to a network: beside the images of a batch, turned with them, and as plain shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_prep.dataset.pixel_sizes import EYE_DISTANCE_MM
from fer_prep.dataset.reader import DatasetFile
from fer_prep.depth_encoding import UNIT_MM
from fer_train.data.images import Images
from fer_train.data.inputs import RAYS, STORED

SCHEME: Final = "mediapipe-468"
POINTS: Final = 468
PLACES: Final = "landmark_places"
"""Beside ``rgb`` and ``depth`` in a batch: (B, 468, 2) x, y as shares of the picture's width and height, or NaN."""
METRIC: Final = "landmarks_mm"
"""(B, 468, 3) millimetres, x right, y up, z to the viewer; NaN where unknown."""
MIDLINE: Final = (0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 94, 151, 152, 164, 168, 175, 195,
                  197, 199, 200)  # fmt: skip
"""Points of MediaPipe's mesh that mirroring leaves in place. The others of the subject's right half are numbered up to
247, those of the left half follow in the same order: found by matching the mean of 162 faces with its mirror image."""
EYE_CORNERS: Final = ((33, 133), (362, 263))
"""Of the right and of the left eye."""


def mirrored_order() -> NDArray[np.int64]:
    """(468,) which point stands in each point's place after mirroring."""
    right = np.setdiff1d(np.arange(248), MIDLINE)
    order = np.arange(POINTS)
    order[right], order[248:] = np.arange(248, POINTS), right
    return order


def landmarks_of(file: DatasetFile, rows: NDArray[np.int64]) -> dict[str, Tensor]:
    """What a dataset knows of the samples in ``rows`` (B,); nothing where it has no such landmarks."""
    if SCHEME not in file.landmark_schemes:
        return {}
    found = file.landmarks(SCHEME)
    metric = {} if found.points_mm is None else {METRIC: torch.from_numpy(found.points_mm[rows])}
    return {PLACES: as_places(found.points_px[rows], size=(file.width, file.height)), **metric}


def as_places(points_px: NDArray[np.floating[Any]], *, size: tuple[int, int]) -> Tensor:
    """Continuous pixels (B, 468, 2) of pictures of ``size`` (width, height) → shares of it, float32."""
    return torch.from_numpy((points_px / np.array(size)).astype(np.float32))


def mirrored(images: Images) -> dict[str, Tensor]:
    """A batch as a mirror shows it: pictures, and landmarks with left and right exchanged."""
    turned = dict(images) | {name: image.flip(-1) for name, image in images.items() if name in STORED}
    if RAYS in images:
        growth, column, row, middle = images[RAYS].unbind(1)
        width = next(image.shape[-1] for name, image in images.items() if name in STORED)
        turned[RAYS] = torch.stack([growth, width - 1 - column, row, middle], dim=1)
    order = torch.from_numpy(mirrored_order())
    if PLACES in images:
        turned[PLACES] = torch.tensor([1.0, 0.0]) + images[PLACES][:, order] * torch.tensor([-1.0, 1.0])
    if METRIC in images:
        turned[METRIC] = images[METRIC][:, order] * torch.tensor([-1.0, 1.0, 1.0])
    return turned


def shapes_2d(images: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """(B, 936) where the points lie on the picture, their centre at 0 and their mean square distance from it 1."""
    return centred_and_scaled(images[PLACES])


def shapes_3d(images: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """(B, 1404) the same in space: millimetres where they are known, else the depth under each point.

    There a pixel is as large as the distance between the eyes says.
    """
    points = relief_under(images[PLACES], images["depth"][:, 0])
    if METRIC in images:
        known = ~np.isnan(images[METRIC]).all(axis=(1, 2))
        points[known] = images[METRIC][known]
    return centred_and_scaled(points)


def relief_under(places: NDArray[np.float32], depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """``places`` (B, 468, 2) on ``depth`` (B, S, S) in [0, 1] → (B, 468, 3) mm, x right, y up, z to the viewer."""
    size = depth.shape[-1]
    column, row = np.moveaxis(np.clip(np.nan_to_num(places * size), 0, size - 1).astype(int), 2, 0)
    steps = np.take_along_axis(depth.reshape(len(depth), -1), row * size + column, axis=1) * STORED["depth"].maximum
    right, left = (places[:, list(corners)].mean(axis=1) for corners in EYE_CORNERS)
    scale = EYE_DISTANCE_MM / np.linalg.norm(right - left, axis=1)[:, None]
    z = np.where(steps > 0, -steps * UNIT_MM, np.nan)
    return np.stack([places[..., 0] * scale, -places[..., 1] * scale, z], axis=2).astype(np.float32)


def centred_and_scaled(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B, L, d) → (B, L·d): centre 0, root mean square distance from it 1; NaN for unknown points."""
    known = ~np.isnan(points).any(axis=2, keepdims=True)
    counts = np.maximum(known.sum(axis=1, keepdims=True), 1)
    centred = np.where(known, points, np.nan) - np.where(known, points, 0).sum(axis=1, keepdims=True) / counts
    squares = np.where(known, centred**2, 0).sum(axis=(1, 2), keepdims=True) / counts
    return (centred / np.sqrt(np.maximum(squares, 1e-12))).reshape(len(points), -1).astype(np.float32)
