"""The faces are faces: MediaPipe finds them, and puts the eyes where they are."""

from __future__ import annotations

import mediapipe
import numpy as np
from sample_faces import eyes_of


def test_mediapipe_finds_the_faces_and_their_eyes(sample_faces):
    errors = []
    with mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True) as mesh:
        for row in sample_faces.truth:
            faces = mesh.process(sample_faces.rgb(row)).multi_face_landmarks
            assert faces, row.sample
            points = np.array([(point.x, point.y) for point in faces[0].landmark]) * row.picture_width
            left, right = points[[362, 263]].mean(axis=0), points[[33, 133]].mean(axis=0)
            apart = np.linalg.norm(np.subtract(*eyes_of(row)))
            errors.append(np.linalg.norm(np.array([left, right]) - eyes_of(row), axis=1).mean() / apart)
    assert np.median(errors) < 0.06
