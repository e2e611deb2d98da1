"""``classical`` through the same commands as every network."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch
from classical_data import SIZE, classical_config, telling_landmarks, write_faces
from dataset_factories import make_rows, write_prepared
from sample_faces import eyes_of
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_training import telling_pixels

from fer_prep.dataset.reader import DatasetFile
from fer_prep.emotions import EMOTIONS
from fer_prep.errors import UsageError
from fer_prep.formats.images import write_image
from fer_train.analysis.compare import compare_runs
from fer_train.classical.network import Discriminant
from fer_train.data.image_dataset import ImageDataset
from fer_train.inference.evaluate import evaluate
from fer_train.inference.export import export_fold
from fer_train.inference.picture_landmarks import PictureLandmarks
from fer_train.inference.predict import predict
from fer_train.inference.predictor import Predictor
from fer_train.models.model_file import read_description
from fer_train.report.results import train_and_report
from fer_train.training.cross_validate import FoldChoice
from fer_train.training.features import compute_features
from fer_train.training.fitted import fit_network
from fer_train.training.run_folder import FEATURES, RunFolder

CPU = torch.device("cpu")


def kfold(data, out, *, config=None, folds=2, say=lambda text: None) -> RunFolder:
    config = config or classical_config()
    run = RunFolder(out)
    train_and_report(data, config=config, folds=FoldChoice(number=folds), run=run, say=say)
    return run


@pytest.mark.parametrize("classes", [2, 5])
def test_one_matrix_says_what_scikit_learns_pipeline_says(classes):
    rng = np.random.default_rng(1)
    labels = np.arange(90) % classes
    features = (rng.normal(size=(90, 30)) + labels[:, None] * rng.normal(size=30)).astype(np.float32)
    ours = Discriminant(30, classes)
    ours.fit(features, labels, components=8, shrinkage=0.1)
    theirs = make_pipeline(
        StandardScaler(),
        PCA(8, svd_solver="full"),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1, priors=np.full(classes, 1 / classes)),
    ).fit(features, labels)
    new = rng.normal(size=(20, 30)).astype(np.float32)
    found = ours(torch.from_numpy(new)).exp().numpy()
    np.testing.assert_allclose(found, theirs.predict_proba(new), atol=1e-3)


def test_an_unknown_feature_counts_as_the_mean():
    features = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    one = Discriminant(6, 2)
    one.fit(features, np.arange(40) % 2, components=4, shrinkage=0.1)
    with_gap, with_mean = torch.from_numpy(features[:1]).clone(), torch.from_numpy(features[:1]).clone()
    with_gap[0, 3], with_mean[0, 3] = torch.nan, one.mean[3]
    torch.testing.assert_close(one(with_gap), one(with_mean))


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("data") / "global.h5")


@pytest.fixture(scope="module")
def run(faces, tmp_path_factory):
    return kfold(faces, tmp_path_factory.mktemp("runs") / "classical")


def test_a_run_learns_and_has_what_every_run_has(run):
    assert run.read_summary()["overall_accuracy"]["mean"] > 90
    for name in (
        "config.toml",
        "folds.json",
        "environment.json",
        "predictions.csv",
        "report.html",
        FEATURES,
    ):
        assert (run.path / name).is_file()
    assert sorted(file.name for file in run.fold(0).iterdir()) == ["config.json", "model.safetensors"]


def test_the_judged_are_not_among_the_people_learned_from(run, faces):
    with DatasetFile.open(faces) as data:
        manifest = json.loads(run.folds_file.read_text())
        for index, fold in enumerate(manifest["folds"]):
            judged = set(data.column("subject")[data.rows_of(fold["val"])])
            assert judged
            assert not judged & set(read_description(run.fold(index) / "config.json").people)


def test_nothing_of_the_judged_is_fitted(faces):
    """With nonsense in the place of all other pictures, the model of a training part is the same."""
    data = ImageDataset(faces, inputs=("rgb", "depth"), image_size=SIZE)
    features = compute_features(data, ("landmarks-2d", "hog"))
    config, train = classical_config(model__blocks="landmarks-2d,hog"), torch.arange(21)
    nonsense = {name: values.clone() for name, values in features.items()}
    for values in nonsense.values():
        values[21:] = torch.rand(values[21:].shape)
    one, other = (fit_network(config, data=data, features=each, train=train) for each in (features, nonsense))
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=0, atol=0)


def test_resumption_takes_the_features_that_are_there(run, faces):
    before = run.read_summary(), (run.path / FEATURES).stat().st_mtime_ns
    again = RunFolder.open(run.path)
    train_and_report(faces, config=again.config, folds=FoldChoice(), run=again)
    assert (again.read_summary(), (run.path / FEATURES).stat().st_mtime_ns) == before


def test_predictions_are_those_of_the_run(run, faces):
    judged = run.read_predictions()
    mine = judged.only(judged.folds == 0)
    found = {
        each.id: each.probabilities for each in predict(Predictor.load(run.fold(0), device=CPU), faces).predictions
    }
    np.testing.assert_allclose([found[name] for name in mine.ids], mine.probabilities, atol=1e-5)


def test_export_is_a_model_of_arrays_alone(run, faces, tmp_path):
    export_fold(run.path, tmp_path / "out", fold=1)
    a, b = (Predictor.load(path, device=CPU) for path in (run.fold(1), tmp_path / "out"))
    data = a.open_data(faces)
    np.testing.assert_array_equal(a.judge(data, np.arange(4)), b.judge(data, np.arange(4)))
    with pytest.raises(UsageError, match="ONNX"):
        export_fold(run.path, tmp_path / "onnx", onnx=True)


def test_evaluation_and_comparison_take_it_like_any_network(run, faces, tmp_path):
    others = write_faces(tmp_path / "others.h5", subjects=4)
    report = evaluate(run.path, others, device=CPU, strangers_only=False).report
    assert report["overall_accuracy"] > 90
    weak = kfold(faces, tmp_path / "weak", config=classical_config(model__blocks="depth-hog"))
    assert compare_runs([run.path, weak.path], faces, rounds=100).samples == 42


def test_without_landmarks_histograms_answer_alone_and_that_is_said(tmp_path):
    said: list[str] = []
    data = write_faces(tmp_path / "plain.h5", landmarks=False)
    run = kfold(data, tmp_path / "run", say=said.append)
    assert read_description(run.fold(0) / "config.json").model.blocks == "hog,depth-hog"
    assert sum("mediapipe-468" in text for text in said) == 2
    assert run.read_summary()["overall_accuracy"]["mean"] > 80


@pytest.mark.parametrize(("modality", "blocks"), [("rgb", "landmarks-2d,hog"), ("depth", "landmarks-3d,depth-hog")])
def test_a_file_of_one_modality_uses_what_it_has(tmp_path, modality, blocks):
    run = kfold(write_faces(tmp_path / "one.h5", modalities=(modality,)), tmp_path / "run")
    assert read_description(run.fold(0) / "config.json").model.blocks == blocks
    assert run.read_summary()["overall_accuracy"]["mean"] > 80


def test_pictures_that_are_all_alike_are_a_clear_error(tmp_path):
    with pytest.raises(UsageError, match="alike"):
        kfold(write_faces(tmp_path / "alike.h5", alike=True), tmp_path / "run")


def test_an_unknown_block_is_refused_before_anything_is_read(faces, tmp_path):
    with pytest.raises(UsageError, match="depth-hog"):
        kfold(faces, tmp_path / "run", config=classical_config(model__blocks="depht-hog"))


def test_fewer_pictures_than_components_and_one_person_a_side(tmp_path):
    run = kfold(
        write_faces(tmp_path / "few.h5", subjects=2), tmp_path / "run", config=classical_config(model__components=500)
    )
    assert len(run.read_predictions().ids) == 14


@pytest.fixture(scope="module")
def shapes_run(faces, tmp_path_factory):
    return kfold(
        faces, tmp_path_factory.mktemp("runs") / "shapes", config=classical_config(model__blocks="landmarks-2d")
    )


def test_a_prepared_folder_brings_its_landmarks(shapes_run, tmp_path):
    rows = make_rows({"bosphorus": 2})
    points = telling_landmarks([row["label"] for row in rows])
    folder = write_prepared(tmp_path / "bosphorus", rows, size=SIZE, landmarks={"mediapipe-468": points})
    predictor = Predictor.load(shapes_run.path, device=CPU)
    answers = predict(predictor, folder)
    assert [each.best(predictor.classes) for each in answers.predictions] == [EMOTIONS[row["label"]] for row in rows]


def test_landmarks_of_a_loose_picture_are_looked_for(sample_faces):
    face = sample_faces.upright()
    points = PictureLandmarks(None).of("face", sample_faces.rgb(face))["points_px"]
    eyes = np.stack([points[[362, 263]].mean(axis=0), points[[33, 133]].mean(axis=0)])
    assert np.linalg.norm(eyes - eyes_of(face), axis=1).max() < 4


def test_without_mediapipe_the_other_features_answer_and_that_is_said(run, faces, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "mediapipe" else found(name))
    picture, depth = tmp_path / "face.png", tmp_path / "depth.png"
    pixels = telling_pixels(2, seed=99, size=SIZE)
    for path, array in zip((picture, depth), pixels, strict=True):
        path.write_bytes(write_image(array))
    answers = predict(Predictor.load(run.path, device=CPU), picture, depth=depth, prepared=True)
    assert "mediapipe" in answers.notes[0]
    assert answers.predictions[0].best(EMOTIONS) == EMOTIONS[2]
