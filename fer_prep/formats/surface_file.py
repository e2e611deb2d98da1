"""Meshes and point clouds of any scanner: OBJ with its MTL and texture, PLY, STL, GLB by trimesh; PCD, XYZ by Open3D.

Points without triangles (a PLY of points, PCD, XYZ) become a surface by ball pivoting (Bernardini et al. 1999): it
joins measured points and invents none.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FormatError

MESHES: Final = (".obj", ".ply", ".stl", ".glb")
POINT_CLOUDS: Final = (".pcd", ".xyz")
SUFFIXES: Final = MESHES + POINT_CLOUDS

BALL_RADII: Final = (1.0, 2.0, 4.0)
"""Of the balls that are rolled over points, in mean distances between neighbours."""


@dataclass(frozen=True, kw_only=True)
class SurfaceFile:
    """A surface in the unit and the axes of its file."""

    vertices: NDArray[np.float64]
    """(V, 3)."""
    faces: NDArray[np.int32]
    """(F, 3), every index within ``vertices``."""
    uv_corners: NDArray[np.float64] | None = None
    """(F, 3, 2) texture coordinates a corner, v from the bottom; None where there is no texture."""
    texture: NDArray[np.uint8] | None = None
    """(H, W, 3) sRGB."""
    colours: NDArray[np.uint8] | None = None
    """(V, 3) sRGB of the vertices, where there is no texture but these."""


def has_colour(path: Path) -> bool:
    """Whether a file is made to have colour, by its first bytes alone: a texture, or colours of its vertices."""
    suffix = path.suffix.lower()
    if suffix in (".stl", ".xyz"):
        return False
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    if suffix == ".obj":
        # colours of vertices are three more numbers behind their place
        first = next((line for line in head.splitlines() if line.startswith(b"v ")), b"")
        return b"mtllib" in head or len(first.split()) >= 7
    words = {".ply": (b" red",), ".pcd": (b"rgb",), ".glb": (b'"images"', b"COLOR_0")}[suffix]
    return any(word in head for word in words)


def read_surface(path: Path) -> SurfaceFile:
    """Read a file of ``SUFFIXES``; raises FormatError for one that holds no surface, or whose texture is missing."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise FormatError(path=path, expected=f"a file of {', '.join(SUFFIXES)}", found=path.suffix or path.name)
    try:
        surface = _of_points(path) if suffix in POINT_CLOUDS else _of_mesh(path, suffix[1:])
    except FormatError:
        raise
    except Exception as error:  # trimesh's readers raise whatever Python raises on bytes they did not expect
        raise FormatError(path=path, expected=f"a readable {suffix[1:].upper()} file", found=repr(error)) from None
    return _with_area(surface, path=path)


def _with_area(surface: SurfaceFile, *, path: Path) -> SurfaceFile:
    """The surface without triangles that have none; raises FormatError where nothing is left."""
    faces, found = surface.faces, "none"
    if len(faces) and faces.min() >= 0 and faces.max() < len(surface.vertices):
        a, b, c = (surface.vertices[corners] for corners in faces.T)
        kept = np.cross(b - a, c - a).any(axis=1)  # NaN counts: what is not finite is left away where it is seen
        if kept.any():
            uv = None if surface.uv_corners is None else surface.uv_corners[kept]
            return replace(surface, faces=faces[kept], uv_corners=uv)
        found = f"{len(faces)} faces without area"
    raise FormatError(path=path, expected="triangles, or points that make a surface", found=found)


def _of_mesh(path: Path, file_type: str) -> SurfaceFile:
    import trimesh
    from trimesh.resolvers import FilePathResolver

    missing: list[str] = []

    class Beside(FilePathResolver):
        """Finds what a file names beside it, also where it was written with a path of another machine."""

        def get(self, name: str) -> bytes:
            place = path.parent / PureWindowsPath(name.strip()).name
            if not place.is_file():
                missing.append(place.name)
            return place.read_bytes()

    loaded = trimesh.load(io.BytesIO(path.read_bytes()), file_type=file_type, process=False, resolver=Beside(str(path)))
    if missing:
        raise FormatError(path=path, expected=f"{missing[0]} beside it", found="no such file")
    if isinstance(loaded, trimesh.PointCloud):
        return _joined(np.asarray(loaded.vertices), _rgb(loaded.colors), path=path)
    mesh: Any = loaded.to_mesh() if isinstance(loaded, trimesh.Scene) else loaded
    if not len(mesh.faces):
        return _joined(np.asarray(mesh.vertices), None, path=path)
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int32)
    visual = mesh.visual
    if visual.kind == "texture" and visual.uv is not None:
        material = visual.material
        image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
        if image is not None:
            uv, texture = np.asarray(visual.uv)[faces], np.asarray(image.convert("RGB"))
            return SurfaceFile(vertices=vertices, faces=faces, uv_corners=uv, texture=texture)
    colours = _rgb(visual.vertex_colors) if visual.kind in ("vertex", "face") else None
    return SurfaceFile(vertices=vertices, faces=faces, colours=colours)


def _of_points(path: Path) -> SurfaceFile:
    import open3d

    cloud = open3d.io.read_point_cloud(path)
    colours = (np.asarray(cloud.colors) * 255).round().astype(np.uint8) if cloud.has_colors() else None
    return _joined(np.asarray(cloud.points), colours, path=path)


def _joined(points: NDArray[np.float64], colours: NDArray[np.uint8] | None, *, path: Path) -> SurfaceFile:
    """The surface through points (V, 3)."""
    import open3d

    kept = np.isfinite(points).all(axis=1)
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points[kept]))
    if len(cloud.points) < 3:
        raise FormatError(path=path, expected="triangles, or points that make a surface", found=f"{kept.sum()} points")
    spacing = float(np.mean(np.asarray(cloud.compute_nearest_neighbor_distance())))
    cloud.estimate_normals(open3d.geometry.KDTreeSearchParamHybrid(radius=4 * spacing, max_nn=30))
    cloud.orient_normals_consistent_tangent_plane(12)
    radii = open3d.utility.DoubleVector([spacing * radius for radius in BALL_RADII])
    mesh = open3d.geometry.TriangleMesh.create_from_point_cloud_ball_pivoting(cloud, radii)
    return SurfaceFile(
        vertices=np.asarray(mesh.vertices, np.float64),
        faces=np.asarray(mesh.triangles, np.int32),
        colours=None if colours is None else colours[kept],
    )


def _rgb(colours: Any) -> NDArray[np.uint8] | None:
    """(V, 3) of (V, 3 or 4); None where there are none."""
    found = np.asarray(colours)
    return found[:, :3].astype(np.uint8) if found.ndim == 2 and len(found) else None
