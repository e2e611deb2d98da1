"""The faces are faces: MediaPipe finds them, and puts the eyes where they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fer_prep.sample_data import rgbd_tree


@pytest.mark.slow
def test_mediapipe_finds_the_faces_and_their_eyes(tmp_path):
    mediapipe = pytest.importorskip("mediapipe")
    rows = []
    for index in range(2):
        rng = np.random.default_rng([11, index])
        rows += rgbd_tree.write_subject(tmp_path, rgbd_tree.CALD3R, index, rng=rng)
    errors = []
    with mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=1) as mesh:
        for row in rows:
            picture = cv2.imread(str(tmp_path / row.picture))[..., ::-1].copy()
            faces = mesh.process(picture).multi_face_landmarks
            if not faces:
                continue
            points = np.array([(p.x, p.y) for p in faces[0].landmark]) * row.picture_width
            left, right = points[[362, 263]].mean(axis=0), points[[33, 133]].mean(axis=0)
            true_left = np.array([row.left_eye_x, row.left_eye_y])
            true_right = np.array([row.right_eye_x, row.right_eye_y])
            apart = np.linalg.norm(true_left - true_right)
            errors.append((np.linalg.norm(left - true_left) + np.linalg.norm(right - true_right)) / 2 / apart)
    assert len(errors) >= 0.95 * len(rows)
    assert np.median(errors) < 0.06
