"""The RAW mesh of a BU-3DFE recording, uncropped and in another frame, brought to the frame of its F3D mesh.

Hundreds of MediaPipe's points, found on both by the same eyes, say it roughly; the vertices of the F3D mesh, laid on
the RAW surface by iterative closest points (point to plane, Chen and Medioni 1992, by Open3D), say it exactly.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import Reason, SampleError
from fer_prep.geometry.cast_scene import CastScene
from fer_prep.geometry.mesh import TriangleMesh
from fer_prep.geometry.turns import rigid_fit
from fer_prep.sample import Sample
from fer_prep.sources.face_frame import find_frame, no_face, points_found_on

LARGEST_RESIDUAL_MM: Final = 1.0
"""Median distance of the F3D vertices from the RAW surface; further apart, one of them is of another recording. (A few
of the vertices have no RAW surface near, such as those under hair.)"""
_REACHES_MM: Final = (5.0, 1.5)
"""How far a point may be from the one that it is laid on, first and then."""
_FEWEST: Final = 50

Array = NDArray[np.float64]


def raw_in_place(raw: CastScene, *, onto: CastScene, sample: Sample) -> tuple[Array, float]:
    """(V, 3) the vertices of ``raw`` in the frame of the F3D mesh ``onto``, and the residual in mm.

    Raises SampleError, naming the RAW file, where no face is found on one of the two, or they do not fit.
    """
    path = sample.files["raw"]
    frame = find_frame(raw, path=path, sample=sample)
    upright = None if frame is None else raw.turned(frame[0])
    start = None if upright is None else points_found_on(upright, sample=sample)
    end = points_found_on(onto, sample=sample)
    if upright is None or start is None or end is None:
        raise no_face(path, found="none")
    both = np.isfinite(start).all(axis=1) & np.isfinite(end).all(axis=1)
    if both.sum() < _FEWEST:
        raise no_face(path, found=f"{both.sum()} points of one")
    turn, shift = rigid_fit(start[both], end[both])
    there = upright.geometry.vertices_mm @ turn.T + shift
    vertices_mm, residual_mm = _closest(there, faces=upright.geometry.faces, onto=onto.geometry)
    if residual_mm > LARGEST_RESIDUAL_MM:
        raise SampleError(
            stage="read",
            reason=Reason.MISMATCH,
            path=path,
            expected=f"the RAW mesh of the same face, to {LARGEST_RESIDUAL_MM:g} mm",
            found=f"{residual_mm:.1f} mm apart",
        )
    return vertices_mm, residual_mm


def _closest(vertices_mm: Array, *, faces: NDArray[np.int32], onto: TriangleMesh) -> tuple[Array, float]:
    """The vertices moved until ``onto`` lies on their surface, and the median of its distances then."""
    import open3d

    surface = open3d.geometry.TriangleMesh(
        open3d.utility.Vector3dVector(vertices_mm), open3d.utility.Vector3iVector(faces)
    )
    surface.compute_vertex_normals()
    target = open3d.geometry.PointCloud(surface.vertices)
    target.normals = surface.vertex_normals
    source = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(onto.used_vertices_mm))
    way, motion = open3d.pipelines.registration, np.eye(4)
    for reach_mm in _REACHES_MM:
        found = way.registration_icp(source, target, reach_mm, motion, way.TransformationEstimationPointToPlane())
        motion = found.transformation
    moved = (vertices_mm - motion[:3, 3]) @ motion[:3, :3]  # the way back
    scene = open3d.t.geometry.RaycastingScene(nthreads=1)
    tensor: Any = open3d.core.Tensor
    scene.add_triangles(tensor(moved.astype(np.float32)), tensor(faces.astype(np.uint32)))
    apart_mm = scene.compute_distance(tensor(onto.used_vertices_mm.astype(np.float32)), nthreads=1).numpy()
    return moved, float(np.median(apart_mm))
