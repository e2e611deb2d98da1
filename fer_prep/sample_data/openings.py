"""Eyes and mouth: lids that slide over the eyeballs, lips that meet, and what is seen between them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.sample_data.face_plan import EYE_CENTRE, inner_lip_y, lid_y
from fer_prep.sample_data.face_shape import EYEBALL_RADIUS_MM, LID_THICKNESS_MM
from fer_prep.sample_data.plan_mesh import LEFT_EYE, MOUTH, RIGHT_EYE, Opening, plan_mesh

Array = NDArray[np.float64]

MOUTH_DEPTH_MM: Final = 13.0
TEETH_DEPTH_MM: Final = 4.5


def _edge_gap(points: Array, opening: Opening) -> Array:
    """(n,) height of the upper over the lower edge at each of its stations; negative where they overlap."""
    return points[opening.upper_edge, 1] - points[opening.lower_edge, 1]


def close_lips(points: Array, *, parted_mm: float) -> None:
    """Bring the lips, 5 mm apart in the plan, together in place; whatever they overlap they give way by halves.

    ``parted_mm`` is how far a relaxed mouth stays open at its centre.
    """
    mesh = plan_mesh()
    x, y = mesh.xy.T
    stations = mesh.xy[mesh.openings[MOUTH].upper_edge, 0]
    plan_gap = inner_lip_y(stations, upper=True) - inner_lip_y(stations, upper=False)
    ease = 1 - parted_mm / plan_gap.max()
    shift = np.minimum(plan_gap * ease, _edge_gap(points, mesh.openings[MOUTH]))
    near = np.interp(x, stations, shift, left=0, right=0)
    top, low = inner_lip_y(x, upper=True), inner_lip_y(x, upper=False)
    middle = (top + low) / 2
    falloff = np.where(y > middle, np.exp(-np.clip(y - top, 0, None) / 6), np.exp(-np.clip(low - y, 0, None) / 7))
    points[:, 1] -= np.where(y > middle, 0.45, -0.55) * near * falloff


def _keep_lids_apart(points: Array, opening: Opening, side: float) -> None:
    """Where the lids would cross, the upper one rests on the lower one."""
    mesh = plan_mesh()
    overlap = np.clip(-_edge_gap(points, opening), 0, None)
    if not overlap.any():
        return
    x, y = mesh.xy[:, 0] * side, mesh.xy[:, 1]
    stations = mesh.xy[opening.upper_edge, 0] * side
    order = np.argsort(stations)
    lift = np.interp(x, stations[order], overlap[order], left=0, right=0)
    above = y - lid_y(x, upper=True)
    points[:, 1] += np.where((above > -0.01) & (x > 0), lift * np.exp(-np.clip(above, 0, None) / 3), 0)


def _fill(points: Array, opening: Opening) -> None:
    """Hang the inner vertices between the edges: straight lines, all three coordinates."""
    index = np.arange(len(opening.upper_edge))
    for axis in range(3):
        top = np.interp(opening.station, index, points[opening.upper_edge, axis])
        low = np.interp(opening.station, index, points[opening.lower_edge, axis])
        points[opening.inner, axis] = low + opening.height * (top - low)


def fit_lids(points: Array, *, eyeballs: Array) -> None:
    """Drape the lids over the eyeballs (2, 3: left and right centre) and put the inner vertices onto them, in place."""
    mesh = plan_mesh()
    for key, side, centre in ((LEFT_EYE, 1.0, eyeballs[0]), (RIGHT_EYE, -1.0, eyeballs[1])):
        opening = mesh.openings[key]
        _keep_lids_apart(points, opening, side)
        near = np.hypot(mesh.xy[:, 0] * side - EYE_CENTRE[0], mesh.xy[:, 1] - EYE_CENTRE[1]) < 24
        across = np.hypot(points[near, 0] - centre[0], points[near, 1] - centre[1])
        radius = EYEBALL_RADIUS_MM + LID_THICKNESS_MM
        shell = (
            centre[2]
            + np.sqrt(np.clip(radius**2 - across**2, 0, None))
            - 4 * np.clip(across / radius - 0.9, 0, None) * radius
        )
        z = points[near, 2]
        points[near, 2] = np.logaddexp(z / 0.9, shell / 0.9) * 0.9
        _fill(points, opening)
        inner = points[opening.inner]
        reach = np.clip(EYEBALL_RADIUS_MM**2 - ((inner[:, :2] - centre[:2]) ** 2).sum(axis=1), 0, None)
        ball = centre[2] + np.sqrt(reach)
        points[opening.inner, 2] = np.minimum(np.maximum(ball, inner[:, 2] - 4.0), inner[:, 2] + 1.0)


def hollow_mouth(points: Array) -> None:
    """Hang the vertices between the lips and push them back: teeth behind the upper lip, then the hollow."""
    opening = plan_mesh().openings[MOUTH]
    _fill(points, opening)
    index = np.arange(len(opening.upper_edge))
    gap = np.interp(opening.station, index, _edge_gap(points, opening))
    below_upper_mm = (1 - opening.height) * gap
    corner = np.clip(gap / 6.0, 0, 1)
    depth = TEETH_DEPTH_MM + (MOUTH_DEPTH_MM - TEETH_DEPTH_MM) * np.clip((below_upper_mm - 6.0) / 5.0, 0, 1)
    rim = np.clip(np.minimum(opening.height, 1 - opening.height) * gap / 2.0, 0, 1)
    points[opening.inner, 2] -= depth * corner * rim
