"""The face moves as FACS says, and lids and lips never cross."""

from __future__ import annotations

import numpy as np
import pytest

from fer_prep.sample_data.bosphorus_tree import landmark_vertices
from fer_prep.sample_data.plan_mesh import LEFT_EYE, MOUTH, RIGHT_EYE, plan_mesh


def _move(showing, unit, label):
    vertex = landmark_vertices()[label]
    return (showing(unit).points - showing().points)[vertex]


@pytest.mark.parametrize(
    ("unit", "label", "axis", "sign"),
    [
        (1, "Inner left eyebrow", 1, 1),
        (2, "Outer right eyebrow", 1, 1),
        (4, "Inner right eyebrow", 1, -1),
        (9, "Left nose peak", 1, 1),
        (12, "Left mouth corner", 1, 1),
        (12, "Left mouth corner", 0, 1),
        (12, "Right mouth corner", 0, -1),
        (15, "Right mouth corner", 1, -1),
        (17, "Chin middle", 1, 1),
        (26, "Chin middle", 1, -1),
    ],
)
def test_action_units_move_what_they_name(showing, unit, label, axis, sign):
    assert sign * _move(showing, unit, label)[axis] > 1.5


def test_single_action_units_leave_the_other_half_of_the_face_alone(showing):
    assert np.abs(_move(showing, 2, "Left mouth corner")).max() < 0.1
    assert np.abs(_move(showing, 15, "Inner left eyebrow")).max() < 0.1


@pytest.mark.parametrize("units", [(), (24,), (43,), (7, 6), (12, 15), (17, 24), (27,)])
def test_lids_and_lips_never_cross(showing, units):
    points = showing(*units).points
    for key in (LEFT_EYE, RIGHT_EYE, MOUTH):
        opening = plan_mesh().openings[key]
        assert (points[opening.upper_edge, 1] - points[opening.lower_edge, 1]).min() > -0.6


def test_a_dropped_jaw_opens_the_mouth_and_a_closed_mouth_has_no_gap(showing):
    opening = plan_mesh().openings[MOUTH]

    def gap(*units):
        points = showing(*units).points
        return (points[opening.upper_edge, 1] - points[opening.lower_edge, 1]).max()

    assert gap() < 1.0
    assert gap(27) > 12.0


def test_the_mesh_is_whole():
    mesh = plan_mesh()
    assert len(set(mesh.landmarks.tolist())) == 83
    assert set(np.unique(mesh.faces)) == set(range(len(mesh.xy)))
