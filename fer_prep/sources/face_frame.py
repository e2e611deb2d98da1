"""A face mesh in whatever unit and axes, set upright, facing the viewer, in millimetres: the face itself says how.

The mesh is looked at from six sides. Where a face is found, with its nose nearer to the viewer than its eyes (from
behind, the inside of a face looks like a face as well), that side is the front; how the face leans says which way is
up, to a quarter turn, and the distance of the eyes which unit the file is in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.faces.mediapipe_finder import SCHEME, MediapipeFinder
from fer_prep.geometry.cast_scene import CastScene
from fer_prep.geometry.turns import AXIS_TURNS, SIDES
from fer_prep.geometry.under_points import points_under, values_under
from fer_prep.landmark_names import NOSE_TIP, eye_centres
from fer_prep.sample import Sample

Array = NDArray[np.float64]

UNITS_MM: Final = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
EYE_DISTANCES_MM: Final = (40.0, 85.0)
"""Between the eyes' centres: children of a few years to the widest adults (Dodgson 2004: 52 to 78)."""
_AROUND_PX: Final = 4


def find_frame(whole: CastScene, *, path: Path, sample: Sample) -> tuple[Array, str] | None:
    """Look for the face on all sides of a mesh: which of ``AXIS_TURNS`` sets it upright, and its unit (mm, cm or m).

    None where no side shows anything like a face. Raises SampleError, naming ``path``, where what is found is the
    inside of one, or has eyes that are not as far apart as eyes are.
    """
    least, most = EYE_DISTANCES_MM
    seen: list[str] = []
    for turn in SIDES:
        scene = whole.turned(turn)
        found = MediapipeFinder().find(scene, sample=sample)
        eyes = None if found is None else eye_centres(found.points)
        if found is None or eyes is None:
            continue
        if found.faces_found > 1:
            raise no_face(path, found=f"{found.faces_found} faces")
        frame = scene.view(np.eye(2, 3), size=max(scene.raster_size))
        apart = float(np.hypot(*(eyes[0] - eyes[1]))) * frame.mm_per_pixel
        nose, *at_eyes = values_under(frame.z_mm, np.stack([found.points[NOSE_TIP], *eyes]), around=_AROUND_PX)
        ahead = nose - np.mean(at_eyes)
        unit = next((unit for unit, size in UNITS_MM.items() if least <= apart * size <= most), None)
        if not ahead >= 0.1 * apart:
            seen.append("the inside of one")
        elif unit is None:
            seen.append(f"one with eyes {apart:.3g} apart, {least:g} to {most:g} mm in no unit")
        else:
            right = (eyes[0] - eyes[1]) * (1, -1)  # y up, as the mesh has it
            upright = max(AXIS_TURNS, key=lambda roll: float(roll[2, 2] + roll[0, :2] @ right / np.hypot(*right)))
            return upright @ turn, unit
    if not seen:
        return None
    raise no_face(path, found=f"only {', '.join(seen)}")


def no_face(path: Path, *, found: str) -> SampleError:
    """The rejection of a mesh without a face, or with several."""
    expected = "one face on one of six sides of the mesh"
    return SampleError(stage="landmarks", reason=Reason.NO_FACE, path=path, expected=expected, found=found)


def points_found_on(scene: CastScene, *, sample: Sample) -> Array | None:
    """(468, 3) mm of MediaPipe's face mesh as it is found on a scene, NaN over holes; None where no face is."""
    found = MediapipeFinder().find(scene, sample=sample)
    if found is None:
        return None
    return points_under(scene.view(np.eye(2, 3), size=max(scene.raster_size)), found.schemes[SCHEME].points_px)
