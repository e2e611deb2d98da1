"""The digest of a dataset file: a tree over everything that it says, so that a change of any bit is seen.

A leaf for each table and each object's attributes; the root is the digest of all leaves by name. Pixels take part
through the column ``digest``, and shards through the list of their digests in the index.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from fer_prep.dataset.schema import MODALITIES, attribute_text
from fer_prep.digests import bytes_digest, settings_digest


def tables_digest(root: h5py.File) -> str:
    """What the root attribute ``digest`` must be. Reads all tables, and no pixels."""
    leaves: dict[str, Any] = {"/": _attributes(root)}

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        leaves[f"{name}@"] = _attributes(item)
        if isinstance(item, h5py.Dataset):
            leaves[name] = [list(item.shape), item.dtype.str] if name in MODALITIES else _values(item)

    root.visititems(add)
    return settings_digest(leaves)


def _attributes(item: Any) -> dict[str, Any]:
    """All attributes but the digest itself, JSON-able."""
    return {name: _plain(value) for name, value in sorted(item.attrs.items()) if name != "digest"}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(part) for part in value.tolist()]
    return value.item() if isinstance(value, np.number) else attribute_text(value)


def _values(dataset: h5py.Dataset) -> str:
    values = np.asarray(dataset[()])
    if h5py.check_string_dtype(dataset.dtype) is not None:
        values = np.asarray(values, dtype=bytes)  # the same, whichever length the file reserves for a text
    return bytes_digest(f"{values.dtype.str}{values.shape}".encode() + values.tobytes())
