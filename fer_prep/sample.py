"""The two central types: a Sample says what a recording is, a Frame holds its pixels. And the Scene between them.

Conventions, everywhere in this package:

- pixel coordinates are (x, y) with y down and *continuous*: pixel k spans [k, k + 1), its centre is k + 0.5;
- metric coordinates are millimetres, +x to the right of the picture, +y up, +z toward the camera;
- left and right are the subject's: the left eye is on the right of the picture;
- roll is ``atan2(dy, dx)`` from the subject's right to left eye in pixels, so positive = clockwise in the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from fer_prep.emotions import EMOTIONS
from fer_prep.errors import Reason

MODALITIES: Final = ("rgb", "depth")

Point = NDArray[np.float64]
"""(2,) float64: x, y in continuous pixel coordinates."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One labelled recording of a raw dataset; no pixels.

    ``subject`` is the only key splits may group by: ``bu3dfe:F0001``, never a bare number.
    ``files`` maps a role (``mesh``, ``texture``, ``rgb``, ``depth``, ``landmarks`` …) to a path;
    ``source_file`` names the main one, relative to the raw root, with forward slashes.
    """

    id: str
    dataset: str
    subject: str
    emotion: str
    label_source: str
    source_file: str
    files: Mapping[str, Path]
    action_unit: str = ""
    gender: str = ""
    ethnicity: str = ""
    intensity: int = 0
    """1–4, or 0 where the dataset has none."""
    clip: str = ""
    """The sequence that this is a frame of (``bu4dfe/F001_Angry``); empty for stills. No split divides a clip."""
    frame: int = 0
    """The number of the frame in its clip, from 0."""
    yaw_degrees: int = 0
    """How the geometry is turned before it is seen; see ``view_suffix``."""
    pitch_degrees: int = 0
    soft_labels: Mapping[str, float] = field(default_factory=dict[str, float])
    """Class → the share of annotators who chose it; empty where the dataset does not say."""
    publishable: bool = True
    """Whether the person may be shown in pages, figures and reports."""
    depth_offset_mm: float | None = None
    """The height of value 1 in a depth map that is encoded as ours; None where its values are distances."""

    @property
    def name(self) -> str:
        """The native base name: the id without its dataset; also the file stem in a prepared folder."""
        return self.id.split("/", 1)[1]


def view_suffix(yaw_degrees: float, pitch_degrees: float) -> str:
    """What the id of a view ends with: whole degrees, both with their sign; nothing for the frontal one.

    >>> view_suffix(30, -10), view_suffix(0, 0)
    ('@y+30p-10', '')
    """
    yaw, pitch = round(yaw_degrees), round(pitch_degrees)
    return f"@y{yaw:+d}p{pitch:+d}" if yaw or pitch else ""


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """One recording or file that did not become a sample: one row of ``rejected.csv``."""

    source_file: str
    sample_id: str = ""
    stage: str = "list"
    expected: str
    found: str
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a source found in a raw tree, ordered by sample id.

    ``left_out`` are recordings that the dataset has but the label policy does not use (poses, occlusions …):
    they are counted and shown with their reason, but they are not failures.
    """

    samples: tuple[Sample, ...]
    classes: tuple[str, ...] = EMOTIONS
    """What the emotions of the samples are among, in label order."""
    modalities: tuple[str, ...] = MODALITIES
    """What every sample has, of ``MODALITIES``."""
    rejected: tuple[Rejection, ...] = ()
    left_out: tuple[Rejection, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture and its geometry on the same rays, first row on top."""

    rgb: NDArray[np.uint8]
    """(H, W, 3) sRGB."""
    z_mm: NDArray[np.float32]
    """(H, W) height toward the camera in mm (for a perspective camera: minus the distance along its axis);
    NaN where ``valid`` is false."""
    valid: NDArray[np.bool_]
    """(H, W) true where there is geometry."""
    mm_per_pixel: float = float("nan")
    """Pixel size of an orthographic view; NaN for a perspective camera."""
    origin_mm: tuple[float, float] = (float("nan"), float("nan"))
    """Metric x, y at the centre of pixel (0, 0) of an orthographic view."""
    focal_px: float = float("nan")
    """Focal length of a perspective view in pixels of this raster; NaN where orthographic or unknown."""
    principal_px: tuple[float, float] = (float("nan"), float("nan"))
    """Principal point of a perspective view in continuous pixels of this raster; NaN like ``focal_px``."""
    depth_offset_mm: float = float("nan")
    """The height that depth was encoded against before; NaN where it was not."""
    filled_pixels: int = 0
    """How many valid pixels were interpolated over small holes instead of measured."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PointSet:
    """The L points of one landmark scheme (``bu3dfe-83``, ``mediapipe-468`` …) on one recording; NaN where unknown."""

    names: tuple[str, ...]
    points_px: NDArray[np.float64]
    """(L, 2) in continuous scene-raster pixels."""
    points_mm: NDArray[np.float64] | None = None
    """(L, 3) in the source's own frame; None where the scheme has none, or where depth is still to be asked."""
    vertex: NDArray[np.int32] | None = None
    """(L,) index of the mesh vertex, −1 where unknown; None where the scheme has none."""


class Scene(Protocol):
    """A loaded recording that can be looked at through any raster, with one resampling from source to pixels.

    It has a *scene raster*: the picture as recorded (photographs) or a frontal orthographic view (meshes).
    ``project`` says where in it a metric point falls, so that landmarks known in 3D get pixels.
    """

    @property
    def raster_size(self) -> tuple[int, int]:
        """Width and height of the scene raster in pixels."""
        ...

    @property
    def landmarks(self) -> Mapping[str, Point]:
        """The dataset's own landmarks in scene-raster pixels, under the names of ``landmark_names``; may be empty."""
        ...

    @property
    def schemes(self) -> Mapping[str, PointSet]:
        """All landmarks that the dataset gives, by scheme; may be empty."""
        ...

    @property
    def rgb_source(self) -> str:
        """Where the colour comes from: ``picture``, ``texture`` or ``photo``."""
        ...

    @property
    def registration_residual_px(self) -> float:
        """Root-mean-square colour-to-geometry misfit in scene-raster pixels: 0 where exact by construction."""
        ...

    @property
    def set_right(self) -> Mapping[str, str]:
        """What its file has otherwise than it is seen, and how: ``turned upright by`` → ``90°``; mostly empty."""
        ...

    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) sRGB of the scene raster, for face detection."""
        ...

    def depth_centre(self) -> Point | None:
        """Centroid of the valid geometry in scene-raster pixels, to choose among several faces."""
        ...

    def project(self, points_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """(L, 3) points in the source's own millimetres → (L, 2) continuous scene-raster pixels.

        Exact: the camera of the scene itself. NaN where a point is NaN, or where no camera is known. The ``matrix``
        of ``view`` then maps them to output pixels: ``points @ matrix[:, :2].T + matrix[:, 2]``.
        """
        ...

    def view(self, matrix: NDArray[np.float64], *, size: int) -> Frame:
        """See the scene through a ``size`` × ``size`` raster.

        ``matrix`` (2, 3) maps scene-raster pixels to output pixels (a similarity: rotation, scale, shift).
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """Named points of one face, in scene-raster pixels, and how they were come by."""

    points: Mapping[str, Point]
    found_by: str
    """``dataset``, ``file``, or the back end and attempt: ``mediapipe as-is``, ``mediapipe rotated+30`` …"""
    faces_found: int = 1
    schemes: Mapping[str, PointSet] = field(default_factory=dict[str, PointSet])
    """All points that were found, by scheme."""
