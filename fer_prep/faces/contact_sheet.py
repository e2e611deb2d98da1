"""One picture of many samples, before and after, for a person who wants to see in ten seconds whether it went well."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.faces.mediapipe_finder import SCHEME
from fer_prep.faces.oval_mask import face_outline
from fer_prep.geometry.warp import transform_points
from fer_prep.landmark_names import eye_centres
from fer_prep.sample import Frame, Landmarks, Point, Scene

TILE_PX: Final = 176
MARGIN_PX: Final = 6
CAPTION_PX: Final = 30

FACE_RELIEF_MM: Final = 130.0
"""Depth behind the nearest point that gets all the colours; a wall in the range would leave the face one colour."""

Pixels = NDArray[np.uint8]

_PAPER: Final = (250, 250, 250)
_INK: Final = (30, 30, 30)
_ABSENT: Final = (90, 90, 90)
_EYES: Final = (0, 230, 118)
_POINT: Final = (255, 214, 0)
_OUTLINE: Final = (64, 156, 255)
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True, kw_only=True)
class SheetEntry:
    """One sample on a contact sheet."""

    name: str
    caption: str
    """What one wants to know at a glance: emotion, roll, who found the face; or why there is no result."""
    before: Pixels
    """(H, W, 3) sRGB as recorded."""
    before_points: dict[str, Point] = field(default_factory=dict[str, Point])
    outline: NDArray[np.float64] | None = None
    """(n, 2) outline of the face in ``before``, where known."""
    after: Frame | None = None
    """The prepared sample; None where it was rejected."""
    after_points: dict[str, Point] = field(default_factory=dict[str, Point])


def sheet_entry(
    name: str,
    *,
    caption: str,
    scene: Scene,
    landmarks: Landmarks | None,
    frame: Frame | None,
    matrix: NDArray[np.float64] | None,
) -> SheetEntry:
    """The entry of a sample from what its preparation had in hand; ``frame`` and ``matrix`` None where it failed."""
    points = {} if landmarks is None else dict(landmarks.points)
    has_oval = landmarks is not None and SCHEME in landmarks.schemes
    framed = {} if matrix is None else {name: transform_points(point, matrix) for name, point in points.items()}
    return SheetEntry(
        name=name,
        caption=caption,
        before=scene.picture(),
        before_points=points,
        outline=face_outline(landmarks) if landmarks is not None and has_oval else None,
        after=frame,
        after_points=framed,
    )


def contact_sheet(entries: Sequence[SheetEntry]) -> Pixels:
    """(H, W, 3) sRGB: per sample the picture with its landmarks, the framed result, and its depth (near is warm).

    Raises ValueError where there is nothing to show.
    """
    if not entries:
        raise ValueError("a contact sheet needs at least one entry")
    blocks = [_block(entry) for entry in entries]
    height, width = blocks[0].shape[:2]
    columns = max(1, min(len(blocks), round(math.sqrt(len(blocks) * height / width * 1.4))))
    rows = math.ceil(len(blocks) / columns)
    sheet = np.full((rows * height + MARGIN_PX, columns * width + MARGIN_PX, 3), _PAPER, np.uint8)
    for k, block in enumerate(blocks):
        top, left = k // columns * height, k % columns * width
        sheet[top : top + height, left : left + width] = block
    return sheet


def _block(entry: SheetEntry) -> Pixels:
    """Three tiles side by side with two lines of text below."""
    tiles = [_before_tile(entry), _after_tile(entry), _depth_tile(entry)]
    block = np.full((MARGIN_PX + TILE_PX + CAPTION_PX, 3 * TILE_PX + 2 * MARGIN_PX, 3), _PAPER, np.uint8)
    for k, tile in enumerate(tiles):
        left = MARGIN_PX + k * TILE_PX
        block[MARGIN_PX : MARGIN_PX + TILE_PX, left : left + TILE_PX] = tile
    baseline = MARGIN_PX + TILE_PX + 12
    for line, scale in ((entry.name, 0.42), (entry.caption, 0.38)):
        cv2.putText(block, _plain(line), (MARGIN_PX, baseline), _FONT, scale, _INK, 1, cv2.LINE_AA)
        baseline += 14
    return block


def _before_tile(entry: SheetEntry) -> Pixels:
    height, width = entry.before.shape[:2]
    scale = TILE_PX / max(height, width)
    matrix = np.array([[scale, 0, (TILE_PX - scale * width) / 2], [0, scale, (TILE_PX - scale * height) / 2]])
    tile = _fitted(entry.before)
    if entry.outline is not None:
        corners = np.rint(transform_points(entry.outline, matrix) - 0.5).astype(np.int32)
        cv2.polylines(tile, [corners], True, _OUTLINE, 1, cv2.LINE_AA)
    _draw_points(tile, {name: transform_points(point, matrix) for name, point in entry.before_points.items()})
    return tile


def _after_tile(entry: SheetEntry) -> Pixels:
    if entry.after is None:
        return _absent()
    tile = _fitted(entry.after.rgb)
    scale = TILE_PX / entry.after.rgb.shape[0]
    _draw_points(tile, {name: point * scale for name, point in entry.after_points.items()})
    return tile


def _depth_tile(entry: SheetEntry) -> Pixels:
    """Depth of the framed sample in colours, near warm, no data dark grey; range by the sample's own face."""
    if entry.after is None or not entry.after.valid.any():
        return _absent()
    z_mm, valid = entry.after.z_mm, entry.after.valid
    nearest = np.percentile(z_mm[valid], 99.5)
    farthest = max(np.percentile(z_mm[valid], 2), nearest - FACE_RELIEF_MM)
    levels = np.clip(255 * (np.nan_to_num(z_mm) - farthest) / max(nearest - farthest, 1e-6), 0, 255)
    colours = cv2.cvtColor(cv2.applyColorMap(levels.astype(np.uint8), cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    return _fitted(np.where(valid[..., None], colours, _ABSENT).astype(np.uint8))


def _fitted(picture: Pixels) -> Pixels:
    """A picture scaled into a tile, aspect kept, centred."""
    height, width = picture.shape[:2]
    scale = TILE_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    tile = np.full((TILE_PX, TILE_PX, 3), _ABSENT, np.uint8)
    left, top = (TILE_PX - size[0]) // 2, (TILE_PX - size[1]) // 2
    tile[top : top + size[1], left : left + size[0]] = cv2.resize(picture, size, interpolation=interpolation)
    return tile


def _draw_points(tile: Pixels, points: dict[str, Point]) -> None:
    """Dots at the landmarks and a line between the eyes, in tile pixels."""
    for point in points.values():
        cv2.circle(tile, _at(point), 2, _POINT, -1, cv2.LINE_AA)
    eyes = eye_centres(points)
    if eyes is not None:
        cv2.line(tile, _at(eyes[0]), _at(eyes[1]), _EYES, 1, cv2.LINE_AA)


def _at(point: Point) -> tuple[int, int]:
    x, y = np.rint(point - 0.5)
    return int(x), int(y)


def _absent() -> Pixels:
    tile = np.full((TILE_PX, TILE_PX, 3), _ABSENT, np.uint8)
    cv2.line(tile, (0, 0), (TILE_PX, TILE_PX), _INK, 1, cv2.LINE_AA)
    cv2.line(tile, (0, TILE_PX), (TILE_PX, 0), _INK, 1, cv2.LINE_AA)
    return tile


def _plain(text: str) -> str:
    """Text in the ASCII that OpenCV's fonts can draw: accents dropped, degree signs spelled out, long lines cut."""
    text = text.replace("°", " deg").replace("−", "-").replace("–", "-")
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return text if len(text) <= 76 else text[:73] + "..."
