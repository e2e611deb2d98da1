"""The face moves as FACS says, lids and lips never cross, and the z-buffer is right."""

from __future__ import annotations

import numpy as np
import pytest

from fer_prep.sample_data.bosphorus_tree import landmark_vertices
from fer_prep.sample_data.plan_mesh import LEFT_EYE, MOUTH, RIGHT_EYE, plan_mesh
from fer_prep.sample_data.rasteriser import rasterise


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
        (18, "Left mouth corner", 0, -1),
    ],
)
def test_action_units_move_what_they_name(showing, unit, label, axis, sign):
    assert sign * _move(showing, unit, label)[axis] > 1.5


def test_single_action_units_leave_the_other_half_of_the_face_alone(showing):
    assert np.abs(_move(showing, 2, "Left mouth corner")).max() < 0.1
    assert np.abs(_move(showing, 15, "Inner left eyebrow")).max() < 0.1


@pytest.mark.parametrize("units", [(), (24,), (43,), (44, 6), (12, 15), (17, 24), (27,)])
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


def test_the_nearer_triangle_wins_and_depth_is_perspective_correct():
    pixels = np.array([[0, 0], [0, 20], [20, 20], [20, 0], [2, 2], [2, 18], [18, 18]], float)
    distance = np.array([100, 100, 300, 300, 50, 50, 50], float)
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6]], np.int32)
    seen = rasterise(pixels, faces, inverse_depth=1 / distance, shape=(20, 20))
    assert len(seen.pixel) == 400
    owner = np.full(400, -1)
    owner[seen.pixel] = seen.face
    assert owner.reshape(20, 20)[12, 6] == 2
    depth = seen.image(seen.interpolate(distance[:, None], faces), background=0)[..., 0]
    # halfway across in the picture is the harmonic, not the arithmetic, mean
    halfway = (depth[5, 9] + depth[5, 10]) / 2
    assert halfway == pytest.approx(150.0, rel=0.01)


def test_triangles_seen_from_behind_are_left_out():
    pixels = np.array([[0, 0], [0, 8], [8, 8]], float)
    faces = np.array([[0, 2, 1]], np.int32)
    seen = rasterise(pixels, faces, inverse_depth=np.ones(3), shape=(8, 8), front_only=False)
    assert len(seen.pixel) > 20
    hidden = rasterise(pixels, faces, inverse_depth=np.ones(3), shape=(8, 8))
    assert len(hidden.pixel) == 0
