"""The thesis's ways to a depth map, re-created from its description, to be timed beside ours.

- BU-3DFE: the mesh drawn by VTK with its default perspective camera, off screen; the z-buffer read back and scaled
  between its smallest and largest value. Neither metric nor registered to any picture. (The thesis draws 512 × 3072
  pixels and crops; here only the 512 × 512 that remain are drawn, which favours it.)
- Bosphorus: z interpolated by ``scipy.interpolate.griddata(method="cubic")`` over the *picture* coordinates of the
  valid points, on a 512 × 512 raster.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIZE = 512


def vtk_problem() -> str:
    """Why VTK cannot be used here; empty where it can."""
    try:
        import vtk  # noqa: F401
    except ImportError as error:
        return f"{error}; pip install vtk to measure it"
    return ""


def vtk_z_buffer(vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> NDArray[np.uint8]:
    """(512, 512) the z-buffer of a mesh seen by VTK's default camera, scaled to 0…255."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy

    points = vtk.vtkPoints()
    points.SetData(numpy_to_vtk(vertices, deep=True))
    cells = vtk.vtkCellArray()
    counted = np.column_stack([np.full(len(faces), 3), faces]).astype(np.int64).ravel()
    cells.SetCells(len(faces), numpy_to_vtkIdTypeArray(counted, deep=True))
    mesh = vtk.vtkPolyData()
    mesh.SetPoints(points)
    mesh.SetPolys(cells)
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputData(mesh)
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    renderer = vtk.vtkRenderer()
    renderer.AddActor(actor)
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(SIZE, SIZE)
    window.AddRenderer(renderer)
    window.Render()
    reader = vtk.vtkWindowToImageFilter()
    reader.SetInput(window)
    reader.SetInputBufferTypeToZBuffer()
    reader.Update()
    depth = vtk_to_numpy(reader.GetOutput().GetPointData().GetScalars()).reshape(SIZE, SIZE)[::-1]
    window.Finalize()
    low, high = float(depth.min()), float(depth.max())
    return ((depth - low) / max(high - low, 1e-12) * 255).astype(np.uint8)


def cubic_griddata(
    points_mm: NDArray[np.float64], image_uv: NDArray[np.float64], valid: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(512, 512) z of a range grid over its bounding box in the picture, NaN outside the convex hull."""
    from scipy.interpolate import griddata

    places, heights = image_uv[valid], points_mm[valid][:, 2]
    low, high = places.min(axis=0), places.max(axis=0)
    across, down = (np.linspace(a, b, SIZE) for a, b in zip(low, high, strict=True))
    return griddata(places, heights, tuple(np.meshgrid(across, down)), method="cubic")
