"""Discriminants beside a network: fitted with each fold, kept in its model, and in every answer."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from classical_data import SIZE, write_faces
from tiny_training import tiny_config

from fer_prep.errors import UsageError
from fer_train.classical.landmarks import landmarks_of, mirrored
from fer_train.classical.network import ClassicalNetwork
from fer_train.data.images import to_floats
from fer_train.inference.export import export_fold
from fer_train.inference.predictor import Predictor
from fer_train.models.answers import answer
from fer_train.report.results import train_and_report
from fer_train.training.cross_validate import FoldChoice
from fer_train.training.run_folder import RunFolder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("data") / "global.h5")


def trained(data, out, **changes) -> RunFolder:
    settings = {"data__image_size": SIZE, "training__epochs": 1, "model__components": 20}
    config = tiny_config(**settings, model__with_classical=True, model__mirror_average=True, **changes)
    run = RunFolder(out)
    train_and_report(data, config=config, folds=FoldChoice(number=2), run=run)
    return run


@pytest.fixture(scope="module")
def run(faces, tmp_path_factory):
    return trained(faces, tmp_path_factory.mktemp("runs") / "both")


def test_both_together_know_what_one_epoch_of_the_network_does_not(run):
    assert run.read_summary()["overall_accuracy"]["mean"] > 90
    assert "the mean of the network's and of classical's" in run.read_summary()["headline"]


def test_the_kept_model_answers_as_the_run_did(run, faces):
    predictor = Predictor.load(run.fold(0), device=CPU)
    data = predictor.open_data(faces)
    judged = run.read_predictions()
    mine = judged.only(judged.folds == 0)
    found = predictor.judge(data, data.rows_of(mine.ids).numpy())
    np.testing.assert_allclose(found, mine.probabilities, atol=1e-5)


def test_the_answer_is_the_mean_over_the_mirror_image_and_of_both(run, faces):
    predictor = Predictor.load(run.fold(1), device=CPU)
    data, description = predictor.open_data(faces), predictor.description
    rows = torch.arange(3)
    images = to_floats(data.images(rows)) | landmarks_of(data.file, rows.numpy())
    [network] = predictor.networks
    with torch.no_grad():
        views = [network(description.normalisation(view)).logits.log_softmax(1) for view in (images, mirrored(images))]
        beside = (network.classical.sureness * network.classical(images).logits).softmax(1)
        alone = ((views[0] + views[1]) / 2).softmax(1)
        expected = network.classical.share * alone + (1 - network.classical.share) * beside
    found = answer(network, images, normalisation=description.normalisation, settings=description.model)
    torch.testing.assert_close(found.softmax(1), expected)


def test_what_either_counts_is_found_on_people_held_out(run):
    """One epoch of a network says next to nothing; the discriminants know these faces."""
    for fold in range(2):
        [network] = Predictor.load(run.fold(fold), device=CPU).networks
        assert float(network.classical.share) < 0.3
    assert not list(run.path.glob("fold-*/share.ckpt"))


def test_the_share_follows_from_who_is_right():
    classical = ClassicalNetwork(classes=3, image_size=8, blocks="hog", components=1, shrinkage=0.1, inputs=("rgb",))
    labels = torch.arange(3).repeat(20)
    right, wrong = 9.0 * torch.eye(3)[labels], 9.0 * torch.eye(3)[(labels + 1) % 3]
    half = torch.where(torch.arange(60)[:, None] % 2 == 0, right, wrong)
    other = torch.where(torch.arange(60)[:, None] % 2 == 1, right, wrong)
    for network, own, expected in ((right, wrong, 1.0), (wrong, right, 0.0), (half, other, 0.5)):
        classical.fit_share(network, own, labels)
        assert float(classical.share) == pytest.approx(expected, abs=0.03)


def test_discriminants_that_are_too_sure_of_themselves_are_believed_less():
    classical = ClassicalNetwork(classes=3, image_size=8, blocks="hog", components=1, shrinkage=0.1, inputs=("rgb",))
    labels = torch.arange(3).repeat(20)
    said = torch.where(torch.arange(60) % 4 == 0, (labels + 1) % 3, labels)  # right in three of four
    own, network = 300 * torch.eye(3)[said], torch.zeros(60, 3)
    classical.fit_share(network, own, labels)
    believed = classical.beside(network, own).softmax(1).max(dim=1).values
    assert float(believed.mean()) == pytest.approx(0.75, abs=0.1)


def test_where_people_held_out_leave_a_class_to_nobody_both_count_the_same(tmp_path):
    run = trained(write_faces(tmp_path / "few.h5", subjects=2), tmp_path / "run")
    [network] = Predictor.load(run.fold(0), device=CPU).networks
    assert float(network.classical.share) == 0.5


def test_averaged_weights_have_their_discriminants_too(faces, tmp_path):
    run = trained(faces, tmp_path / "ema", training__ema_decay=0.9)
    assert run.read_summary()["overall_accuracy"]["mean"] > 90


def test_folds_side_by_side_have_them_too(faces, run, tmp_path):
    beside = trained(faces, tmp_path / "parallel", machine__parallel_folds=2)
    both = (each.read_predictions().probabilities for each in (run, beside))
    np.testing.assert_allclose(*both, atol=1e-4)


def test_another_training_starts_from_the_network_and_fits_its_own(faces, run, tmp_path):
    others = write_faces(tmp_path / "others.h5", subjects=4)
    start = {"model__weights": str(run.fold(0)), "model__same_names": "strangers"}
    assert trained(others, tmp_path / "next", **start).read_summary()["overall_accuracy"]["mean"] > 90


def test_the_onnx_graph_is_the_network_alone_and_says_so(run, faces, tmp_path):
    out = tmp_path / "onnx"
    assert export_fold(run.path, out, onnx=True)["onnx"]["leaves_out"] == ["with_classical", "mirror_average"]
    assert json.loads((out / "export.json").read_text())["onnx"]["leaves_out"] == ["with_classical", "mirror_average"]


def test_what_cannot_be_fitted_is_said_before_the_network_is_trained(tmp_path):
    data = write_faces(tmp_path / "alike.h5", alike=True)
    with pytest.raises(UsageError, match="alike"):
        trained(data, tmp_path / "run")
    assert not list((tmp_path / "run").glob("fold-*/last.ckpt"))
