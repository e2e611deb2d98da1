"""Is the depth unit right? Judged by the size of human faces, because recorded depth does not say it.

The distance between the eyes of adults is 55–70 mm. Two ways to measure it from a picture and its depth:

*by the camera*
    distance in pixels · depth / focal length in pixels. Exact, but needs the focal length *of the stored pictures*.
    Pictures that were cropped and scaled one by one have none in common: then the eyes stay the same number of pixels
    apart however far away the person is, and this way is not taken.
*by relief*
    A nose tip stands out from the eyes by a known share of the eye distance. Depth differences in mm over that share
    (fitted to all known landmarks at once, together with the tilt of the head) give the eye distance in mm with no
    focal length at all. Noses differ, so a median over many faces is good to about ±25 %: it tells 1/8 mm from 1 mm
    beyond doubt, but not from 1/10 mm, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FormatError, SampleError
from fer_prep.faces.landmarks import LandmarkFinder
from fer_prep.geometry.under_points import values_under
from fer_prep.landmark_names import (
    CHIN,
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_TIP,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
    eye_centres,
)
from fer_prep.sample import Point, Sample, Scene

EYE_DISTANCE_MM: Final = (55.0, 70.0)
TYPICAL_EYE_DISTANCE_MM: Final = 62.5
RELIEF_TOLERANCE: Final = 0.25
COMMON_UNITS_MM: Final = (0.01, 0.05, 0.1, 0.125, 0.25, 0.5, 1.0, 10.0)

FEWEST_FACES: Final = 5
FACES_LOOKED_AT: Final = 48

PROTRUSION: Final[Mapping[str, float]] = {
    RIGHT_EYE_OUTER: 0.504,
    RIGHT_EYE_INNER: 0.596,
    LEFT_EYE_INNER: 0.596,
    LEFT_EYE_OUTER: 0.504,
    NOSE_TIP: 1.186,
    MOUTH_RIGHT: 0.680,
    MOUTH_LEFT: 0.680,
    CHIN: 0.677,
}
"""How far each landmark stands out toward the camera on MediaPipe's canonical face model, in eye distances
(distance of the eye centres 6.302 in its units; only differences matter)."""

_AROUND_PX: Final = 2
"""Recorded depth has holes and noise at single points."""


@dataclass(frozen=True, kw_only=True)
class FaceSize:
    """One face as the depth shows it, in the unit that was assumed."""

    eye_distance_px: float
    depth_at_eyes_mm: float
    eye_distance_by_relief_mm: float
    """NaN where no more than the eyes is known."""


@dataclass(frozen=True, kw_only=True)
class DepthUnitVerdict:
    """What the faces say about the depth unit."""

    outcome: Literal["plausible", "doubtful", "implausible", "undecided"]
    """``doubtful``: within what this way of measuring can be off, but another common unit fits better."""
    text: str
    """One or two sentences for people."""
    eye_distance_mm: float = math.nan
    explaining_unit_mm: float = math.nan
    """The common unit that brings the eyes nearest to 62.5 mm apart, else what brings them there; NaN: undecided."""


def check_depth_unit(
    load: Callable[[Sample], Scene],
    samples: Sequence[Sample],
    *,
    finder: LandmarkFinder,
    depth_unit_mm: float,
    focal_px: float | None = None,
) -> DepthUnitVerdict:
    """Look at up to 48 samples, evenly spread, and judge ``depth_unit_mm``; those without a readable face are left out.

    ``load`` is a source's own; ``focal_px`` the focal length in pixels of the stored pictures, where it is known.
    """
    sizes: list[FaceSize] = []
    for sample, scene in readable(load, samples, most=FACES_LOOKED_AT):
        landmarks = finder.find(scene, sample=sample)
        if landmarks is None:
            continue
        frame = scene.view(np.eye(2, 3), size=max(scene.raster_size))
        size = measure_face(frame.z_mm, landmarks.points)
        if size is not None:
            sizes.append(size)
    return judge_depth_unit(sizes, depth_unit_mm=depth_unit_mm, focal_px=focal_px)


def readable(
    load: Callable[[Sample], Scene], samples: Sequence[Sample], *, most: int
) -> Iterator[tuple[Sample, Scene]]:
    """At most so many of the samples with their scenes, evenly spread; what cannot be read is said elsewhere."""
    for sample in samples[:: max(1, len(samples) // most)][:most]:
        with suppress(SampleError, FormatError, OSError):
            yield sample, load(sample)


def measure_face(z_mm: NDArray[np.floating], points: Mapping[str, Point]) -> FaceSize | None:
    """Eye distance of one face; ``z_mm`` (H, W) with NaN where there is no data, ``points`` in its pixels.

    None where the eyes or depth at them are missing.
    """
    eyes = eye_centres(points)
    names = [name for name in PROTRUSION if name in points]
    if not names:
        return None
    found = values_under(z_mm, np.array([points[name] for name in names]), around=_AROUND_PX)
    heights = dict(zip(names, found.tolist(), strict=True))
    known = [name for name, height in heights.items() if math.isfinite(height)]
    at_eyes = [heights[name] for name in known if "eye" in name]
    if eyes is None or len(at_eyes) < 3:
        return None
    return FaceSize(
        eye_distance_px=float(np.hypot(*(eyes[0] - eyes[1]))),
        depth_at_eyes_mm=-float(np.mean(at_eyes)),
        eye_distance_by_relief_mm=_relief_mm({name: heights[name] for name in known}, points, eyes),
    )


def _relief_mm(heights: Mapping[str, float], points: Mapping[str, Point], eyes: tuple[Point, Point]) -> float:
    """Eye distance by relief from heights at landmarks; NaN without a nose tip or with too few of them."""
    if NOSE_TIP not in heights or len(heights) < 5:
        return math.nan
    middle = (eyes[0] + eyes[1]) / 2
    eye_distance_px = float(np.hypot(*(eyes[0] - eyes[1])))
    # height = offset + tilt · position + eye distance · protrusion, by least squares over the landmarks
    terms = [[1, *((points[name] - middle) / eye_distance_px), PROTRUSION[name]] for name in heights]
    solution, _, rank, _ = np.linalg.lstsq(np.array(terms), np.array(list(heights.values())), rcond=None)
    return float(solution[3]) if rank == 4 else math.nan


def judge_depth_unit(
    sizes: Sequence[FaceSize], *, depth_unit_mm: float, focal_px: float | None = None
) -> DepthUnitVerdict:
    """Compare the median eye distance with that of people."""
    if focal_px is not None and len(sizes) >= FEWEST_FACES and not pictures_were_rescaled(sizes):
        distances = [size.eye_distance_px * size.depth_at_eyes_mm / focal_px for size in sizes]
        return _verdict(
            float(np.median(distances)), "by the focal length and the depth", 0.0, len(sizes), depth_unit_mm
        )
    sizes = [size for size in sizes if math.isfinite(size.eye_distance_by_relief_mm)]
    if len(sizes) < FEWEST_FACES:
        return DepthUnitVerdict(
            outcome="undecided",
            text=f"depth unit not checked: {len(sizes)} faces with depth at eyes and nose; {FEWEST_FACES} are needed",
        )
    by_relief = float(np.median([size.eye_distance_by_relief_mm for size in sizes]))
    if by_relief <= 0:
        return DepthUnitVerdict(
            outcome="implausible",
            text=f"the faces are hollow (noses behind eyes, median of {len(sizes)}): is the depth inverted?",
        )
    return _verdict(by_relief, "by the relief of the face, good to ±25 %,", RELIEF_TOLERANCE, len(sizes), depth_unit_mm)


def pictures_were_rescaled(sizes: Sequence[FaceSize]) -> bool:
    """Whether faces further away are *not* smaller, as they are in pictures of one camera and one scale.

    Fits log pixels = a + slope · log depth: −1 for one camera, 0 for crops scaled to the face. False where all
    faces are equally far away: nothing speaks against one scale then.
    """
    depth = np.log([max(size.depth_at_eyes_mm, 1e-6) for size in sizes])
    if np.std(depth) < 0.05:
        return False
    slope = np.polyfit(depth, np.log([size.eye_distance_px for size in sizes]), 1)[0]
    return bool(slope > -0.5)


def _verdict(eye_distance_mm: float, how: str, tolerance: float, faces: int, depth_unit_mm: float) -> DepthUnitVerdict:
    low, high = EYE_DISTANCE_MM
    exact = depth_unit_mm * TYPICAL_EYE_DISTANCE_MM / eye_distance_mm
    nearest = min((depth_unit_mm, *COMMON_UNITS_MM), key=lambda unit: abs(math.log(unit / exact)))
    explaining = nearest if abs(math.log(nearest / exact)) < math.log(1 + RELIEF_TOLERANCE) else exact
    advice = f"; {explaining:.3g} mm would explain it: --depth-unit {explaining:.3g}"
    if low <= eye_distance_mm <= high:
        outcome, judgement, advice, explaining = "plausible", "fits", "", depth_unit_mm
    elif not low * (1 - tolerance) <= eye_distance_mm <= high * (1 + tolerance):
        outcome, judgement = "implausible", "does not fit"
    elif nearest == depth_unit_mm:
        outcome, judgement, advice, explaining = "plausible", "fits best of the common ones", "", depth_unit_mm
    else:
        outcome, judgement = "doubtful", "is doubtful"
    return DepthUnitVerdict(
        outcome=outcome,
        text=f"depth unit {depth_unit_mm:g} mm {judgement}: eyes measured {eye_distance_mm:.1f} mm apart {how} as the "
        f"median of {faces} faces; expected {low:.0f}–{high:.0f} mm{advice}",
        eye_distance_mm=eye_distance_mm,
        explaining_unit_mm=explaining,
    )
