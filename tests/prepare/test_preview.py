from __future__ import annotations

import numpy as np
import pytest
from fake_source import FakeSource, write_tree

from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.prepare.preview import CAPTION_PX, TILE_PX, preview_row
from fer_prep.prepare.settings import PrepareSettings

SETTINGS = PrepareSettings(size=64, landmarks=FinderSpec(kinds=("dataset",)), mesh=False)
ABSENT = (90, 90, 90)


def tiles(tmp_path, word: str) -> list[np.ndarray]:
    (sample,) = FakeSource().list_samples(write_tree(tmp_path / "raw", samples=1, words={0: word})).samples
    row = preview_row(sample, FakeSource().load(sample), settings=SETTINGS)
    assert row.shape == (TILE_PX + CAPTION_PX, 3 * TILE_PX, 3)
    assert row[TILE_PX:].min() < 100 < row[TILE_PX:].max(), "dark text on light paper"
    return np.split(row[:TILE_PX], 3, axis=1)


def test_a_row_shows_a_sample_with_its_landmarks_framed_and_its_depth(tmp_path):
    before, framed, depth = tiles(tmp_path, "face")
    assert ((before[..., 0] > 200) & (before[..., 1] > 180)).any(), "yellow dots"
    assert len(np.unique(framed)) > 20
    assert np.ptp(depth.astype(int), axis=2).max() > 100, "colours"


def test_a_rejected_sample_is_shown_as_recorded(tmp_path):
    before, framed, depth = tiles(tmp_path, "faceless")
    assert len(np.unique(before)) > 20
    assert (framed == ABSENT).all()
    assert (depth == ABSENT).all()


@pytest.mark.parametrize("nearer", ["left", "right"])
def test_near_is_warm_and_far_is_cold(tmp_path, monkeypatch, nearer):
    slope = np.linspace(-700, -800, 48, dtype=np.float32)[:: 1 if nearer == "left" else -1]
    (sample,) = FakeSource().list_samples(write_tree(tmp_path / "raw", samples=1)).samples
    scene = FakeSource().load(sample)
    scene.z_mm[:] = slope
    row = preview_row(sample, scene, settings=SETTINGS)[TILE_PX // 2, 2 * TILE_PX :].astype(int)
    seen = np.flatnonzero(np.ptp(row, axis=1) > 40)
    first, last = row[seen[2]], row[seen[-3]]
    near, far = (first, last) if nearer == "left" else (last, first)
    assert near[0] > near[2]
    assert far[2] > far[0]
