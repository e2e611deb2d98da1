"""The shape of MediaPipe's own meshes: place, size and roll of the face must not matter, the way up must."""

import numpy as np
import pytest

from fer_prep.faces.mediapipe_models import detect_faces
from fer_prep.faces.mesh_shape import SUSPICIOUS, upside_downness


@pytest.fixture(scope="module")
def pictures(sample_faces) -> list[np.ndarray]:
    return [sample_faces.rgb(row) for row in sample_faces.truth[::2]]


def test_upright_faces_raise_no_suspicion_and_those_on_their_head_do(pictures):
    upright = [upside_downness(mesh) for rgb in pictures for mesh in detect_faces(rgb)]
    inverted = [
        upside_downness(mesh) for rgb in pictures for mesh in detect_faces(np.ascontiguousarray(rgb[::-1, ::-1]))
    ]
    assert max(upright) < SUSPICIOUS
    assert len(inverted) >= len(pictures) / 2
    assert min(inverted) > SUSPICIOUS


def test_place_size_and_roll_do_not_matter(pictures):
    (mesh,) = detect_faces(pictures[0])
    turn = np.array([[0.0, -3.0], [3.0, 0.0]])
    assert upside_downness(mesh @ turn.T + [40, -7]) == pytest.approx(upside_downness(mesh))
