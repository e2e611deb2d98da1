"""Real MediaPipe on faces of the project's own sample data."""

import io
import multiprocessing
import zipfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from sample_faces import eyes_of
from task_bundle import task_bundle

from fer_prep.errors import UsageError
from fer_prep.faces.framing import framing_matrix
from fer_prep.faces.landmarks import FinderSpec, make_finder
from fer_prep.faces.mediapipe_models import detect_faces
from fer_prep.faces.picture_scene import PictureScene
from fer_prep.geometry.warp import opencv_matrix, transform_points
from fer_prep.landmark_names import eye_centres


def read_picture(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def picture_only(rgb: np.ndarray) -> PictureScene:
    height, width = rgb.shape[:2]
    return PictureScene(
        rgb=rgb, z_mm=np.full((height, width), np.nan, np.float32), valid=np.zeros((height, width), bool)
    )


def find(rgb: np.ndarray):
    return make_finder("mediapipe").find(picture_only(rgb), sample=None)


def points_of(paths: list[Path]) -> dict[str, bytes]:
    """What one worker process finds, by picture, in the order given."""
    return {str(path): b"".join(p.tobytes() for p in find(read_picture(path)).points.values()) for path in paths}


@pytest.fixture(scope="module")
def one_face(sample_faces) -> tuple[np.ndarray, np.ndarray]:
    """A face (224, 224, 3) that hardly leans, and the truth of its (left, right) eye centres."""
    row = sample_faces.upright()
    return sample_faces.rgb(row), eyes_of(row)


def test_faces_are_found_and_become_upright(sample_faces):
    """At least 97 % found; roll left after alignment: median ≤ 1°, 95th percentile ≤ 4°."""
    rows = sample_faces.truth
    roll_left, eye_errors_px = [], []
    for row in rows:
        landmarks = find(sample_faces.rgb(row))
        if landmarks is None:
            continue
        framing = framing_matrix("rotate", landmarks, raster_size=(224, 224), size=260)
        roll_left.append(abs(row.roll_degrees - framing.roll_degrees))
        eye_errors_px.append(np.hypot(*(eye_centres(landmarks.points)[0] - eyes_of(row)[0])))
    assert len(roll_left) >= 0.97 * len(rows)
    assert np.median(roll_left) <= 1
    assert np.percentile(roll_left, 95) <= 4
    assert np.median(eye_errors_px) <= 2.5


@pytest.mark.parametrize(
    ("degrees", "scale", "about", "canvas", "attempt"),
    [
        (0, 1.0, (112, 112), 224, "as-is"),
        (60, 1.0, (112, 112), 224, "as-is"),
        (-75, 1.0, (112, 112), 224, "as-is"),
        (0, 3.2, (112, 106), 224, "padded"),
        (0, 0.2, (112, 112), 480, "enlarged"),
    ],
)
def test_points_come_back_exactly_whichever_attempt_succeeds(one_face, degrees, scale, about, canvas, attempt):
    rgb, true_eyes = one_face
    cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    linear = np.array([[cosine, -sine], [sine, cosine]])
    matrix = np.column_stack([linear, np.full(2, canvas * 0.5) - linear @ np.array(about)])
    shown = cv2.warpAffine(rgb, opencv_matrix(matrix), (canvas, canvas), flags=cv2.INTER_AREA)
    landmarks = find(shown)
    assert attempt in landmarks.found_by
    found = np.array(eye_centres(landmarks.points))
    assert np.abs(found - transform_points(true_eyes, matrix)).max() <= 3 * scale + 0.2


@pytest.mark.parametrize("degrees", [75, -90, 120, 150, 180, -120])
def test_a_head_on_its_side_or_upside_down_is_never_taken_for_an_upright_one(sample_faces, degrees):
    """MediaPipe alone lays its mesh upside down on nearly all of these, and says nothing."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    linear = np.array([[cosine, -sine], [sine, cosine]])
    matrix = np.column_stack([linear, np.full(2, 168) - linear @ [112, 112]])
    for row in sample_faces.truth[::3]:
        shown = cv2.warpAffine(sample_faces.rgb(row), opencv_matrix(matrix), (336, 336), borderValue=(120,) * 3)
        landmarks = find(shown)
        if landmarks is None:
            continue  # an unfound face is listed; a wrong one would not be
        framing = framing_matrix("rotate", landmarks, raster_size=(336, 336), size=260)
        wrong_by = (framing.roll_degrees - row.roll_degrees - degrees + 180) % 360 - 180
        assert abs(wrong_by) < 3, row.picture


def test_points_are_continuous_pixels_at_every_scale(sample_faces):
    """Points that took pixel centres for edges would be half a pixel off: two pixels of the enlarged picture."""
    shifts = []
    for row in sample_faces.truth[::2]:
        rgb = sample_faces.rgb(row)
        (small,), (large,) = detect_faces(rgb), detect_faces(cv2.resize(rgb, None, fx=4, fy=4))
        shifts.append((large / 4 - small).mean(axis=0))
    assert np.abs(np.mean(shifts, axis=0)).max() < 0.2


def test_of_several_faces_the_one_where_the_depth_is(one_face):
    rgb, _ = one_face
    pair = np.hstack([rgb, rgb])
    for side in (0, 1):
        valid = np.zeros(pair.shape[:2], bool)
        valid[60:160, 224 * side + 60 : 224 * side + 160] = True
        scene = PictureScene(rgb=pair, z_mm=np.full(valid.shape, -700, np.float32), valid=valid)
        landmarks = make_finder("mediapipe").find(scene, sample=None)
        assert landmarks.faces_found == 2
        assert landmarks.points["nose_tip"][0] // 224 == side


def test_a_picture_without_a_face_is_unfound():
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    assert find(noise) is None


def test_neither_order_nor_process_changes_a_landmark(sample_faces):
    paths = [sample_faces.root / row.picture for row in sample_faces.truth[:12:2]]
    here = points_of(paths)
    assert points_of(paths[::-1]) == here
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as worker:
        assert worker.submit(points_of, paths[3:] + paths[:3]).result() == here


def test_a_worker_says_nothing_on_stderr(one_face, capfd):
    find(one_face[0])
    assert capfd.readouterr().err == ""


def test_no_file_stays_open(one_face):
    find(one_face[0])
    before = sorted(Path("/proc/self/fd").iterdir())
    for _ in range(5):
        find(one_face[0])
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_threads_of_one_process_share_the_detector(sample_faces):
    paths = [sample_faces.root / row.picture for row in sample_faces.truth[:12:2]]
    with ThreadPoolExecutor(3) as threads:
        side_by_side = list(threads.map(lambda path: points_of([path]), paths))
    assert {path: points for found in side_by_side for path, points in found.items()} == points_of(paths)


def test_a_task_bundle_finds_what_the_wheel_finds(sample_faces, tmp_path):
    """The Tasks API for real, with the wheel's own weights: its points are those of the unrefined mesh."""
    import mediapipe

    path = tmp_path / "face_landmarker.task"
    path.write_bytes(task_bundle())
    finder = make_finder(FinderSpec.parse(f"task:{path}"))
    options = {"static_image_mode": True, "refine_landmarks": False, "min_detection_confidence": 0.5}
    with mediapipe.solutions.face_mesh.FaceMesh(**options) as mesh:
        for row in sample_faces.truth[::5]:
            rgb = sample_faces.rgb(row)
            landmarks = finder.find(picture_only(rgb), sample=None)
            (face,) = mesh.process(rgb).multi_face_landmarks
            nose = np.array([face.landmark[1].x, face.landmark[1].y]) * 224 + 0.5
            assert landmarks.found_by == "task as-is"
            assert landmarks.points["nose_tip"] == pytest.approx(nose, abs=0.05)


def other_models() -> bytes:
    """A bundle that MediaPipe opens and cannot use: the wheel's own models, whose outputs are arranged differently."""
    import mediapipe

    modules = Path(mediapipe.__file__).parent / "modules"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as bundle:
        bundle.write(modules / "face_detection" / "face_detection_short_range.tflite", "face_detector.tflite")
        bundle.write(
            modules / "face_landmark" / "face_landmark_with_attention.tflite", "face_landmarks_detector.tflite"
        )
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [lambda: b"", lambda: b"not a bundle", lambda: task_bundle()[:-50_000], other_models],
    ids=["empty", "other bytes", "cut off", "other models"],
)
def test_a_task_file_that_does_not_serve_is_named(one_face, tmp_path, content):
    path = tmp_path / "face_landmarker.task"
    path.write_bytes(content())
    finder = make_finder(FinderSpec.parse(f"task:{path}"))
    with pytest.raises(UsageError) as error:
        finder.find(picture_only(one_face[0]), sample=None)
    assert error.value.path == path
    assert "face_landmarker.task bundle" in str(error.value)
