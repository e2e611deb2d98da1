"""Ways out of HDF5 in three dimensions: coloured points (PLY), arrays (NPZ), textured meshes (GLB), in millimetres."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.atomic_files import write_atomically
from fer_prep.dataset.pixel_sizes import PixelSizes, pixel_sizes_mm
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import DatasetFileError
from fer_prep.exchange.export import sample_key
from fer_prep.geometry.attribute_maps import MAPS, derivatives, hha
from fer_prep.geometry.range_grid import triangulate
from fer_prep.geometry.stored_camera import StoredCamera
from fer_prep.geometry.under_points import values_under
from fer_prep.landmark_set import LandmarkSet
from fer_prep.outputs import filling
from fer_prep.prepare.landmark_tables import npz_bytes as archive_bytes
from fer_prep.progress import Progress, silent

CAMERA_COLUMNS: Final = ("mm_per_pixel", "origin_mm", "focal_px", "principal_px", "roll_degrees", "depth_offset_mm")


@dataclass(frozen=True, kw_only=True)
class Surface:
    """One sample in space: its V pixels with depth, row by row."""

    points_mm: NDArray[np.float32]
    """(V, 3) x right, y up, z toward the viewer."""
    pixels: NDArray[np.int32]
    """(V, 2) column and row of each."""
    faces: NDArray[np.int32]
    """(F, 3) triangles as indices of points, seen counter-clockwise; none across a jump in depth."""
    image: NDArray[np.uint8] | None
    """(H, W, 3) the picture, None in a depth-only file."""
    landmarks: dict[str, tuple[tuple[str, ...], NDArray[np.float32]]] = field(default_factory=dict)
    """By scheme: names (L,) and points (L, 3) in mm, NaN where unknown."""
    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Attribute maps by name, (H, W) or (H, W, 3), NaN where there is no depth."""

    @property
    def colours(self) -> NDArray[np.uint8] | None:
        """(V, 3) sRGB of the points."""
        return None if self.image is None else self.image[self.pixels[:, 1], self.pixels[:, 0]]


@dataclass(frozen=True, kw_only=True)
class ExportedSurfaces:
    """What was written."""

    n: int
    estimated: tuple[str, ...]
    """Ids of the samples whose camera is not known: they are as large as their eyes' distance makes them."""


def export_surfaces(data: DatasetFile, out: Path, *, to: str, progress: Progress = silent) -> ExportedSurfaces:
    """Write ``<key>.<to>`` of every sample, and ``landmarks.csv`` with id, scheme, name, x_mm, y_mm, z_mm.

    ``out`` must be empty; ``to`` is ply, npz or glb. Raises DatasetFileError for a file without depth, and for a
    sample without depth, or with neither a camera nor eyes.
    """
    if "depth" not in data.modalities:
        raise DatasetFileError("no depth is stored, so there is nothing in space", path=data.path)
    if not (seen := data.statistic("valid_pixels")).all():
        raise DatasetFileError(f"{data.ids[seen.argmin()]}: its depth map is empty", path=data.path)
    sizes = pixel_sizes_mm(data)
    cameras = [_camera(data, row, sizes) for row in range(data.n)]
    schemes = {scheme: data.landmarks(scheme) for scheme in data.landmark_schemes}
    table = io.StringIO(newline="")
    lines = csv.writer(table, lineterminator="\n")
    lines.writerow(["id", "scheme", "name", "x_mm", "y_mm", "z_mm"])
    keys: dict[str, str] = {}
    with filling(out) as folder, progress("exporting", total=data.n) as advance:
        for row in range(data.n):
            depth_points = cameras[row].points_mm(data.read("depth", [row])[0], unit_mm=data.depth_unit_mm)
            image = data.read("rgb", [row])[0] if "rgb" in data.modalities else None
            surface = surface_of(depth_points, image=image)
            is_metric = math.isfinite(cameras[row].mm_per_pixel) and not sizes.estimated[row]
            points = {
                scheme: (each.names, _landmarks_mm(each.take([row]), depth_points, is_metric=is_metric))
                for scheme, each in schemes.items()
            }
            surface = replace(surface, landmarks=points)
            if to == "npz":
                maps = _maps(depth_points[..., 2], cameras[row], mm_per_pixel=float(sizes.mm[row]))
                surface = replace(surface, maps=maps)
            path = folder / f"{sample_key(str(data.ids[row]), keys, data.path)}.{to}"
            write_atomically(path, content=WRITERS[to](surface))
            for scheme, (names, places) in points.items():
                known = [(name, place) for name, place in zip(names, places, strict=True) if np.isfinite(place).all()]
                lines.writerows([data.ids[row], scheme, name, *(f"{mm:.4f}" for mm in place)] for name, place in known)
            advance(1)
        write_atomically(folder / "landmarks.csv", content=table.getvalue())
    return ExportedSurfaces(n=data.n, estimated=tuple(data.ids[sizes.estimated].tolist()))


def _camera(data: DatasetFile, row: int, sizes: PixelSizes) -> StoredCamera:
    camera = StoredCamera.of({name: data.column(name)[row] for name in CAMERA_COLUMNS})
    if not math.isfinite(camera.depth_offset_mm):
        camera = replace(camera, depth_offset_mm=0.0)
    if not sizes.estimated[row]:
        return camera
    middle = (data.column("left_eye")[row].astype(np.float64) + data.column("right_eye")[row]) / 2
    return StoredCamera.parallel(float(sizes.mm[row]), middle=middle, depth_offset_mm=camera.depth_offset_mm)


def _landmarks_mm(of_sample: LandmarkSet, points: NDArray[np.float64], *, is_metric: bool) -> NDArray[np.float32]:
    """(L, 3) in the frame of ``points`` (H, W, 3): as stored where that is the source's own, else of the pixel hit."""
    if of_sample.points_mm is not None and is_metric:
        return of_sample.points_mm[0]
    return values_under(points, of_sample.points_px[0] + 0.5).astype(np.float32)


def surface_of(points: NDArray[np.float64], *, image: NDArray[np.uint8] | None) -> Surface:
    """One sample as points and triangles, without landmarks; ``points`` (H, W, 3) are NaN where there is no depth."""
    valid = np.isfinite(points[..., 2])
    number = np.cumsum(valid.ravel()) - 1
    rows, columns = np.nonzero(valid)
    return Surface(
        points_mm=points[valid].astype(np.float32),
        pixels=np.column_stack([columns, rows]).astype(np.int32),
        faces=number[triangulate(points, valid)].astype(np.int32),
        image=image,
    )


def _maps(z: NDArray[np.float64], camera: StoredCamera, *, mm_per_pixel: float) -> dict[str, NDArray[np.float32]]:
    """All attribute maps of heights (H, W) in mm, on their own raster."""
    of = derivatives(z, mm_per_pixel=camera.mm_per_pixel, focal_px=camera.focal_px, principal_px=camera.principal_px)
    found = {name: compute(of) for name, compute in MAPS.items()} | {"hha": hha(z, of, mm_per_pixel=mm_per_pixel)}
    return {name: values.astype(np.float32) for name, values in found.items()}


def ply_bytes(surface: Surface) -> bytes:
    """A binary PLY of coloured points."""
    import trimesh

    cloud = trimesh.PointCloud(surface.points_mm, colors=surface.colours)
    return _bytes(cloud.export(file_type="ply"))


def npz_bytes(surface: Surface) -> bytes:
    """Every array of the surface by name; ``maps/<name>``, ``landmarks/<scheme>``, ``landmarks/<scheme>/names``."""
    arrays: dict[str, Any] = {"points_mm": surface.points_mm, "pixels": surface.pixels, "faces": surface.faces}
    if surface.colours is not None:
        arrays["colours"] = surface.colours
    arrays |= {f"maps/{name}": values for name, values in surface.maps.items()}
    for scheme, (names, points) in surface.landmarks.items():
        arrays |= {f"landmarks/{scheme}": points, f"landmarks/{scheme}/names": np.array(names)}
    return archive_bytes(arrays)


def glb_bytes(surface: Surface) -> bytes:
    """A binary glTF: ``face`` with the picture as its texture, and a cloud of points for every scheme of landmarks."""
    import trimesh
    from PIL import Image
    from trimesh.visual import TextureVisuals

    visual: Any = None
    if surface.image is not None:
        height, width = surface.image.shape[:2]
        uv = (surface.pixels + 0.5) / (width, height)
        uv[:, 1] = 1 - uv[:, 1]
        visual = TextureVisuals(uv=uv, image=Image.fromarray(surface.image))
    face = trimesh.Trimesh(surface.points_mm, surface.faces, visual=visual, process=False)
    scene = trimesh.Scene({"face": face})
    for scheme, (_, points) in surface.landmarks.items():
        known = points[np.isfinite(points).all(axis=1)]
        if len(known):
            scene.add_geometry(trimesh.PointCloud(known), geom_name=scheme, node_name=scheme)
    return _bytes(scene.export(file_type="glb"))


def _bytes(exported: Any) -> bytes:
    return exported if isinstance(exported, bytes) else bytes(exported, "utf-8")


WRITERS: Final[dict[str, Callable[[Surface], bytes]]] = {"ply": ply_bytes, "npz": npz_bytes, "glb": glb_bytes}
"""By the name that ``fer-prep export --to`` takes."""
