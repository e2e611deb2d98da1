"""What a dataset stores of its samples besides rows and pixels: landmarks and soft labels of all folders together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import PreparedFolderError
from fer_prep.landmark_set import LandmarkSet
from fer_prep.merge.plan import MergePlan, PlannedSample
from fer_prep.merge.rescale import rescale_landmarks


def gather_landmarks(plan: MergePlan) -> dict[str, LandmarkSet]:
    """Scheme → one entry a planned sample, in output pixels; NaN for samples of folders without the scheme."""
    schemes = sorted({scheme for sample in plan.samples for scheme in sample.folder.landmarks})
    return {scheme: _gather(plan, scheme) for scheme in schemes}


def _gather(plan: MergePlan, scheme: str) -> LandmarkSet:
    known = next(sample.folder for sample in plan.samples if scheme in sample.folder.landmarks)
    nothing = LandmarkSet.unknown(1, like=known.landmarks[scheme])
    sets: list[LandmarkSet] = []
    for sample in plan.samples:
        of_folder = sample.folder.landmarks.get(scheme)
        if of_folder is not None and of_folder.names != nothing.names:
            expected = f"the points of {scheme} named as in {known.path}"
            raise PreparedFolderError(path=sample.folder.path, expected=expected, found="other names")
        sets.append(nothing if of_folder is None else of_folder.take([sample.place]))
    scale = np.array([plan.size / sample.prepared_size for sample in plan.samples])
    return rescale_landmarks(LandmarkSet.concatenated(sets), scale=scale)


def gather_soft_labels(plan: MergePlan) -> NDArray[np.float32] | None:
    """(N, K) shares of the plan's classes, summing to 1 in each row; None where no folder has any.

    A sample that nobody has voted on, or only for classes that are not merged, has its label for certain.
    """
    shares = np.array([_votes(sample, plan.classes) for sample in plan.samples], np.float64)
    if not shares.any():
        return None
    total = shares.sum(axis=1, keepdims=True)
    certain = np.eye(len(plan.classes))[[int(sample.row["label"]) for sample in plan.samples]]
    return np.where(total > 0, shares / np.where(total > 0, total, 1), certain).astype(np.float32)


def _votes(sample: PlannedSample, classes: tuple[str, ...]) -> list[float]:
    return [float(np.nan_to_num(sample.row.get(f"soft_{name}", 0.0))) for name in classes]
