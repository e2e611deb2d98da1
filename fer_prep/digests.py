"""Content digests: of pixels, of files, of settings. One algorithm (BLAKE2b, 128 bits) for all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _hasher() -> Any:
    return hashlib.blake2b(digest_size=16)


def pixel_digest(rgb: NDArray[np.uint8], depth: NDArray[np.uint16]) -> str:
    """Digest of one sample's pixels: RGB (H, W, 3) u1 then depth (H, W) u2 little-endian, after both shapes."""
    hasher = _hasher()
    hasher.update(json.dumps([rgb.shape, depth.shape]).encode())
    hasher.update(np.ascontiguousarray(rgb, np.uint8).data)
    hasher.update(np.ascontiguousarray(depth, "<u2").data)
    return hasher.hexdigest()


def file_digest(path: Path) -> str:
    """Digest of a file's bytes; raises OSError where it cannot be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, _hasher).hexdigest()


def bytes_digest(data: bytes) -> str:
    """Digest of bytes in memory: what ``file_digest`` says once they are written."""
    hasher = _hasher()
    hasher.update(data)
    return hasher.hexdigest()


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Digest of a JSON-able mapping, independent of key order."""
    hasher = _hasher()
    hasher.update(json.dumps(settings, sort_keys=True, separators=(",", ":")).encode())
    return hasher.hexdigest()


def data_digest(sample_digests: Iterable[str], labels: Iterable[int]) -> str:
    """Digest of a whole dataset: over its (sample digest, label) pairs, sorted."""
    hasher = _hasher()
    for digest, label in sorted(zip(sample_digests, (int(label) for label in labels), strict=True)):
        hasher.update(f"{digest} {label}\n".encode())
    return hasher.hexdigest()
