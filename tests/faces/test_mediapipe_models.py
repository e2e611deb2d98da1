import numpy as np
import pytest

from fer_prep.faces.mediapipe_models import MAX_FACES, MIN_CONFIDENCE, _coordinates, detect_faces
from fer_prep.formats.images import read_rgb


def test_points_are_those_of_mediapipes_own_face_mesh(corpus):
    from mediapipe.python.solutions.face_mesh import FaceMesh

    mesh = FaceMesh(
        static_image_mode=True,
        max_num_faces=MAX_FACES,
        refine_landmarks=True,
        min_detection_confidence=MIN_CONFIDENCE,
    )
    for file in sorted(corpus.glob("CalD3r/*/RGB/*.png"))[:6]:
        rgb = read_rgb(file.read_bytes())
        height, width = rgb.shape[:2]
        expected = [
            np.array([(point.x * width, point.y * height) for point in face.landmark]) + 0.5
            for face in mesh.process(rgb).multi_face_landmarks or []
        ]
        found = detect_faces(rgb)
        assert len(found) == len(expected)
        assert all((ours == theirs).all() for ours, theirs in zip(found, expected, strict=True))


@pytest.mark.parametrize("fields", [{}, {"visibility": 0.5}])
def test_coordinates_are_read_whatever_fields_a_point_has(fields):
    from mediapipe.framework.formats.landmark_pb2 import NormalizedLandmark, NormalizedLandmarkList

    points = [NormalizedLandmark(x=0.25 * k, y=-0.5 + k, z=3, **fields) for k in range(4)]
    expected = np.array([(0.25 * k, -0.5 + k) for k in range(4)])
    assert (_coordinates(NormalizedLandmarkList(landmark=points).SerializeToString()) == expected).all()
    assert _coordinates(b"").shape == (0, 2)
