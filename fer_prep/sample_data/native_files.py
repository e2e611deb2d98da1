"""Writers of the datasets' own byte formats, in the legal styles that are seen in the wild."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.atomic_files import publish_file, stage_file

Array = NDArray[np.float64]

BNT_BACKGROUND: Final = -1e9

_WRL_HEADER: Final = """#VRML V2.0 utf8

Transform {{
    translation 0 0 0
    children [
        Shape {{
            appearance Appearance {{
                material Material {{
                    diffuseColor 1 1 1
                }}
                texture ImageTexture {{
                    url "{texture}"
                }}
            }}
            geometry IndexedFaceSet {{
                solid FALSE
                creaseAngle 3.14
                coord Coordinate {{
                    point [
"""
"""Nineteen lines: readers of BU-3DFE are known that skip exactly so many."""


@dataclass(frozen=True, kw_only=True)
class TextStyle:
    """Freedoms of the text formats: line ends, commas between indices, the gap after a ``.bnd`` index."""

    newline: str = "\n"
    index_comma: bool = True
    bnd_gap: str = "\t\t"


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that it is either whole or absent; the disk may have it later."""
    path.parent.mkdir(parents=True, exist_ok=True)
    publish_file(stage_file(path, content=content, flush=False), path=path)


def _rows(values: NDArray[np.generic], row_format: str, separator: str) -> str:
    return separator.join([row_format] * len(values)) % tuple(values.ravel().tolist())


def wrl_bytes(
    points: Array, faces: NDArray[np.int32], *, uv: Array, uv_faces: NDArray[np.int32], texture: str, style: TextStyle
) -> bytes:
    """VRML 2.0 of a textured mesh: ``points`` (V, 3) mm, ``faces`` and ``uv_faces`` (F, 3), ``uv`` (T, 2) v upward."""
    comma = "," if style.index_comma else ""
    index_row = f"%d{comma} %d{comma} %d{comma} -1"
    closing = "\n" + " " * 40 + "]\n"
    text = _WRL_HEADER.format(texture=texture)
    text += _rows(points, "%.5f %.5f %.5f", ",\n") + closing + " " * 16 + "}\n"
    text += " " * 16 + "texCoord TextureCoordinate {\n" + " " * 20 + "point [\n"
    text += _rows(uv, "%.6f %.6f", ",\n") + closing + " " * 16 + "}\n"
    text += " " * 16 + "coordIndex [\n" + _rows(faces, index_row, f"{comma}\n") + closing
    text += " " * 16 + "texCoordIndex [\n" + _rows(uv_faces, index_row, f"{comma}\n") + closing
    text += " " * 12 + "}\n" + " " * 8 + "}\n    ]\n}\n"
    return text.replace("\n", style.newline).encode("ascii")


def bnd_bytes(vertices: NDArray[np.int64], points: Array, *, style: TextStyle) -> bytes:
    """BU-3DFE landmarks: one row ``vertex index, x y z`` a landmark."""
    rows = [f"{index}{style.bnd_gap}{x:.5f} {y:.5f} {z:.5f}" for index, (x, y, z) in zip(vertices, points, strict=True)]
    return (style.newline.join(rows) + style.newline).encode("ascii")


def bnt_bytes(planes: Array, *, picture_name: str) -> bytes:
    """Bosphorus range grid: ``planes`` (5, rows, columns) of x, y, z, a, b, top row first, NaN where nothing is."""
    _, rows, columns = planes.shape
    name = picture_name.encode("ascii")
    stored = np.where(np.isnan(planes), BNT_BACKGROUND, planes)[:, ::-1]
    head = struct.pack("<HHdH", rows, columns, BNT_BACKGROUND, len(name)) + name + struct.pack("<I", stored.size)
    return head + np.ascontiguousarray(stored, "<f8").tobytes()


def lm2_bytes(points: Mapping[str, Array], *, picture_name: str, style: TextStyle) -> bytes:
    """Bosphorus 2-D landmarks in pixels: label → (x, y)."""
    lines = [f"# 2D landmark file of {picture_name}", "", f"{len(points)} Landmarks", "", "Labels:", *points, ""]
    lines += ["2D Image coordinates:", *(f"{x:.3f} {y:.3f}" for x, y in points.values())]
    return (style.newline.join(lines) + style.newline).encode("ascii")


def lm3_bytes(points: Mapping[str, Array], *, picture_name: str, style: TextStyle) -> bytes:
    """Bosphorus 3-D landmarks in mm: label → (x, y, z)."""
    lines = [f"# 3D landmark file of {picture_name}", "", f"{len(points)} landmarks:"]
    for label, (x, y, z) in points.items():
        lines += [label, f"{x:.5f} {y:.5f} {z:.5f}"]
    return (style.newline.join(lines) + style.newline).encode("ascii")
