"""Looking for a face more than once before giving up: as it is, padded, enlarged, turned.

Detectors look at the whole picture shrunk to about 128 pixels and were trained on roughly upright faces that leave a
margin. So a face that fills its crop is found with a border, a small one when a part of the picture is enlarged, and
a head that lies on its side when the picture is turned the other way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.geometry.warp import Matrix, inverse_matrix, opencv_matrix, transform_points
from fer_prep.sample import Point

Detector = Callable[[NDArray[np.uint8]], list[NDArray[np.float64]]]
"""Picture (H, W, 3) u1 sRGB → one (n, 2) array of points in its continuous pixels per face, n ≥ 468 (face mesh)."""

PAD_SHARE: Final = 0.5
"""Border of the padded attempt on each side, as a share of the picture's size."""

ZOOMS: Final = (2, 4)
"""How much a part of the picture is enlarged."""

TURNS_DEGREES: Final = (30, -30, 60, -60)

CLOSE_UP_PX: Final = 256
CLOSE_UP_EYE_DISTANCES: Final = 4.0
"""Side of the close-up of ``look_again``: a face with a margin all around, as detectors like it."""

_BACKGROUND: Final = (128, 128, 128)
_LARGEST_CANVAS_PX: Final = 1024
"""Enlarging beyond this only costs time: detector and mesh see 128 and 192 pixels."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One way to show the picture to a detector: ``matrix`` (2, 3) maps picture to canvas pixels."""

    name: str
    matrix: Matrix
    canvas_size: tuple[int, int]


def attempts(raster_size: tuple[int, int], *, centre: Callable[[], Point]) -> Iterator[Attempt]:
    """The ways to look at a picture of ``raster_size`` (width, height), cheapest and likeliest first.

    ``centre`` says where the person probably is: the enlarged attempts start there. It is called when they are due.
    """
    width, height = raster_size
    yield Attempt(name="as-is", matrix=np.eye(2, 3), canvas_size=raster_size)
    pad_x, pad_y = round(width * PAD_SHARE), round(height * PAD_SHARE)
    yield Attempt(
        name="padded",
        matrix=np.array([[1, 0, pad_x], [0, 1, pad_y]], np.float64),
        canvas_size=(width + 2 * pad_x, height + 2 * pad_y),
    )
    for zoom, corner in _windows(raster_size, centre()):
        scale = min(zoom, max(1.0, zoom * _LARGEST_CANVAS_PX / max(width, height)))
        yield Attempt(
            name="enlarged",
            matrix=scale * np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]], np.float64),
            canvas_size=(round(scale * width / zoom), round(scale * height / zoom)),
        )
    for degrees in TURNS_DEGREES:
        yield _turned(raster_size, degrees)


def _windows(raster_size: tuple[int, int], centre: Point) -> Iterator[tuple[int, Point]]:
    """Zoom and top-left corner: around the person at both zooms, then a 3 × 3 grid of half-size windows."""
    size = np.array(raster_size, np.float64)
    for zoom in ZOOMS:
        yield zoom, np.clip(centre - size / (2 * zoom), 0, size * (1 - 1 / zoom))
    for share_y in (0.5, 0.0, 1.0):
        for share_x in (0.5, 0.0, 1.0):
            yield 2, np.array([share_x, share_y]) * size / 2


def _turned(raster_size: tuple[int, int], degrees: int) -> Attempt:
    """The whole picture turned clockwise by ``degrees`` on a canvas that holds all of it."""
    width, height = raster_size
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    linear = np.array([[cosine, -sine], [sine, cosine]])
    canvas = np.ceil(np.abs(linear) @ [width, height])
    shift = canvas / 2 - linear @ [width / 2, height / 2]
    return Attempt(
        name=f"rotated{degrees:+d}",
        matrix=np.column_stack([linear, shift]),
        canvas_size=(int(canvas[0]), int(canvas[1])),
    )


def find_faces(
    picture: NDArray[np.uint8],
    *,
    detect: Detector,
    confirm: Callable[[NDArray[np.float64], Attempt], NDArray[np.float64] | None],
    centre: Callable[[], Point],
) -> tuple[str, list[NDArray[np.float64]]] | None:
    """The name of the first attempt that shows a face, and all its faces in picture pixels; or None.

    ``confirm`` judges each find of an attempt: it returns the face, set right if need be, or None for what is none.
    """
    height, width = picture.shape[:2]
    for attempt in attempts((width, height), centre=centre):
        back = inverse_matrix(attempt.matrix)
        finds = [confirm(transform_points(face, back), attempt) for face in detect(_canvas(picture, attempt))]
        faces = [face for face in finds if face is not None]
        if faces:
            return attempt.name, faces
    return None


def look_again(
    picture: NDArray[np.uint8],
    *,
    detect: Detector,
    eyes: tuple[Point, Point],
) -> list[NDArray[np.float64]]:
    """All faces, in picture pixels, seen in an upright close-up of the one with these (left, right) eye centres."""
    left, right = eyes
    scale = CLOSE_UP_PX / (CLOSE_UP_EYE_DISTANCES * float(np.hypot(*(left - right))))
    cosine, sine = scale * (left - right) / np.hypot(*(left - right))
    linear = np.array([[cosine, sine], [-sine, cosine]])
    shift = np.array([0.5, 0.42]) * CLOSE_UP_PX - linear @ ((left + right) / 2)
    attempt = Attempt(name="close-up", matrix=np.column_stack([linear, shift]), canvas_size=(CLOSE_UP_PX, CLOSE_UP_PX))
    return [transform_points(face, inverse_matrix(attempt.matrix)) for face in detect(_canvas(picture, attempt))]


def _canvas(picture: NDArray[np.uint8], attempt: Attempt) -> NDArray[np.uint8]:
    """What the detector is shown: (h, w, 3) u1, contiguous."""
    if attempt.name == "as-is":
        return np.ascontiguousarray(picture)
    canvas = cv2.warpAffine(
        picture,
        opencv_matrix(attempt.matrix),
        attempt.canvas_size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=_BACKGROUND,
    )
    return np.asarray(canvas, np.uint8)
