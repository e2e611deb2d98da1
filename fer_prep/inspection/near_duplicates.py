"""Pictures that are nearly the same: perceptual fingerprints and the pairs among many that agree.

Aligned faces all look alike at the size of usual perceptual hashes (8×8), so the print is a 32×32 luma picture with
its brightness and contrast taken out. Its 256-bit difference hash finds candidates, the picture itself decides.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.inspection.depth_picture import depth_picture

SIDE: Final = 32
HASH_BITS_APART: Final = 24
"""Of 256; re-encoding, a small change of light or one pixel of shift stay below, other people far above."""
CORRELATION: Final = 0.995
"""Least correlation of two prints that are called nearly equal."""


def fingerprint(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(32, 32) luma of (H, W, 3) sRGB with mean 0 and length 1 (zeros for a flat picture)."""
    small = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    centred = small.astype(np.float32) - small.mean(dtype=np.float32)
    length = float(np.linalg.norm(centred))
    return centred / length if length > 0 else centred


def fingerprint_of(rgb: NDArray[np.uint8] | None, depth: NDArray[np.uint16] | None) -> NDArray[np.float32]:
    """The fingerprint of a stored sample: of its colours, of its depth where it has no colour."""
    if rgb is None:
        rgb = depth_picture(np.zeros((SIDE, SIDE), np.uint16) if depth is None else depth, size=SIDE)
    return fingerprint(rgb)


def difference_hash(prints: NDArray[np.float32]) -> NDArray[np.uint64]:
    """(N, 4) 256 bits each: is a cell of the 16×17 mean picture brighter than its left neighbour?"""
    hashes: list[NDArray[np.uint64]] = []
    for picture in prints:
        cells = cv2.resize(picture, (17, 16), interpolation=cv2.INTER_AREA)
        hashes.append(np.packbits(cells[:, 1:] > cells[:, :-1]).view(np.uint64))
    return np.stack(hashes) if hashes else np.zeros((0, 4), np.uint64)


def near_duplicates(prints: NDArray[np.float32], *, block: int = 512) -> list[tuple[int, int]]:
    """Pairs (i < j) of ``prints`` (N, 32, 32) that show nearly the same picture, in order."""
    hashes, flat = difference_hash(prints), prints.reshape(len(prints), -1)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(hashes), block):
        part = hashes[start : start + block]
        apart = np.zeros((len(part), len(hashes) - start), np.uint16)
        for word in range(hashes.shape[1]):
            apart += np.bitwise_count(part[:, None, word] ^ hashes[None, start:, word])
        for i, j in zip(*np.nonzero(apart <= HASH_BITS_APART), strict=True):
            if j > i and flat[start + i] @ flat[start + j] >= CORRELATION:
                pairs.append((start + int(i), start + int(j)))
    return pairs
