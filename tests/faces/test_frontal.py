"""``--framing frontal``: a face turned by known degrees comes back, as mesh, grid, or picture with depth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fer_prep.errors import SampleError
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.faces.picture_scene import PictureScene
from fer_prep.geometry.turns import turned_degrees, view_turn
from fer_prep.prepare.prepare_sample import prepare_scene
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.sample import Sample
from fer_prep.sample_data import bosphorus_tree, bu3dfe_tree, rgbd_tree
from fer_prep.sample_data.camera import Camera, head_rotation
from fer_prep.sample_data.head import Sitter
from fer_prep.sample_data.people import draw_person
from fer_prep.sample_data.rendering import paint, see, to_bytes
from fer_prep.sample_data.studio import draw_lighting, room_background
from fer_prep.sources.bosphorus import Bosphorus
from fer_prep.sources.bu3dfe import Bu3dfe

TURNS = [(20.0, 0.0, 0.0), (-20.0, 10.0, 15.0), (30.0, -15.0, -10.0), (0.0, 20.0, 0.0)]
BOTH = ("rgb", "depth")
NOBODY = Sample(id="x/a", dataset="x", subject="x:a", emotion="", label_source="", source_file="a", files={})


def settings(*kinds: str) -> PrepareSettings:
    return PrepareSettings(size=96, framing="frontal", mesh=False, landmarks=FinderSpec(kinds=kinds))


def undone(scene, *kinds: str) -> np.ndarray:
    """(3, 3) the whole turn that the columns of a sample tell: yaw, then pitch, then the roll that framing removed."""
    row = prepare_scene(scene, sample=NOBODY, settings=settings(*kinds), modalities=BOTH).measured
    roll = math.radians(float(row["roll_degrees"]))
    counter = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    return counter @ view_turn(float(row["yaw_degrees"]), float(row["pitch_degrees"]))


def turn_of(yaw: float, pitch: float, roll: float) -> np.ndarray:
    return head_rotation(yaw_degrees=yaw, pitch_degrees=pitch, roll_degrees=roll)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    root = tmp_path_factory.mktemp("mesh")
    bu3dfe_tree.write_subject(root, 0, rng=np.random.default_rng(5), intensities=())
    return Bu3dfe().load(Bu3dfe().list_samples(root).samples[0])


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize(("kind", "most_degrees"), [("dataset", 0.5), ("mediapipe", 2.5)])
def test_a_turned_mesh_comes_back(mesh, turn, kind, most_degrees):
    away = turn_of(*turn)
    assert turned_degrees(undone(mesh.turned(away), kind) @ away @ undone(mesh, kind).T) < most_degrees


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    root = tmp_path_factory.mktemp("grid")
    bosphorus_tree.write_subject(root, 0, rng=np.random.default_rng(5))
    samples = Bosphorus().list_samples(root).samples
    return Bosphorus().load(next(sample for sample in samples if sample.emotion == "neutral"))


@pytest.mark.parametrize("turn", TURNS)
def test_a_turned_grid_comes_back(grid, turn):
    away = turn_of(*turn)
    assert turned_degrees(undone(grid.turned(away), "dataset") @ away @ undone(grid, "dataset").T) < 1


@pytest.fixture(scope="module")
def picture_of():
    """A head turned by (yaw, pitch, roll) degrees before a depth camera: noise, holes, a room behind."""
    rng = np.random.default_rng(3)
    person = draw_person("F", rng=rng)
    head = Sitter(person).show({}, gaze_mm=(0.0, 0.0))

    def take(turn: tuple[float, float, float], *, focal_px: float = rgbd_tree.FOCAL_PX) -> PictureScene:
        rng = np.random.default_rng(4)
        posed = (head.points - np.array([0.0, -30.0, 0.0])) @ turn_of(*turn).T
        size, middle = (rgbd_tree.PICTURE_PX,) * 2, (rgbd_tree.PICTURE_PX / 2,) * 2
        camera = Camera(distance_mm=550.0, focal_px=rgbd_tree.FOCAL_PX, centre_px=middle, size=size)
        light, room = draw_lighting(rng, variety=0.5), room_background(rng, size=size)
        rgb = to_bytes(paint(see(head, posed=posed, lens=camera, finer=2), head, light=light, background=room))
        depth = rgbd_tree.depth_picture(head, posed, camera, rng)
        z_mm = depth * np.float32(-rgbd_tree.DEPTH_UNIT_MM)
        return PictureScene(rgb=rgb, z_mm=z_mm, valid=depth > 0, focal_px=focal_px)

    return take


@pytest.mark.parametrize(("turn", "most_degrees"), list(zip(TURNS, (3, 3, 8, 3), strict=True)))
def test_a_turned_head_before_a_depth_camera_comes_back(picture_of, turn, most_degrees):
    """Of the one turned furthest the sensor has neither nose tip nor the far eye's corner."""
    left = undone(picture_of(turn), "mediapipe") @ turn_of(*turn) @ undone(picture_of((0, 0, 0)), "mediapipe").T
    assert turned_degrees(left) < most_degrees


def test_a_head_at_rest_is_hardly_turned(picture_of, mesh):
    assert turned_degrees(undone(picture_of((0, 0, 0)), "mediapipe")) < 6


def test_where_nobody_knows_the_focal_length_the_eyes_say_it_and_no_millimetres_are_told(picture_of):
    turn = (25.0, 0.0, 0.0)
    known, unknown = (picture_of(turn, focal_px=focal) for focal in (rgbd_tree.FOCAL_PX, math.nan))
    assert turned_degrees(undone(known, "mediapipe") @ undone(unknown, "mediapipe").T) < 5
    made = [prepare_scene(s, sample=NOBODY, settings=settings("mediapipe"), modalities=BOTH) for s in (known, unknown)]
    assert [math.isfinite(one.measured["mm_per_pixel"]) for one in made] == [True, False]
    assert np.isfinite(made[0].measured["origin_mm"]).all()


def test_a_picture_without_depth_is_rejected(picture_of):
    scene = picture_of((0, 0, 0))
    flat = replace(scene, valid=np.zeros_like(scene.valid))
    with pytest.raises(SampleError, match="depth under both eyes, to turn the face by"):
        undone(flat, "mediapipe")


def test_heights_that_are_no_distances_are_rejected(picture_of):
    scene = picture_of((0, 0, 0))
    with pytest.raises(SampleError, match="heights that are no distances from a camera"):
        undone(replace(scene, z_mm=scene.z_mm + np.float32(5000)), "mediapipe")
