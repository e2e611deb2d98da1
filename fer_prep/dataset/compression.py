"""Optional compression of pixels. None is the default: reading is what a dataset is for.

Measured on the synthetic sample data, 260², one sample at a time, processor time: files become 34 % (lz4), 45 % (zstd)
and 52 % (gzip) smaller, and are read at ⅔, ¼ and ⅛ of the rate. Photographs with noise compress less.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Final

import h5py

from fer_prep.errors import DatasetFileError, InstallationError, UsageError

METHODS: Final = ("none", "lz4", "zstd", "gzip")


def compression_options(method: str) -> dict[str, Any] | None:
    """Keywords of ``h5py.create_dataset``; None for none. lz4 and zstd need the package hdf5plugin."""
    if method == "none":
        return None
    if method == "gzip":
        return {"compression": "gzip", "compression_opts": 4, "shuffle": True}
    if method not in METHODS:
        raise UsageError(f"--compression {method!r}: expected one of {', '.join(METHODS)}")
    try:
        plugin = importlib.import_module("hdf5plugin")
    except ImportError:
        raise InstallationError(
            f"--compression {method} needs the package hdf5plugin, here and wherever the file is read",
            hint="pip install 'fer-rgbd[compression]', or choose --compression gzip",
        ) from None
    return dict(plugin.LZ4()) if method == "lz4" else dict(plugin.Zstd(clevel=3))


def require_filters(dataset: h5py.Dataset, path: Path) -> None:
    """Make the filters of a compressed dataset available, or say what is missing."""
    plist = dataset.id.get_create_plist()
    codes = [plist.get_filter(number)[0] for number in range(plist.get_nfilters())]
    if all(h5py.h5z.filter_avail(code) for code in codes):
        return
    try:
        importlib.import_module("hdf5plugin")
    except ImportError:
        names = ", ".join(plist.get_filter(number)[3].decode() for number in range(len(codes)))
        raise DatasetFileError(
            f"its pixels are compressed ({names}) with a filter that is not installed here",
            path=path,
            hint="pip install 'fer-rgbd[compression]'",
        ) from None
