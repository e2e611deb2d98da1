"""A dataset as one web page that works from a file: no server, no network, quick at twelve thousand samples.

Thumbnails are packed into atlases (256 samples a picture) that the browser decodes only when a sample of them comes
into view; the grid is a canvas that draws what is visible.
"""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.atomic_files import replacing
from fer_prep.dataset.pixel_sizes import pixel_sizes_mm
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import DatasetFileError
from fer_prep.folds.splits import FoldManifest
from fer_prep.inspection.depth_picture import depth_picture, shown_range
from fer_prep.inspection.statistics import emotions_of, views_of
from fer_prep.outputs import check_output, may_be_shown
from fer_prep.progress import Progress, silent

ATLAS_SIDE: Final = 16
"""Thumbnails in a row and in a column of an atlas."""

_PAGE: Final = Path(__file__).resolve().parent / "browse_page"
_JPEG_QUALITY: Final = 82
_ROWS_AT_ONCE: Final = 256
FACE_MM: Final = 220.0
"""The width of a picture where nothing says how large it is, for the relief alone."""
_POINTS: Final = ("left_eye", "right_eye", "nose_tip", "mouth_left", "mouth_right")


def thumbnail_size(n: int) -> int:
    """Pixels of a thumbnail, so that the page stays below about 40 MB: 160 for hundreds of samples, 56 for 12,000."""
    for samples, size in ((600, 160), (2500, 96), (6000, 72)):
        if n <= samples:
            return size
    return 56


def write_page(
    data: DatasetFile,
    path: Path,
    *,
    manifest: FoldManifest | None = None,
    thumbnail: int = 0,
    progress: Progress = silent,
) -> int:
    """Write the page of ``data`` to ``path``, whole or not at all; return its size in bytes.

    ``manifest`` adds the filter by validation fold. ``thumbnail`` is a size in pixels; 0 chooses one by the number
    of samples.
    """
    size = min(thumbnail or thumbnail_size(data.n), data.height)
    before, after = (_PAGE / "page.html").read_text(encoding="utf-8").split("<!-- data -->")
    check_output(
        path, what="a page of fer-prep browse", begins=before[: before.index("<html")].encode(), inputs=[data.path]
    )
    with replacing(path) as part, part.open("w", encoding="utf-8") as page:
        page.write(_fill(before, data))
        page.write(_script("samples", json.dumps(page_data(data, manifest=manifest, thumbnail=size))))
        for scheme in data.landmark_schemes:
            page.write(_script(f"landmarks-{scheme}", base64.b64encode(_points_in_bytes(data, scheme)).decode()))
        for kind, number, picture in _atlases(data, size=size, progress=progress):
            page.write(_script(f"{kind}-{number}", base64.b64encode(picture).decode()))
        page.write(_fill(after, data))
    return path.stat().st_size


def _fill(template: str, data: DatasetFile) -> str:
    """Put style, program and title where the template names them."""
    return (
        template.replace("/* style */", (_PAGE / "page.css").read_text(encoding="utf-8"))
        .replace("/* program */", (_PAGE / "page.js").read_text(encoding="utf-8"))
        .replace("{title}", html.escape(data.path.name))
    )


def _script(identifier: str, content: str) -> str:
    """An inert data block: parsed as text, decoded by the program when needed."""
    # "<" occurs in JSON strings only, and never in base64: no text can end the block early
    inert = content.replace("<", "\\u003c")
    return f'<script type="text/plain" id="{identifier}">{inert}</script>\n'


def page_data(data: DatasetFile, *, manifest: FoldManifest | None, thumbnail: int) -> dict[str, Any]:
    """Everything the page knows besides pixels, JSON-able: one list a column, in row order."""
    hidden = ~may_be_shown(data)
    columns = {name: _jsonable(_without(data.column(name), hidden, name)) for name in data.column_names()}
    del columns["label"]
    columns["class"], columns["view"] = emotions_of(data).tolist(), views_of(data).tolist()
    columns["fold"] = _fold_of(data, manifest)
    if (soft := data.soft_labels) is not None:
        columns["annotators"] = [
            ", ".join(f"{name} {share:.2f}" for name, share in zip(data.classes, row, strict=True) if share > 0)
            for row in soft.tolist()
        ]
    return {
        "file": data.path.name,
        "digest": data.digest,
        "classes": list(data.classes),
        "size": data.height,
        "kinds": list(data.modalities),
        "landmarks": {scheme: len(data.landmarks(scheme).names) for scheme in data.landmark_schemes},
        "thumbnail": thumbnail,
        "atlas_side": ATLAS_SIDE,
        "relief": _reliefs(data),
        "points": [name for name in _POINTS if name in columns],
        "protocol": manifest.protocol if manifest else "",
        "columns": columns,
    }


def _reliefs(data: DatasetFile) -> list[float]:
    """How deep the range that ``depth_picture`` shows is, in widths of the picture, of every sample."""
    if "depth" not in data.modalities:
        return []
    mm_per_pixel = data.column("mm_per_pixel").astype(np.float64)
    if np.isnan(mm_per_pixel).any():
        try:
            mm_per_pixel = pixel_sizes_mm(data).mm
        except DatasetFileError:
            mm_per_pixel = np.where(np.isnan(mm_per_pixel), FACE_MM / data.height, mm_per_pixel)
    steps: list[float] = []
    for start in range(0, data.n, _ROWS_AT_ONCE):
        for depth in data.read("depth", np.arange(start, min(start + _ROWS_AT_ONCE, data.n))):
            near, far = shown_range(depth)
            steps.append(far - near)
    depths = np.array(steps) * data.depth_unit_mm / (mm_per_pixel * data.height)
    return np.round(np.where(may_be_shown(data), depths, 0), 3).tolist()


def _without(values: np.ndarray, hidden: NDArray[np.bool_], name: str) -> np.ndarray:
    """A column in which the places on the faces of people who may not be shown are unknown."""
    return np.where(hidden[:, None], np.nan, values) if name in _POINTS else values


def _jsonable(values: np.ndarray) -> list[Any]:
    """Numbers rounded to what a person reads; NaN, which JSON does not have, as null."""
    if values.dtype.kind != "f":
        return values.tolist()
    rounded = np.round(values.astype(np.float64), 3)
    listed = rounded.astype(object)
    listed[~np.isfinite(rounded)] = None
    return listed.tolist()


def _fold_of(data: DatasetFile, manifest: FoldManifest | None) -> list[str]:
    """The first fold that validates each sample, as text; empty where none does."""
    first: dict[str, str] = {}
    for number, fold in enumerate(manifest.folds if manifest else ()):
        for name in fold.val:
            first.setdefault(name, str(number))
    return [first.get(name, "") for name in data.ids.tolist()]


def _points_in_bytes(data: DatasetFile, scheme: str) -> bytes:
    """(N, L, 2) places in a picture as bytes: 1 at its left or upper edge, 255 at the other; 0 where unknown."""
    # stored points are in pixel centres: the left edge of the picture is −0.5
    share = (data.landmarks(scheme).points_px.astype(np.float64) + 0.5) / data.height
    inside = ((share >= 0) & (share <= 1)).all(axis=2, keepdims=True)  # NaN is not
    inside &= may_be_shown(data)[:, None, None]
    return np.where(inside, np.rint(1 + 254 * np.where(inside, share, 0)), 0).astype(np.uint8).tobytes()


def _atlases(data: DatasetFile, *, size: int, progress: Progress) -> Iterator[tuple[str, int, bytes]]:
    """JPEG atlases: (``rgb`` or ``depth``, number, bytes), a block of samples at a time."""
    per_atlas, shown = ATLAS_SIDE * ATLAS_SIDE, may_be_shown(data)
    with progress("drawing thumbnails", total=data.n) as advance:
        for number in range(math.ceil(data.n / per_atlas)):
            rows = np.arange(number * per_atlas, min((number + 1) * per_atlas, data.n))
            for kind in data.modalities:
                draw = _small if kind == "rgb" else depth_picture
                pictures = [draw(pixels, size=size) for pixels in data.read(kind, rows)]
                for place in np.flatnonzero(~shown[rows]):
                    pictures[place] = np.full_like(pictures[place], 90)
                yield kind, number, _pack(pictures, size)
            advance(len(rows))


def _pack(pictures: list[NDArray[np.uint8]], size: int) -> bytes:
    """One JPEG of the pictures (size, size, 3) sRGB, row by row."""
    lines = math.ceil(len(pictures) / ATLAS_SIDE)
    atlas = np.zeros((lines * size, ATLAS_SIDE * size, 3), np.uint8)
    for place, picture in enumerate(pictures):
        y, x = divmod(place, ATLAS_SIDE)
        atlas[y * size : (y + 1) * size, x * size : (x + 1) * size] = picture
    encoded = cv2.imencode(".jpg", cv2.cvtColor(atlas, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return encoded[1].tobytes()


def _small(rgb: NDArray[np.uint8], *, size: int) -> NDArray[np.uint8]:
    return cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
