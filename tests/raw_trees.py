"""Tiny raw trees in the native formats, made on the spot: right names, readable bytes, nothing like a face."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from fer_prep.formats.images import write_image

LANDMARK_LABELS = {
    "Outer left eye corner": (45.0, 30.0),
    "Inner left eye corner": (15.0, 30.0),
    "Inner right eye corner": (-15.0, 30.0),
    "Outer right eye corner": (-45.0, 30.0),
    "Nose tip": (0.0, 0.0),
    "Left mouth corner": (25.0, -35.0),
    "Right mouth corner": (-25.0, -35.0),
    "Chin middle": (0.0, -60.0),
}
"""Label → x, y in mm on the bowl below."""

SIDE_MM = 150.0
PICTURE = (120, 160)
"""Width and height."""


def bowl_mm(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The surface all scans here show: a paraboloid toward the viewer."""
    return 60 - (x**2 + y**2) / 150


def grid_xy(steps: int = 17) -> np.ndarray:
    """(steps, steps, 2) x, y in mm, the bottom row first."""
    axis = np.linspace(-SIDE_MM / 2, SIDE_MM / 2, steps)
    return np.stack(np.meshgrid(axis, axis), axis=-1)


def grey(width: int = PICTURE[0], height: int = PICTURE[1]) -> np.ndarray:
    """(height, width, 3) a grey wedge."""
    return np.repeat(np.linspace(60, 200, width).astype(np.uint8)[None, :, None], height, 0).repeat(3, 2)


def wrl_bytes(*, textured: bool = True, shift_mm: float = 0.0) -> bytes:
    """A BU-3DFE mesh of the bowl; ``shift_mm`` moves it along x."""
    xy = grid_xy()
    steps = len(xy)
    flat = xy.reshape(-1, 2)
    points = np.column_stack([flat[:, 0] + shift_mm, flat[:, 1], bowl_mm(*flat.T)])
    corner = np.arange(steps * steps).reshape(steps, steps)
    quads = np.stack([corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1]], axis=-1).reshape(-1, 4)
    lines = "\n".join(f"{a}, {b}, {c}, {d}, -1," for a, b, c, d in quads)
    rows = ",\n".join(" ".join(f"{value:.5f}" for value in point) for point in points)
    uv = ",\n".join(f"{u:.5f} {v:.5f}" for u, v in flat / SIDE_MM + 0.5)
    texture = f"texCoord TextureCoordinate {{ point [\n{uv} ] }}" if textured else ""
    return f"""#VRML V2.0 utf8
Shape {{
  appearance Appearance {{ texture ImageTexture {{ url "texture.bmp" }} }}
  geometry IndexedFaceSet {{ coord Coordinate {{ point [
{rows} ] }} coordIndex [
{lines} ] {texture} }}
}}
""".encode()


def bnd_bytes(*, mirrored: bool = False, first: int = 0, rows: int = 83, shift_mm: float = 0.0) -> bytes:
    """83 landmarks at vertices of the bowl; the named rows lie about where they should."""
    flat = grid_xy().reshape(-1, 2)
    wanted = np.zeros((83, 2))
    wanted[[0, 4, 8, 12, 48, 54, 75]] = [[15, 30], [45, 30], [-15, 30], [-45, 30], [-25, -35], [25, -35], [0, -60]]
    if mirrored:
        wanted[:, 0] *= -1
    index = [int(np.argmin(((flat - point) ** 2).sum(1))) for point in wanted]
    points = [(flat[i, 0] + shift_mm, flat[i, 1], bowl_mm(*flat[i])) for i in index]
    lines = [f"{i + first}\t\t{x:.5f} {y:.5f} {z:.5f}" for i, (x, y, z) in zip(index, points, strict=True)]
    return ("\n".join(lines[:rows]) + "\n\n").encode()


def write_bu3dfe(root: Path, *names: str) -> Path:
    """One whole recording for every name such as F0001_AN01WH."""
    for name in names:
        folder = root / name[:5]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}_F3D.wrl").write_bytes(wrl_bytes())
        (folder / f"{name}_F3D.bnd").write_bytes(bnd_bytes())
        (folder / f"{name}_F3D.bmp").write_bytes(write_image(grey(), kind="bmp"))
        (folder / f"{name}_F2D.bmp").write_bytes(write_image(grey(), kind="bmp"))
    return root


def picture_place(x: float, y: float) -> tuple[float, float]:
    """Where the point x, y mm is in the picture: pixels from the upper left."""
    return (x / SIDE_MM + 0.5) * PICTURE[0], (0.5 - y / SIDE_MM) * PICTURE[1]


def bnt_bytes(*, name: str = "scan.png", upside_down: bool = False, holes: bool = True) -> bytes:
    """A range grid of the bowl; ``upside_down``: b counts from the bottom of the picture."""
    xy = grid_xy(33)
    u, v = xy[..., 0] / SIDE_MM + 0.5, 0.5 - xy[..., 1] / SIDE_MM
    planes = np.stack([xy[..., 0], xy[..., 1], bowl_mm(xy[..., 0], xy[..., 1]), u, 1 - v if upside_down else v])
    if holes:
        planes[:, :2, :2] = -1e9
    encoded = name.encode()
    head = struct.pack("<HHdH", 33, 33, -1e9, len(encoded)) + encoded
    return head + struct.pack("<I", planes.size) + planes.astype("<f8").tobytes()


def lm3_bytes(*, mirrored: bool = False, without: tuple[str, ...] = ()) -> bytes:
    """Landmarks on the bowl."""
    sign = -1 if mirrored else 1
    kept = {label: xy for label, xy in LANDMARK_LABELS.items() if label not in without}
    lines = [f"{label}\n{sign * x} {y} {bowl_mm(np.float64(x), np.float64(y))}" for label, (x, y) in kept.items()]
    return ("\n".join(["# made for a test", "", f"{len(kept)} landmarks:", *lines]) + "\n").encode()


def lm2_bytes(*, mirrored: bool = False) -> bytes:
    """The same landmarks in the picture."""
    sign = -1 if mirrored else 1
    places = [picture_place(sign * x, y) for x, y in LANDMARK_LABELS.values()]
    head = ["# made for a test", "", f"{len(LANDMARK_LABELS)} Landmarks", "", "Labels:", *LANDMARK_LABELS, ""]
    return ("\r\n".join([*head, "2D Image coordinates:", *(f"{x} {y}" for x, y in places)]) + "\r\n").encode()


def write_bosphorus(root: Path, *names: str) -> Path:
    """One whole scan for every name such as bs000_E_HAPPY_0."""
    for name in names:
        folder = root / name[:5]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.bnt").write_bytes(bnt_bytes(name=f"{name}.png"))
        (folder / f"{name}.png").write_bytes(write_image(grey()))
        (folder / f"{name}.lm2").write_bytes(lm2_bytes())
        (folder / f"{name}.lm3").write_bytes(lm3_bytes())
    return root


def write_pairs(root: Path, *names: str) -> Path:
    """A picture and its depth for every name such as M_010_1_anger."""
    depth = np.full((PICTURE[1], PICTURE[0]), 4000, np.uint16)
    depth[:10] = 0
    for name in names:
        folder = root / name.rpartition("_")[2].capitalize()
        for kind, suffix, pixels in (("RGB", "Color", grey()), ("DEPTH", "Depth", depth)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            (folder / kind / f"{name}_{suffix}.png").write_bytes(write_image(pixels))
    return root
