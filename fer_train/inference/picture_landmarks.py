"""Landmarks of pictures to predict: from the prepared folder that they lie in, else found by MediaPipe where it is."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
from numpy.typing import NDArray

from fer_prep.landmark_set import LandmarkSet
from fer_train.classical.landmarks import POINTS, SCHEME

if TYPE_CHECKING:
    from fer_prep.prepare.folder import PreparedFolder

NO_MEDIAPIPE: Final = "landmarks are not looked for: mediapipe is not installed; the other features answer alone"


@final
class PictureLandmarks:
    """Those of loose pictures, or of the pictures in a prepared ``folder``."""

    def __init__(self, folder: PreparedFolder | None) -> None:
        self._known: dict[str, LandmarkSet] = {}
        if folder is not None and SCHEME in folder.landmarks:
            points = folder.landmarks[SCHEME]
            self._known = {row["id"].split("/", 1)[1]: points.take([n]) for n, row in enumerate(folder.rows)}
        self.can_search = all(importlib.util.find_spec(name) for name in ("mediapipe", "cv2"))

    @property
    def note(self) -> str:
        """What a reader of the answers must know; mostly nothing."""
        return "" if self._known or self.can_search else NO_MEDIAPIPE

    def of(self, name: str, rgb: NDArray[np.uint8] | None) -> dict[str, NDArray[np.float32]]:
        """Of the picture ``name``, whose colours are ``rgb`` (S, S, 3): ``points_px`` (468, 2) and ``points_mm``
        (468, 3); NaN where they are not known.
        """
        if name in self._known:
            points_px, points_mm = self._known[name].points_px[0], self._known[name].points_mm
        else:
            points_px, points_mm = _search(rgb) if self.can_search and rgb is not None else None, None
        return {
            "points_px": np.full((POINTS, 2), np.nan, np.float32) if points_px is None else points_px,
            "points_mm": np.full((POINTS, 3), np.nan, np.float32) if points_mm is None else points_mm[0],
        }


def _search(rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    # with the packages of fer-prep; a machine that only trains does without them
    from fer_prep.faces.mediapipe_finder import MediapipeFinder
    from fer_prep.faces.picture_scene import PictureScene

    nothing = np.zeros(rgb.shape[:2])
    scene = PictureScene(rgb=rgb, z_mm=nothing.astype(np.float32), valid=nothing.astype(bool))
    sample: Any = None  # the finder looks at the picture alone
    found = MediapipeFinder().find(scene, sample=sample)
    return None if found is None else found.schemes[SCHEME].points_px.astype(np.float32)
