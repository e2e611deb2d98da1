from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_training import judged_by, tiny_config, untrained_run, write_telling_data
from typer.testing import CliRunner

from fer_prep.errors import FoldsError, UsageError
from fer_train.analysis.explain import choose, contact_sheet, enlarge, explain, grad_cam
from fer_train.cli.app import app
from fer_train.inference.trained_run import TrainedRun
from fer_train.models.model_file import build_network

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two folds and its data."""
    folder = tmp_path_factory.mktemp("explain")
    data = write_telling_data(folder / "global.h5", subjects=4)
    return untrained_run(folder / "run", data), data


def make_network(**changes):
    torch.manual_seed(3)
    config = tiny_config(**changes)
    return build_network(config.model, classes=7, image_size=64, pretrained=False).eval()


def pictures(count=3):
    return {"rgb": torch.randn(count, 3, 64, 64), "depth": torch.randn(count, 1, 64, 64)}


def test_the_map_is_that_of_the_papers_formula():
    """For average pooling of one stream the class score is linear in the map's mean: the weights are known by hand."""
    network = make_network(model__inputs="rgb", model__aggregation="average")
    inputs = pictures()
    rgb, targets = inputs["rgb"], torch.tensor([0, 3, 6])
    found = grad_cam(network, inputs, targets=targets)["rgb"]
    for index in range(3):
        values = network.backbone("rgb")(rgb[index : index + 1]).detach().requires_grad_()
        fused, _ = network.fusion({"rgb": values})
        tokens = network.to_tokens(fused).flatten(2).transpose(1, 2)
        score = network.head(network.aggregation(tokens))[0, targets[index]]
        score.backward()
        expected = torch.zeros(values.shape[2:])
        for channel in range(values.shape[1]):
            expected += values.grad[0, channel].mean() * values.detach()[0, channel]
        expected = expected.clamp(min=0)
        torch.testing.assert_close(found[index], expected / expected.max().clamp(min=1e-30), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("fusion", ["attention", "sum", "concat", "attention-1d"])
def test_both_streams_have_maps_between_0_and_1_and_the_network_is_left_as_it_was(fusion):
    network = make_network(model__fusion=fusion)
    maps = grad_cam(network, pictures(), targets=torch.tensor([1, 2, 3]))
    assert list(maps) == ["rgb", "depth"]
    for values in maps.values():
        assert values.shape == (3, *network.grid)
        assert values.min() >= 0
        assert values.max() <= 1
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(network.backbone(stream)._forward_hooks for stream in ("rgb", "depth"))


def test_a_sample_is_explained_alike_alone_and_among_others():
    network = make_network()
    inputs = pictures()
    together = grad_cam(network, inputs, targets=torch.tensor([1, 2, 3]))["depth"]
    second = {name: image[1:2] for name, image in inputs.items()}
    alone = grad_cam(network, second, targets=torch.tensor([2]))["depth"]
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-4)


def test_the_enlarged_map_keeps_its_place():
    maps = torch.zeros(1, 4, 4)
    maps[0, 0, 3] = 1
    large = enlarge(maps, size=32)[0]
    row, column = divmod(int(large.argmax()), 32)
    assert (row // 8, column // 8) == (0, 3)


def test_right_and_wrong_answers_are_chosen_by_class(finished):
    run, _ = finished
    predictions = run.read_predictions()
    for pick, expected in (("right", True), ("wrong", False)):
        shown = np.arange(len(predictions.ids)) % 5 > 0
        rows = choose(predictions, shown, per_class=2, pick=pick)
        assert shown[rows].all()
        assert {bool(predictions.predicted[row] == predictions.labels[row]) for row in rows} == {expected}
        labels = predictions.labels[rows]
        assert (np.diff(labels) >= 0).all()
        assert np.bincount(labels).max() <= 2


def test_each_sample_is_explained_by_the_fold_that_judged_it(finished):
    run, data = finished
    trained = TrainedRun.open(run.path, data, device=CPU)
    ids = [judged_by(run, 1).ids[2], judged_by(run, 0).ids[0]]
    found = explain(trained, samples=ids)
    assert [sample.id for sample in found] == ids
    predictor = trained.fold(1)
    [images] = predictor.images(trained.data, trained.rows(ids[:1]))
    target = torch.from_numpy(judged_by(run, 1).predicted[2:3])
    maps = grad_cam(predictor.networks[0], predictor.inputs(images), targets=target)
    np.testing.assert_allclose(found[0].maps["rgb"], enlarge(maps["rgb"], size=32)[0].numpy(), atol=1e-5)
    stored = trained.pictures(ids[:1])
    assert set(found[0].pictures) == {"rgb", "depth"}
    for name, picture in found[0].pictures.items():
        np.testing.assert_array_equal(picture, stored[name][0])


@pytest.mark.parametrize("inputs", ["rgb", "depth"])
def test_a_network_of_one_input_has_its_map_alone(inputs, tmp_path):
    data = write_telling_data(tmp_path / "global.h5", subjects=4)
    run = untrained_run(tmp_path / "run", data, model__inputs=inputs)
    trained = TrainedRun.open(run.path, data, device=CPU)
    found = explain(trained, samples=run.read_predictions().ids[:2])
    assert [list(each.maps) for each in found] == [[inputs], [inputs]]
    contact_sheet(found)


def test_the_command_writes_a_sheet_and_refuses_nonsense(finished, tmp_path):
    run, data = finished
    options = ["explain", str(run.path), "--data", str(data), "--device", "cpu"]
    result = CliRunner().invoke(app, [*options, "--pick", "wrong", "--per-class", "1"])
    assert result.exit_code == 0, result.output
    assert (run.path / "studies" / "grad-cam-wrong.png").read_bytes().startswith(b"\x89PNG")
    assert CliRunner().invoke(app, [*options, "--pick", "both"]).exit_code == 2
    trained = TrainedRun.open(run.path, data, device=CPU)
    with pytest.raises(UsageError, match="judged no sample 'x/1'"):
        explain(trained, samples=["x/1"])
    with pytest.raises(UsageError, match="no trained fold 5"):
        trained.fold(5)
    other = write_telling_data(tmp_path / "other.h5", subjects=2)
    with pytest.raises(FoldsError, match="other data"):
        TrainedRun.open(run.path, other, device=CPU)
