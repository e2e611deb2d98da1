"""The features of ``classical`` by name: a *block* is a function of a batch and its entry in ``BLOCKS``.

A sample that lacks what a block is computed from has NaN there, and the block has no say about it. scikit-image,
SciPy and scikit-learn are imported where they are used: a machine that trains networks alone does without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_prep.errors import UsageError, did_you_mean
from fer_train.classical.frozen import frozen_network
from fer_train.classical.landmarks import PLACES, POINTS, mirrored, shapes_2d, shapes_3d
from fer_train.data.images import Images, luma_of

CELLS: Final = 12
"""Cells of a gradient histogram along each side of the picture."""
ORIENTATIONS: Final = 8
CELLS_A_BLOCK: Final = 2


@dataclass(frozen=True, kw_only=True)
class Block:
    """One kind of feature."""

    needs: tuple[str, ...]
    """Stored modalities, and ``landmark_places``."""
    width: int
    """D, how many numbers a sample has."""
    compute: Callable[[Mapping[str, NDArray[np.float32]]], NDArray[np.float32]]
    """A batch as arrays → (B, D)."""
    digest: str = ""
    """Of what it is computed with, besides the program."""


def grey_histograms(images: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Histograms of oriented gradients of the luma (Dalal and Triggs, CVPR 2005)."""
    return _histograms(luma_of(torch.from_numpy(images["rgb"])).numpy()[:, 0])


def depth_histograms(images: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """The same of the depth, whose holes take the value of the nearest pixel that has one."""
    depth = images["depth"][:, 0]
    found = _histograms(np.array([without_holes(picture) for picture in depth]))
    found[(depth == 0).all(axis=(1, 2))] = np.nan
    return found


def _histograms(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B, S, S) → (B, WIDTH)."""
    from skimage.feature import hog

    cell = pictures.shape[-1] // CELLS
    found = [
        hog(
            picture[: cell * CELLS, : cell * CELLS],
            orientations=ORIENTATIONS,
            pixels_per_cell=(cell, cell),
            cells_per_block=(CELLS_A_BLOCK, CELLS_A_BLOCK),
        )
        for picture in pictures
    ]
    return np.array(found, np.float32)


def without_holes(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """(S, S): a pixel without depth takes the nearest one's."""
    from scipy.ndimage import distance_transform_edt

    nearest: NDArray[np.int32] = np.asarray(
        distance_transform_edt(depth == 0, return_distances=False, return_indices=True)
    )
    return depth[nearest[0], nearest[1]]


_HISTOGRAM: Final = (CELLS - CELLS_A_BLOCK + 1) ** 2 * CELLS_A_BLOCK**2 * ORIENTATIONS

BLOCKS: Final[dict[str, Block]] = {
    "landmarks-2d": Block(needs=("rgb", PLACES), width=2 * POINTS, compute=shapes_2d),
    "landmarks-3d": Block(needs=("depth", PLACES), width=3 * POINTS, compute=shapes_3d),
    "hog": Block(needs=("rgb",), width=_HISTOGRAM, compute=grey_histograms),
    "depth-hog": Block(needs=("depth",), width=_HISTOGRAM, compute=depth_histograms),
}

FEATURES: Final = "features:"
"""Before the name of an ONNX file: the block of a frozen network's features."""


def block_named(name: str) -> Block:
    """One of ``BLOCKS``, or ``features:FILE.onnx``; anything else is a UsageError."""
    if name.startswith(FEATURES):
        network = frozen_network(name.removeprefix(FEATURES))
        return Block(
            needs=("rgb",),
            width=network.width,
            compute=lambda images: network.features(images["rgb"]),
            digest=network.digest,
        )
    if name not in BLOCKS:
        raise UsageError(f"model.blocks: no {name!r}; {did_you_mean(name, (*BLOCKS, f'{FEATURES}FILE.onnx'))}")
    return BLOCKS[name]


def parse_blocks(text: str) -> tuple[str, ...]:
    """``hog,features:net.onnx`` → the names; unknown and repeated ones are a UsageError."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        block_named(name)
    if len({block_key(name) for name in names}) < len(names):
        raise UsageError(f"model.blocks = {text!r}: expected every block once, and the features of one file")
    return names


def block_key(name: str) -> str:
    """What a block is called among a model's weights, where a file's name would say where it lay."""
    return name.partition(":")[0]


def features_of(images: Images, blocks: Sequence[str]) -> dict[str, Tensor]:
    """A batch in [0, 1] → block → (B, 2, D) of the pictures and of their mirror images; NaN where there is nothing."""
    here = {name: each.cpu() for name, each in images.items()}
    both = [{name: each.numpy() for name, each in views.items()} for views in (here, mirrored(here))]
    count = len(next(iter(images.values())))
    found: dict[str, Tensor] = {}
    for name in blocks:
        block = block_named(name)
        values = np.full((count, 2, block.width), np.nan, np.float32)
        if all(need in images for need in block.needs):
            values = np.stack([block.compute(arrays) for arrays in both], axis=1)
        found[name] = torch.from_numpy(values)
    return found
