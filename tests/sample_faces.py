"""Faces that MediaPipe finds, made on the spot: one person of the project's own sample data, with the truth."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from fer_prep.sample_data import rgbd_tree
from fer_prep.sample_data.truth import TruthRow

TRUTH = "truth.json"


@dataclass(frozen=True)
class SampleFaces:
    """A raw tree ``root``/CalD3r of 15 recordings of one woman: seven emotions, rolls up to ±25°; 224 × 224 pixels."""

    root: Path
    truth: tuple[TruthRow, ...]

    @property
    def tree(self) -> Path:
        """The CalD3r folder."""
        return self.root / "CalD3r"

    def upright(self) -> TruthRow:
        """The recording that leans least."""
        return min(self.truth, key=lambda row: abs(row.roll_degrees))

    def rgb(self, row: TruthRow) -> np.ndarray:
        """(224, 224, 3) u1 sRGB."""
        return np.ascontiguousarray(cv2.imread(str(self.root / row.picture))[..., ::-1])

    def depth_file(self, row: TruthRow) -> Path:
        """Its depth, in eighths of a millimetre."""
        return self.root / row.picture.replace("/RGB/", "/DEPTH/").replace("_Color", "_Depth")


def eyes_of(row: TruthRow) -> np.ndarray:
    """(2, 2) left and right eye, x and y in continuous pixels."""
    return np.array([[row.left_eye_x, row.left_eye_y], [row.right_eye_x, row.right_eye_y]])


def make_sample_faces(root: Path) -> SampleFaces:
    """Write the tree, or take what another test process has written there."""
    if not (root / TRUTH).is_file():
        rows = rgbd_tree.write_subject(root, rgbd_tree.CALD3R, 0, rng=np.random.default_rng([0, 2, 0]))
        (root / TRUTH).write_text(json.dumps([asdict(row) for row in rows]))
    return SampleFaces(root, tuple(TruthRow(**row) for row in json.loads((root / TRUTH).read_text())))
