import mediapipe
import numpy as np

from fer_prep.faces.mediapipe_models import MAX_FACES, MIN_CONFIDENCE, detect_faces


def test_points_are_those_of_mediapipes_own_face_mesh(sample_faces):
    mesh = mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=True,
        max_num_faces=MAX_FACES,
        refine_landmarks=True,
        min_detection_confidence=MIN_CONFIDENCE,
    )
    for row in sample_faces.truth[:4]:
        rgb = sample_faces.rgb(row)
        (expected,) = mesh.process(rgb).multi_face_landmarks
        (found,) = detect_faces(rgb)
        assert (found == np.array([(point.x, point.y) for point in expected.landmark]) * 224 + 0.5).all()
