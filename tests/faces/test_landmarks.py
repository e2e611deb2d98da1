import hashlib
import pickle

import numpy as np
import pytest

from fer_prep.errors import FormatError, UsageError
from fer_prep.faces.landmarks import FinderSpec, make_finder
from fer_prep.faces.picture_scene import PictureScene
from fer_prep.landmark_names import eye_centres
from fer_prep.sample import Sample

EYES = {
    "left_eye_outer": np.array([40.0, 20.0]),
    "left_eye_inner": np.array([30.0, 20.0]),
    "right_eye_inner": np.array([20.0, 20.0]),
    "right_eye_outer": np.array([10.0, 20.0]),
}


def scene(landmarks=None) -> PictureScene:
    return PictureScene(
        rgb=np.zeros((48, 48, 3), np.uint8),
        z_mm=np.zeros((48, 48), np.float32),
        valid=np.zeros((48, 48), bool),
        landmarks=landmarks or {},
    )


def sample(name: str = "M_001_1_anger") -> Sample:
    return Sample(
        id=f"cald3r/{name}", dataset="cald3r", subject="cald3r:M001", emotion="anger", label_source="elicited",
        source_file=f"Anger/RGB/{name}_Color.png", files={},
    )  # fmt: skip


def write_points(folder, text: str):
    path = folder / "points.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_dataset_takes_the_recordings_own_points():
    landmarks = make_finder("dataset").find(scene(EYES), sample=sample())
    assert landmarks.found_by == "dataset"
    assert set(landmarks.points) == set(EYES)


def test_a_chain_asks_the_next_where_an_eye_corner_is_missing(tmp_path):
    path = write_points(tmp_path, "id,left_eye_x,left_eye_y,right_eye_x,right_eye_y\ncald3r/M_001_1_anger,7,8,3,4\n")
    finder = make_finder(f"dataset,file:{path}")
    partial = {name: point for name, point in EYES.items() if name != "left_eye_inner"}
    assert finder.find(scene(EYES), sample=sample()).found_by == "dataset"
    assert finder.find(scene(partial), sample=sample()).found_by == "file"
    assert finder.find(scene(partial), sample=sample("M_001_2_anger")) is None


def test_none_finds_nothing():
    assert make_finder("none").find(scene(EYES), sample=sample()) is None


def test_given_eye_centres_and_single_points(tmp_path):
    path = write_points(
        tmp_path,
        "\ufeffid,left_eye_x,left_eye_y,right_eye_x,right_eye_y,chin_x,chin_y,note\r\n"
        "cald3r/M_001_1_anger,35.5,20,15.5,22,,,tired\r\n",
    )
    landmarks = make_finder(f"file:{path}").find(scene(), sample=sample())
    left, right = eye_centres(landmarks.points)
    assert left.tolist() == [35.5, 20.0]
    assert right.tolist() == [15.5, 22.0]
    assert "chin" not in landmarks.points


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "an empty file"),
        ("name,left_eye_x\n", "name, left_eye_x"),
        ("id,chin_x,chin_y\na,1,two\n", "1 two"),
        ("id,chin_x,chin_y\na,1\n", "line 2: 2 cells"),
        ("id,chin_x,chin_y\na,1,nan\n", "1 nan"),
        ("id,chin_x,chin_y\na,1,2\na,1,2\n", "a again in line 3"),
    ],
)
def test_a_points_file_that_cannot_be_read_says_where(tmp_path, text, found):
    path = write_points(tmp_path, text)
    with pytest.raises(FormatError) as error:
        make_finder(f"file:{path}").find(scene(), sample=sample())
    assert error.value.path == path
    assert found in error.value.found


@pytest.mark.parametrize("text", ["", "dlib", "mediapipe:x", "task", "file", "task:absent.task", "dataset,,none"])
def test_a_finder_that_cannot_be_made_is_a_usage_error(text):
    with pytest.raises(UsageError):
        FinderSpec.parse(text)


def test_settings_follow_the_content_of_the_files(tmp_path):
    header = "id,left_eye_x,left_eye_y,right_eye_x,right_eye_y\n"
    settings = []
    for folder, x in (("a", 7), ("b", 7), ("c", 9)):
        (tmp_path / folder).mkdir()
        path = write_points(
            tmp_path / folder, f"{header}cald3r/M_001_1_anger,{x},8,3,4\ncald3r/M_001_2_anger,1,2,3,4\n"
        )
        spec = FinderSpec.parse(f"file:{path}")
        settings.append(
            (spec.settings(), spec.settings(sample=sample()), spec.settings(sample=sample("M_001_2_anger")))
        )
    assert settings[0] == settings[1]
    assert settings[0][0] != settings[2][0]
    assert settings[0][1] != settings[2][1]
    assert settings[0][2] == settings[2][2]  # correcting one line redoes one sample


def test_a_task_file_is_known_by_its_digest(tmp_path):
    path = tmp_path / "face_landmarker.task"
    path.write_bytes(b"model")
    settings = FinderSpec.parse(f"task:{path}").settings()
    assert settings["task_sha256"] == hashlib.sha256(b"model").hexdigest()


def test_specs_travel_to_other_processes():
    spec = FinderSpec.parse("dataset,mediapipe")
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_settings_name_the_version_of_mediapipe():
    assert FinderSpec.parse("mediapipe").settings()["mediapipe"][0].isdigit()
    assert "mediapipe" not in FinderSpec.parse("dataset").settings()
