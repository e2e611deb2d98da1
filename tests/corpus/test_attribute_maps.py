"""Normals of depth that another program has cast, against that program's normals of the same meshes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fer_prep.geometry.attribute_maps import derivatives, normals

pytestmark = pytest.mark.corpus

WINDOW_MM = 220.0
"""The truth is seen through a square of this side."""


def test_normals_of_independent_meshes(corpus: Path) -> None:
    """Theirs are interpolated between the vertices, about 2° from the differences of their own depth."""
    files = sorted((corpus / "truth_normals").glob("*.npy"))
    assert files
    for path in files:
        truth = np.load(path)
        z = np.load(corpus / "truth_depth" / path.name).astype(np.float64)
        found = normals(derivatives(z, mm_per_pixel=WINDOW_MM / len(z)))
        both = np.isfinite(found).all(axis=-1) & np.isfinite(truth).all(axis=-1) & (np.abs(truth).sum(axis=-1) > 0)
        errors = np.degrees(np.arccos(np.clip((found * truth).sum(axis=-1)[both], -1, 1)))
        assert both.mean() > 0.2
        assert np.median(errors) <= 1.5, path.name
