"""A picture of some samples of a prepared folder, before and after, for a person who wants to see whether it went well.

A row a sample: as recorded with its landmarks, framed, and the depth of that (near is warm, no data grey).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.atomic_files import write_atomically
from fer_prep.errors import SampleError
from fer_prep.formats.images import write_image
from fer_prep.geometry.warp import transform_points
from fer_prep.prepare.folder import PREVIEW
from fer_prep.prepare.prepare_sample import find_landmarks, frame_scene, load_view
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.progress import Progress, silent
from fer_prep.sample import Frame, Sample, Scene
from fer_prep.sources import Source

TILE_PX: Final = 176
CAPTION_PX: Final = 30
FACE_RELIEF_MM: Final = 130.0
"""Depth behind the nearest point that gets all the colours; a wall in the range would leave the face one colour."""

_ABSENT: Final = (90, 90, 90)
_POINT: Final = (255, 214, 0)

Pixels = NDArray[np.uint8]


def write_preview(
    folder: Path,
    *,
    samples: Sequence[Sample],
    count: int,
    source: Source,
    settings: PrepareSettings,
    progress: Progress = silent,
) -> Path | None:
    """Write ``preview.png`` of ``count`` of the samples, evenly spread; None where there is nothing to show.

    All of them must be readable. A sample without a face is shown as recorded, with the reason under it.
    """
    count = min(count, len(samples))
    rows: list[Pixels] = []
    with progress("previewing", total=count) as advance:
        for k in range(count):
            sample = samples[k * len(samples) // count]
            rows.append(preview_row(sample, load_view(sample, source=source), settings=settings))
            advance(1)
    if not rows:
        return None
    path = folder / PREVIEW
    write_atomically(path, content=write_image(np.vstack(rows)))
    return path


def preview_row(sample: Sample, scene: Scene, *, settings: PrepareSettings) -> Pixels:
    """(TILE_PX + CAPTION_PX, 3 · TILE_PX, 3) sRGB of one sample, with its name, emotion, and how the face was found."""
    landmarks, tiles = None, [np.full((TILE_PX, TILE_PX, 3), _ABSENT, np.uint8)] * 2
    try:
        landmarks = find_landmarks(scene, sample=sample, settings=settings)
        framed = frame_scene(scene, landmarks, sample=sample, settings=settings)
        tiles = [_tile(framed.frame.rgb), _tile(_depth_in_colours(framed.frame))]
        how = "no face known, as recorded"
        if landmarks is not None:
            how = f"roll {framed.framing.roll_degrees:+.1f}°, {landmarks.found_by}"
        if landmarks is not None and landmarks.faces_found > 1:
            how += f", 1 of {landmarks.faces_found} faces"
    except SampleError as error:
        how = f"rejected, {error.found}"
    points = list(landmarks.points.values()) if landmarks else []
    row = np.hstack([_tile(scene.picture(), points), *tiles])
    caption = np.full((CAPTION_PX, row.shape[1], 3), 250, np.uint8)
    for line, text in enumerate((sample.name, f"{sample.emotion}, {how}")):
        cv2.putText(caption, _plain(text), (4, 12 + 14 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (30, 30, 30), 1)
    return np.vstack([row, caption])


def _tile(picture: Pixels, points: Sequence[NDArray[np.float64]] = ()) -> Pixels:
    """A picture scaled into a square, aspect kept, centred, with dots at ``points`` of it."""
    height, width = picture.shape[:2]
    scale = TILE_PX / max(height, width)
    shift = (TILE_PX - scale * width) / 2, (TILE_PX - scale * height) / 2
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    left, top = (TILE_PX - size[0]) // 2, (TILE_PX - size[1]) // 2
    tile = np.full((TILE_PX, TILE_PX, 3), _ABSENT, np.uint8)
    tile[top : top + size[1], left : left + size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    for point in points:
        x, y = np.rint(transform_points(point, matrix) - 0.5)
        cv2.circle(tile, (int(x), int(y)), 2, _POINT, -1, cv2.LINE_AA)
    return tile


def _depth_in_colours(frame: Frame) -> Pixels:
    """(H, W, 3): the range of colours is that of the sample's own face."""
    if not frame.valid.any():
        return np.full_like(frame.rgb, _ABSENT)
    nearest = np.percentile(frame.z_mm[frame.valid], 99.5)
    farthest = max(np.percentile(frame.z_mm[frame.valid], 2), nearest - FACE_RELIEF_MM)
    levels = np.clip(255 * (np.nan_to_num(frame.z_mm) - farthest) / max(nearest - farthest, 1e-6), 0, 255)
    colours = cv2.applyColorMap(levels.astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    return np.where(frame.valid[..., None], colours, _ABSENT).astype(np.uint8)


def _plain(text: str) -> str:
    """Text in the ASCII that OpenCV's fonts can draw, accents dropped, as long as a row."""
    text = unicodedata.normalize("NFKD", text.replace("°", " deg").replace("−", "-"))
    return text.encode("ascii", "ignore").decode()[:76]
