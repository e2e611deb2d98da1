"""A network may start from one that was trained before, but never judge people whom that one knows."""

import numpy as np
import pytest
import torch
from tiny_training import tiny_config, untrained_run, write_telling_data

from fer_prep.dataset.reader import DatasetFile
from fer_prep.emotions import CLASS_SETS
from fer_prep.errors import UsageError
from fer_train.models.model_file import build_network, load_model
from fer_train.models.trained_people import people_trained_on
from fer_train.training.cross_validate import FoldChoice, cross_validate
from fer_train.training.initial_weights import set_initial_weights
from fer_train.training.run_folder import RunFolder

CPU = torch.device("cpu")
SEVEN = CLASS_SETS["seven"]


@pytest.fixture
def data(tmp_path):
    with DatasetFile.open(write_telling_data(tmp_path / "data.h5", subjects=8)) as file:
        yield file


@pytest.fixture
def run(tmp_path, data):
    """Two folds of which each has learned from half of the people."""
    return untrained_run(tmp_path / "first", data.path)


def fresh(settings, *, classes=SEVEN):
    return build_network(settings, classes=len(classes), image_size=32, pretrained=False)


def rows_of_strangers(run, data):
    known = people_trained_on(run.fold(0))
    return np.array([row for row, person in enumerate(data.column("subject")) if person not in known])


def started(run, data, *, classes=SEVEN, path=None, **changes):
    settings = tiny_config(model__weights=str(path or run.fold(0)), **changes).model
    network = fresh(settings, classes=classes)
    people = set_initial_weights(network, settings, classes=classes, file=data, judged=rows_of_strangers(run, data))
    return network, people


def test_all_weights_and_their_people_are_taken_over(run, data):
    network, people = started(run, data)
    first, description = load_model(run.fold(0), device=CPU)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, first.state_dict()[name]), name
    assert people == set(description.people)
    assert len(people) == 4


def test_the_weights_file_of_a_fold_means_the_fold(run, data):
    network, people = started(run, data, path=run.fold(0) / "model.safetensors")
    depth, rgb = (network.backbone(stream).state_dict() for stream in ("depth", "rgb"))
    assert any(not torch.equal(depth[name], rgb[name]) for name in depth), "one stream's weights stand in both"
    assert len(people) == 4


def test_people_it_knows_are_never_judged(run, data):
    settings = tiny_config(model__weights=str(run.fold(0))).model
    with pytest.raises(UsageError, match="was trained on 4 of the people who are to be judged here"):
        set_initial_weights(fresh(settings), settings, classes=SEVEN, file=data, judged=np.arange(data.n))


def test_strangers_of_the_same_names_may_be_judged_where_the_user_says_so(run, data):
    settings = tiny_config(model__weights=str(run.fold(0)), model__same_names="strangers").model
    everybody = np.arange(data.n)
    assert set_initial_weights(fresh(settings), settings, classes=SEVEN, file=data, judged=everybody)


def test_other_classes_leave_the_last_layer_fresh(run, data):
    six = CLASS_SETS["six-without-neutral"]
    network, _ = started(run, data, classes=six)
    first, _ = load_model(run.fold(0), device=CPU)
    there, here = first.state_dict(), network.state_dict()
    fresh_ones = {name for name in here if here[name].shape != there[name].shape or not here[name].equal(there[name])}
    assert fresh_ones == {"head.3.weight", "head.3.bias"}


def test_another_architecture_is_refused_by_name(run, data):
    with pytest.raises(UsageError, match=r"model\.token_width 16 there, 24 here"):
        started(run, data, model__token_width=24)


def test_dropout_may_differ(run, data):
    started(run, data, model__dropout=0.3)


def test_a_folder_without_a_network_is_refused(run, data, tmp_path):
    with pytest.raises(UsageError, match="found no trained model"):
        started(run, data, path=tmp_path)


def test_a_fold_that_would_judge_them_is_refused_before_any_is_trained(run, tmp_path):
    other = write_telling_data(tmp_path / "other.h5", subjects=6)
    with DatasetFile.open(other) as file:
        shared = people_trained_on(run.fold(0)).intersection(file.column("subject").tolist())
    assert shared, "the two files must share people for this test"
    config = tiny_config(model__weights=str(run.fold(0)), training__epochs=1)
    refused = RunFolder(tmp_path / "refused")
    with pytest.raises(UsageError, match=f"was trained on {len(shared)} of the people who are to be judged"):
        cross_validate(other, config=config, folds=FoldChoice(number=3), run=refused)
    assert not list(refused.path.glob("fold-*"))
