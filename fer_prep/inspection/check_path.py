"""``fer-prep check``: finds out what a path is and has it checked by whoever knows that kind."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import h5py

from fer_prep.errors import UsageError
from fer_prep.findings import CheckReport
from fer_prep.inspection.check_dataset import check_dataset
from fer_prep.inspection.check_folds import check_folds
from fer_prep.inspection.check_prepared import check_prepared
from fer_prep.inspection.check_raw import check_raw_tree
from fer_prep.prepare.folder import MARKERS, SUMMARY
from fer_prep.progress import Progress, silent

_HDF5_SUFFIXES: Final = (".h5", ".hdf5")


def check_path(path: Path, *, deep: bool = False, data: Path | None = None, progress: Progress = silent) -> CheckReport:
    """Check a raw tree, a prepared folder, an HDF5 dataset or a fold manifest.

    ``deep`` reads every byte; ``data`` is the dataset of a manifest (default: the one beside it).
    """
    if not path.exists():
        raise UsageError("no such file or folder", path=path)
    if path.is_dir():
        if any((path / name).is_file() for name in MARKERS):
            return check_prepared(path, deep=deep)
        if prepared := sorted(folder.parent.name for folder in path.glob(f"*/{SUMMARY}")):
            raise UsageError(
                path=path,
                expected="one prepared folder",
                found=f"a folder of {len(prepared)}: {', '.join(prepared)}",
                hint=f"check each on its own, such as {path / prepared[0]}",
            )
        return check_raw_tree(path, deep=deep, progress=progress)
    if path.suffix == ".json":
        return check_folds(path, data=data, deep=deep, progress=progress)
    if path.suffix in _HDF5_SUFFIXES or h5py.is_hdf5(path):
        return check_dataset(path, deep=deep, progress=progress)
    raise UsageError(
        path=path, expected="a raw tree, a prepared folder, an HDF5 dataset or a fold manifest", found="another file"
    )
