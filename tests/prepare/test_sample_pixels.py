"""One sample: what is measured is where it is in the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from fake_source import FakeSource, write_tree

from fer_prep.depth_encoding import decode_depth
from fer_prep.emotions import EMOTIONS
from fer_prep.errors import Reason, SampleError, UsageError
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.faces.picture_scene import PictureScene
from fer_prep.landmark_names import EYE_CORNERS
from fer_prep.prepare.prepare_sample import find_landmarks, frame_scene, prepare_sample, table_row
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.samples_table import COLUMNS, row_from_text, row_to_text

DATASET = FinderSpec(kinds=("dataset",))
SIDE = 160


@pytest.fixture
def sample(tmp_path):
    return FakeSource().list_samples(write_tree(tmp_path, samples=1)).samples[0]


class SceneSource(FakeSource):
    """A fake source that loads one given scene."""

    def __init__(self, scene):
        super().__init__()
        object.__setattr__(self, "scene", scene)

    def load(self, sample):
        return self.scene


def eyes_scene(*, roll_degrees: float = 0.0, valid: bool = True) -> PictureScene:
    """Black, with a white dot on each eye and a nearer one there, turned about the middle."""
    angle = np.radians(roll_degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = {
        name: SIDE / 2 + turn @ np.array([x, 0.0]) for name, x in zip(EYE_CORNERS, (22, 14, -14, -22), strict=True)
    }
    rgb = np.zeros((SIDE, SIDE, 3), np.uint8)
    z_mm = np.full((SIDE, SIDE), -600, np.float32)
    for x in (18, -18):
        column, row = (SIDE / 2 + turn @ np.array([x, 0.0])).astype(int)
        rgb[row - 2 : row + 3, column - 2 : column + 3] = 255
        z_mm[row - 2 : row + 3, column - 2 : column + 3] = -590
    return PictureScene(rgb=rgb, z_mm=z_mm, valid=np.full((SIDE, SIDE), valid), landmarks=corners)


@pytest.mark.parametrize("framing", ["rotate", "eyes"])
@pytest.mark.parametrize("roll_degrees", [-20.0, 0.0, 13.0])
def test_eyes_are_level_and_where_the_row_says_in_both_modalities(sample, framing, roll_degrees):
    source = SceneSource(eyes_scene(roll_degrees=roll_degrees))
    settings = PrepareSettings(size=64, framing=framing, landmarks=DATASET, mesh=False)
    prepared = prepare_sample(sample, source=source, settings=settings)
    row = prepared.measured
    assert row["roll_degrees"] == pytest.approx(roll_degrees, abs=1e-4)
    assert row["left_eye"][1] == pytest.approx(row["right_eye"][1], abs=1e-4)
    assert row["left_eye"][0] > row["right_eye"][0]
    z_mm, _ = decode_depth(prepared.depth, float(row["depth_offset_mm"]))
    for eye in (row["left_eye"], row["right_eye"]):
        column, line = np.rint(eye).astype(int)
        assert prepared.rgb[line, column].min() > 200
        assert z_mm[line, column] == pytest.approx(-590, abs=0.01)


def test_framing_none_keeps_the_picture(sample):
    scene = eyes_scene(roll_degrees=20)
    settings = PrepareSettings(size=SIDE, framing="none", landmarks=DATASET, mesh=False)
    prepared = prepare_sample(sample, source=SceneSource(scene), settings=settings)
    assert (prepared.rgb == scene.rgb).all()
    assert prepared.measured["roll_degrees"] == 0


def test_the_mask_blackens_both_modalities_alike(sample):
    landmarks = eyes_scene().landmarks
    grey, flat = np.full((SIDE, SIDE, 3), 90, np.uint8), np.full((SIDE, SIDE), -600, np.float32)
    scene = PictureScene(rgb=grey, z_mm=flat, valid=np.ones((SIDE, SIDE), bool), landmarks=landmarks)
    settings = PrepareSettings(size=64, landmarks=DATASET, mesh=False, mask="face-oval")
    prepared = prepare_sample(sample, source=SceneSource(scene), settings=settings)
    inside = prepared.depth > 0
    assert 0.2 < inside.mean() < 0.9
    assert (prepared.rgb[~inside] == 0).all()
    assert (prepared.rgb[inside] > 0).all()


def test_a_face_that_is_not_found_is_rejected_or_kept_as_recorded(sample):
    scene = eyes_scene()
    unknown = PictureScene(rgb=scene.rgb, z_mm=scene.z_mm, valid=scene.valid)
    keep = PrepareSettings(size=SIDE, landmarks=DATASET, mesh=False, unfound="keep")
    with pytest.raises(SampleError, match="a face") as caught:
        prepare_sample(
            sample, source=SceneSource(unknown), settings=PrepareSettings(size=SIDE, landmarks=DATASET, mesh=False)
        )
    assert caught.value.reason is Reason.NO_FACE
    kept = prepare_sample(sample, source=SceneSource(unknown), settings=keep)
    assert (kept.rgb == scene.rgb).all()
    assert kept.measured["landmarks_from"] == "not found"
    assert kept.measured["faces_found"] == 0


def test_a_frame_without_geometry_is_rejected(sample):
    settings = PrepareSettings(size=64, landmarks=DATASET, mesh=False)
    with pytest.raises(SampleError, match="no valid depth pixel"):
        prepare_sample(sample, source=SceneSource(eyes_scene(valid=False)), settings=settings)


def test_a_row_has_every_column_and_survives_the_table(sample):
    settings = PrepareSettings(size=64, landmarks=DATASET, mesh=False)
    prepared = prepare_sample(sample, source=SceneSource(eyes_scene(roll_degrees=7)), settings=settings)
    cells = row_to_text(table_row(sample, prepared.measured, classes=EMOTIONS))
    names = [column.name for column in COLUMNS]
    assert row_to_text(row_from_text(dict(zip(names, cells, strict=True)))) == cells


def test_no_landmarks_at_all_needs_no_finder(sample):
    settings = PrepareSettings(size=64, framing="none", landmarks=FinderSpec(kinds=("none",)), mesh=False)
    scene = eyes_scene()
    assert find_landmarks(scene, sample=sample, settings=settings) is None
    framed = frame_scene(scene, None, sample=sample, settings=settings)
    assert framed.frame.rgb.shape == (64, 64, 3)
    assert np.isnan(framed.framing.roll_degrees)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 8}, "--size"),
        ({"size": 10**5}, "--size"),
        ({"framing": "tight"}, "--framing 'tight'"),
        ({"unfound": "drop"}, "--unfound 'drop'"),
        ({"mask": "ellipse"}, "--mask 'ellipse'"),
        ({"landmarks": FinderSpec(kinds=("none",))}, "--landmarks none cannot serve --framing rotate"),
    ],
)
def test_options_that_cannot_work_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        PrepareSettings(**options)
