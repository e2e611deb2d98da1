"""Landmarks in files: one small archive a sample while a folder is made, one table a scheme when it is whole.

Both are NumPy's ``.npz``. The table ``landmarks/<scheme>.npz`` holds ``ids`` (N) in the order of ``samples.csv``,
``names`` (L), ``points_px`` (N, L, 2) f4 in output pixels, where geometry gives it ``points_mm`` (N, L, 3) f4, and
``vertex`` (N, L) i4 where the scheme has one.
"""

from __future__ import annotations

import io
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import PreparedFolderError
from fer_prep.landmark_set import LandmarkSet

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip archive can hold: NumPy's own archives carry the time of day."""


def npz_bytes(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """An ``.npz`` archive whose bytes depend on the arrays alone."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in sorted(arrays.items()):
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), content.getvalue())
    return stream.getvalue()


def sample_bytes(landmarks: Mapping[str, LandmarkSet]) -> bytes:
    """The archive of one sample: scheme → its landmarks, each a set of one."""
    return npz_bytes(
        {f"{scheme}/{key}": array for scheme, one in landmarks.items() for key, array in _arrays(one).items()}
    )


def tables_of_samples(files: Sequence[Path | None], *, ids: Sequence[str]) -> dict[str, bytes]:
    """Scheme → the bytes of its table, made of the archives of the samples ``ids``; None: nothing is known of one."""
    samples = [{} if file is None else _read_sample(file) for file in files]
    like = {scheme: one for sample in samples for scheme, one in sample.items()}
    tables: dict[str, bytes] = {}
    for scheme in sorted(like):
        unknown = LandmarkSet.unknown(1, like=like[scheme])
        joined = LandmarkSet.concatenated([sample.get(scheme, unknown) for sample in samples])
        tables[scheme] = table_bytes(joined, ids=ids)
    return tables


def table_bytes(landmarks: LandmarkSet, *, ids: Sequence[str]) -> bytes:
    """The bytes of ``landmarks/<scheme>.npz``."""
    return npz_bytes({"ids": np.array(ids, np.str_), **_arrays(landmarks)})


def read_table(path: Path, *, ids: Sequence[str]) -> LandmarkSet:
    """A table as a landmark set; raises PreparedFolderError where it is none, or not of the samples ``ids``."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, NDArray[np.generic]] = dict(archive)
        landmarks = _landmark_set(arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise PreparedFolderError(f"cannot be read as a table of landmarks: {error}", path=path) from None
    if [str(name) for name in arrays.get("ids", ())] != list(ids):
        raise PreparedFolderError(
            expected="landmarks of the samples of samples.csv, in its order", found="other ids", path=path
        )
    return landmarks


def _arrays(landmarks: LandmarkSet) -> dict[str, NDArray[np.generic]]:
    arrays: dict[str, NDArray[np.generic]] = {
        "names": np.array(landmarks.names, np.str_),
        "points_px": landmarks.points_px.astype("<f4"),
    }
    if landmarks.points_mm is not None:
        arrays["points_mm"] = landmarks.points_mm.astype("<f4")
    if landmarks.vertex is not None:
        arrays["vertex"] = landmarks.vertex.astype("<i4")
    return arrays


def _landmark_set(arrays: Mapping[str, NDArray[np.generic]]) -> LandmarkSet:
    names = tuple(str(name) for name in arrays["names"])
    points_px = arrays["points_px"].astype(np.float32)
    n, points = len(points_px), len(names)
    points_mm = arrays["points_mm"].astype(np.float32) if "points_mm" in arrays else None
    vertex = arrays["vertex"].astype(np.int32) if "vertex" in arrays else None
    for array, shape in ((points_px, (n, points, 2)), (points_mm, (n, points, 3)), (vertex, (n, points))):
        if array is not None and array.shape != shape:
            raise ValueError(f"expected {shape}; found {array.shape}")
    return LandmarkSet(names=names, points_px=points_px, points_mm=points_mm, vertex=vertex)


def _read_sample(file: Path) -> dict[str, LandmarkSet]:
    with np.load(file, allow_pickle=False) as archive:
        arrays: dict[str, NDArray[np.generic]] = dict(archive)
    by_scheme: dict[str, dict[str, NDArray[np.generic]]] = defaultdict(dict)
    for name, array in arrays.items():
        scheme, _, key = name.partition("/")
        by_scheme[scheme][key] = array
    return {scheme: _landmark_set(own) for scheme, own in by_scheme.items()}
