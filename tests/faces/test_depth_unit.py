import numpy as np
import pytest

from fer_prep.engines.choice import make_engine
from fer_prep.exchange.import_folder import TableSource
from fer_prep.faces.depth_unit import PROTRUSION, FaceSize, check_depth_unit, judge_depth_unit, measure_face
from fer_prep.faces.landmarks import make_finder
from fer_prep.prepare.prepare_tree import prepare
from fer_prep.prepare.settings import FOUND, PrepareSettings
from fer_prep.sources import make_source
from fer_prep.sources.cald3r_mend3s import RgbdPairs

# x (the subject's left), y (down) of the landmarks in eye distances about the eye midpoint
PLACES = {
    "right_eye_outer": (-0.7, 0.0),
    "right_eye_inner": (-0.3, 0.0),
    "left_eye_inner": (0.3, 0.0),
    "left_eye_outer": (0.7, 0.0),
    "nose_tip": (0.0, 0.6),
    "mouth_right": (-0.4, 1.1),
    "mouth_left": (0.4, 1.1),
    "chin": (0.0, 1.9),
}


def face(*, eye_distance_mm: float = 62, eye_distance_px: float = 50, tilt=(0.0, 0.0), depth_mm: float = 700):
    """A canonical face, flat around each landmark, tilted by mm per eye distance across and down."""
    points = {name: np.array(place) * eye_distance_px + [120.0, 70.0] for name, place in PLACES.items()}
    z_mm = np.full((240, 240), np.nan)
    for name, (x, y) in points.items():
        height = eye_distance_mm * PROTRUSION[name] + np.array(tilt) @ PLACES[name] - depth_mm
        z_mm[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] = height
    return z_mm, points


def sizes(*, unit_factor: float = 1.0, rescaled: bool = True, focal_px: float = 560.0) -> list[FaceSize]:
    depths = np.linspace(500, 1000, 20)
    return [
        FaceSize(
            eye_distance_px=50 if rescaled else focal_px * 62 / depth,
            depth_at_eyes_mm=depth * unit_factor,
            eye_distance_by_relief_mm=60 * unit_factor,
        )
        for depth in depths
    ]


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (15.0, -20.0)])
def test_the_eye_distance_comes_out_of_the_relief_whatever_the_tilt(tilt):
    z_mm, points = face(eye_distance_mm=58, tilt=tilt)
    assert measure_face(z_mm, points).eye_distance_by_relief_mm == pytest.approx(58, abs=0.1)


def test_a_hole_at_a_mouth_corner_costs_one_landmark_and_at_the_nose_the_relief():
    z_mm, points = face()
    x, y = points["mouth_left"].astype(int)
    z_mm[y - 3 : y + 4, x - 3 : x + 4] = np.nan
    assert measure_face(z_mm, points).eye_distance_by_relief_mm == pytest.approx(62, abs=0.1)
    x, y = points["nose_tip"].astype(int)
    z_mm[y - 3 : y + 4, x - 3 : x + 4] = np.nan
    assert np.isnan(measure_face(z_mm, points).eye_distance_by_relief_mm)


@pytest.mark.parametrize(("assumed_mm", "outcome"), [(0.125, "plausible"), (1.0, "implausible"), (0.05, "implausible")])
def test_a_wrong_unit_is_named_with_the_one_that_explains_it(assumed_mm, outcome):
    verdict = judge_depth_unit(sizes(unit_factor=assumed_mm / 0.125), depth_unit_mm=assumed_mm)
    assert verdict.outcome == outcome
    assert verdict.explaining_unit_mm == pytest.approx(0.125)
    assert f"{60 * assumed_mm / 0.125:.1f} mm" in verdict.text
    assert ("0.125 mm would explain it" in verdict.text) == (outcome == "implausible")


def test_a_known_focal_length_decides_where_pictures_have_one_scale():
    one_scale = judge_depth_unit(sizes(rescaled=False), depth_unit_mm=0.125, focal_px=560)
    assert one_scale.eye_distance_mm == pytest.approx(62)
    assert "focal length" in one_scale.text
    crops = judge_depth_unit(sizes(rescaled=True), depth_unit_mm=0.125, focal_px=560)
    assert "relief" in crops.text


def test_eyes_alone_are_enough_where_the_focal_length_is_known():
    z_mm, points = face(eye_distance_mm=62, eye_distance_px=50)
    eyes = {name: point for name, point in points.items() if "eye" in name}
    faces = [measure_face(z_mm, eyes)] * 6
    assert judge_depth_unit(faces, depth_unit_mm=0.125).outcome == "undecided"
    depth_mm = faces[0].depth_at_eyes_mm
    verdict = judge_depth_unit(faces, depth_unit_mm=0.125, focal_px=50 * depth_mm / 62)
    assert verdict.eye_distance_mm == pytest.approx(62)


def test_a_unit_beside_which_another_fits_better_is_doubtful():
    verdict = judge_depth_unit(sizes(unit_factor=0.1 / 0.125 * 0.9), depth_unit_mm=0.1)
    assert verdict.outcome == "doubtful"
    assert verdict.text == (
        "depth unit 0.1 mm is doubtful: eyes measured 43.2 mm apart by the relief of the face, good to ±25 %, as the "
        "median of 20 faces; expected 55–70 mm; 0.125 mm would explain it: --depth-unit 0.125"
    )


def test_flat_noses_do_not_speak_against_the_common_unit_nearest_to_them():
    verdict = judge_depth_unit(sizes(unit_factor=0.85), depth_unit_mm=0.125)
    assert verdict.outcome == "plausible"
    assert "51.0 mm" in verdict.text


def test_few_faces_or_inverted_depth_are_said_so():
    assert judge_depth_unit(sizes()[:4], depth_unit_mm=0.125).outcome == "undecided"
    hollow = [FaceSize(eye_distance_px=50, depth_at_eyes_mm=700, eye_distance_by_relief_mm=-60)] * 9
    assert "inverted" in judge_depth_unit(hollow, depth_unit_mm=0.125).text


def test_recorded_faces_tell_an_eighth_of_a_millimetre_from_a_whole_one(sample_faces):
    for unit_mm, outcome in ((0.125, "plausible"), (1.0, "implausible")):
        source = RgbdPairs(dataset="cald3r", depth_unit_mm=unit_mm)
        samples = source.list_samples(sample_faces.tree).samples
        verdict = check_depth_unit(source.load, samples, finder=make_finder("mediapipe"), depth_unit_mm=unit_mm)
        assert verdict.outcome == outcome


def test_imported_pairs_are_judged_as_aligned_ones_are(sample_faces, tmp_path):
    source = make_source("cald3r")
    rows = ["rgb,depth,emotion,subject"]
    for sample in source.list_samples(sample_faces.tree).samples[:8]:
        for role in ("rgb", "depth"):
            (tmp_path / sample.files[role].name).write_bytes(sample.files[role].read_bytes())
        rows.append(f"{sample.files['rgb'].name},{sample.files['depth'].name},{sample.emotion},a")
    (tmp_path / "samples.csv").write_text("\n".join(rows) + "\n")
    summary = prepare(
        TableSource(dataset="lab", depth_unit_mm=1.0), root=tmp_path, out=tmp_path / "out",
        settings=PrepareSettings(size=48, landmarks=FOUND, mesh=False), engine=make_engine(workers=0),
    )  # fmt: skip
    assert any("depth unit 1 mm does not fit" in text for text in summary.warnings)
