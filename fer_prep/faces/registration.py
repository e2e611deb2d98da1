"""Do colour and depth of recorded pairs lie on each other? Judged by their edges, because files do not say it.

A head stands out from what is behind it, in depth by a jump and in colour by an edge. The edges of both are correlated
(normalised, over all shifts at once by Fourier transform), as stored and with the depth mirrored or turned, and the
correlations of many pairs are added: what other edges there are differ from picture to picture and average out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.faces.depth_unit import readable
from fer_prep.faces.picture_scene import FOREGROUND_MM, PictureScene
from fer_prep.sample import Sample, Scene

PAIRS_LOOKED_AT: Final = 24
FEWEST_PAIRS: Final = 5
LEAST_CORRELATION: Final = 0.1
"""Below this the edges of depth are not those of colour in any way: nothing can be said."""
CLEARLY: Final = 1.25
"""How much better another way must be than the one as stored."""
LARGEST_SHIFT: Final = 0.03
"""Of the picture's larger side; the edges of well-registered pairs lie within a pixel of each other."""

Map = NDArray[np.float32]

WAYS: Final[dict[str, Callable[[Map], Map]]] = {
    "as stored": lambda edges: edges,
    "mirrored left to right": lambda edges: edges[:, ::-1],
    "upside down and mirrored": lambda edges: edges[::-1],
    "turned by 180°": lambda edges: edges[::-1, ::-1],
    "turned by 90°": lambda edges: np.rot90(edges),
    "turned by 270°": lambda edges: np.rot90(edges, 3),
}


@dataclass(frozen=True, kw_only=True)
class RegistrationVerdict:
    """What the edges say."""

    outcome: Literal["fits", "does not fit", "undecided"]
    text: str
    """One sentence for people."""
    way: str = ""
    """Which of ``WAYS`` the depth is in."""
    shift_px: tuple[int, int] = (0, 0)
    """How far depth lies to the right of, and below, colour."""


def check_registration(load: Callable[[Sample], Scene], samples: Sequence[Sample]) -> RegistrationVerdict:
    """Look at up to 24 pairs, evenly spread; those that cannot be read, or lack one of both, are none."""
    scenes = (scene for _, scene in readable(load, samples, most=PAIRS_LOOKED_AT) if isinstance(scene, PictureScene))
    return judge_registration([scene for scene in scenes if scene.valid.any() and scene.rgb.any()])


def judge_registration(scenes: Sequence[PictureScene]) -> RegistrationVerdict:
    """Add up the correlations of all pairs that have the first one's raster."""
    sums: dict[str, NDArray[np.float64]] = {}
    pairs = 0
    for scene in scenes:
        if scene.raster_size != scenes[0].raster_size:
            continue
        pairs += 1
        colour, depth = _normalised(_edges_of_colour(scene.rgb)), _normalised(_edges_of_depth(scene))
        for way, turned in WAYS.items():
            seen = turned(depth)
            if seen.shape == colour.shape:
                sums[way] = sums.get(way, 0) + _correlations(colour, seen)
    if pairs < FEWEST_PAIRS:
        return RegistrationVerdict(
            outcome="undecided", text=f"registration not checked: {pairs} pairs of one size; {FEWEST_PAIRS} are needed"
        )
    best = {way: float(of.max()) / pairs for way, of in sums.items()}
    way = max(best, key=lambda way: best[way] * (CLEARLY if way == "as stored" else 1.0))
    if best[way] < LEAST_CORRELATION:
        return RegistrationVerdict(
            outcome="undecided",
            text=f"registration not checked: edges of depth and colour correlate by {best[way]:.2f} at most",
        )
    row, column = (int(place) for place in np.unravel_index(int(sums[way].argmax()), sums[way].shape))
    height, width = sums[way].shape
    down, right = -((row + height // 2) % height - height // 2), -((column + width // 2) % width - width // 2)
    off_px = LARGEST_SHIFT * max(scenes[0].raster_size)
    fits = way == "as stored" and max(abs(down), abs(right)) <= off_px
    how = "" if way == "as stored" else f"{way}, "
    where = f"{how}{abs(right)} px to the {'right' if right >= 0 else 'left'} and {abs(down)} px "
    where += "below" if down >= 0 else "above"
    return RegistrationVerdict(
        outcome="fits" if fits else "does not fit",
        text=f"registration: the edges of depth lie {where} those of colour in {pairs} pairs"
        + ("" if fits else "; colour and depth are not of the same skin: are the pairs stored as they were recorded?"),
        way=way,
        shift_px=(right, down),
    )


def edge_agreement(rgb: NDArray[np.uint8], depth: PictureScene) -> float:
    """The correlation, −1 to 1, of the edges of a picture and of the depth of a scene of the same raster."""
    return float((_normalised(_edges_of_colour(rgb)) * _normalised(_edges_of_depth(depth))).sum())


def _edges_of_colour(rgb: NDArray[np.uint8]) -> Map:
    return _steepness(cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.5))


def _edges_of_depth(scene: PictureScene) -> Map:
    """Jumps between the person and what is behind, or what was not measured."""
    nearest = float(np.percentile(scene.z_mm[scene.valid], 99))
    far = nearest - FOREGROUND_MM
    heights = np.where(scene.valid, np.clip(scene.z_mm, far, nearest), far).astype(np.float32)
    return np.minimum(_steepness(cv2.medianBlur(heights, 5)), 200.0).astype(np.float32)


def _steepness(values: cv2.typing.MatLike) -> Map:
    return np.hypot(cv2.Sobel(values, cv2.CV_32F, 1, 0), cv2.Sobel(values, cv2.CV_32F, 0, 1)).astype(np.float32)


def _normalised(edges: Map) -> Map:
    """Blurred a little, without outliers, of mean 0 and length 1."""
    soft = np.asarray(cv2.GaussianBlur(edges, (0, 0), 2.0), np.float32)
    soft = np.minimum(soft, np.percentile(soft, 98)).astype(np.float32)
    soft -= soft.mean()
    return soft / np.float32(max(float(np.linalg.norm(soft)), 1e-9))


def _correlations(colour: Map, depth: Map) -> NDArray[np.float64]:
    """(2 H, 2 W) for every shift of ``depth`` (H, W) that brings it onto ``colour``; negative shifts wrap around."""
    size = 2 * colour.shape[0], 2 * colour.shape[1]
    spectrum = np.fft.rfft2(colour, size) * np.conj(np.fft.rfft2(depth, size))
    return np.fft.irfft2(spectrum, size)
