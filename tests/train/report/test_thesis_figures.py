"""Every figure of the thesis by one command, from a run."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from dataset_factories import make_rows
from tiny_training import SIZE, telling_pixels, tiny_config, untrained_run
from typer.testing import CliRunner

from fer_prep.dataset.writer import DatasetWriter, measure
from fer_train.cli.app import app
from fer_train.inference.trained_run import TrainedRun
from fer_train.models.model_file import build_network
from fer_train.models.spatial_attention import CbamAttention, LanetAttention
from fer_train.report.figures import curves
from fer_train.report.module_graph import boxes_of_module, boxes_of_network
from fer_train.report.thesis_figures import FIGURES
from fer_train.training.run_folder import history_to_csv

THEIRS = {"3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.16", "3.17"}
STEPS_AN_EPOCH = 4


def history(epochs: int = 3) -> list[dict[str, float]]:
    return [
        {"step": s, "epoch": s / STEPS_AN_EPOCH, "rate_backbone": 1e-4 * s, "rate_fusion": 1e-3 * s, "train_loss": 2.0}
        | {"train_accuracy": 5.0 * s, "val_loss": 2.5, "val_overall_accuracy": 4.0 * s, "val_average_accuracy": 3.0 * s}
        for s in range(1, epochs * STEPS_AN_EPOCH + 1)
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(run of colour and depth, run of colour alone, their data)."""
    folder = tmp_path_factory.mktemp("figures")
    rows = make_rows({"bu3dfe": 4, "cald3r": 2})
    writer = DatasetWriter(folder / "global.h5", n=len(rows), size=SIZE)
    for index, row in enumerate(rows):
        writer.append(measure(row, *telling_pixels(int(row["label"]), seed=index)))
    data = (writer.finish(settings={}) and folder / "global.h5") or folder / "global.h5"
    runs = [untrained_run(folder / name, data, model__inputs=name) for name in ("rgb,depth", "rgb")]
    for run in runs:
        for index in (0, 1):
            (run.fold(index) / "history.csv").write_text(history_to_csv(history()))
    return *runs, data


def figure(*words):
    return CliRunner().invoke(app, ["figure", *(str(word) for word in words), "--device", "cpu"])


def test_all_of_the_thesis_are_there_and_listed():
    assert set(FIGURES) == THEIRS
    listed = figure().stdout
    assert all(re.search(rf"^ *{re.escape(name)} ", listed, re.MULTILINE) for name in THEIRS)


@pytest.mark.parametrize("name", sorted(THEIRS - {"3.13", "3.14"}))
def test_a_figure_is_drawn_of_a_run(made, name, tmp_path):
    run, _, data = made
    done = figure(name, run.path, "--data", data, "--out", tmp_path / "it.png")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "it.png").read_bytes().startswith(b"\x89PNG")


def test_colour_alone_is_of_a_run_of_colour_alone(made):
    both, alone, data = made
    refused = figure("3.14", both.path, "--data", data)
    assert refused.exit_code == 2
    assert "--modality rgb" in refused.stderr
    done = figure("3.14", alone.path, "--data", data)
    assert done.exit_code == 0, done.output
    assert (alone.path / "studies" / "figure-3.14.png").exists()


@pytest.mark.slow
def test_features_on_the_way_have_a_line_a_run(made, tmp_path, monkeypatch):
    from fer_train.report import thesis_figures

    run, alone, data = made
    monkeypatch.setattr(thesis_figures, "EPOCHS", (1, 2))
    opened = [TrainedRun.open(each.path, data, device=torch.device("cpu")) for each in (run, alone)]
    panels = [axes for axes in thesis_figures.features_on_the_way(opened).axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["island, epoch 1", "island, epoch 2"] * 2


@pytest.mark.slow
def test_epochs_that_a_run_does_not_have_are_said(made):
    run, _, data = made
    refused = figure("3.13", run.path, "--data", data)
    assert refused.exit_code == 2
    assert "this run has epochs 1 to 2" in refused.stderr


def test_curves_have_iterations_beside_epochs(made):
    run, _, data = made
    opened = TrainedRun.open(run.path, data, device=torch.device("cpu"))
    loss = curves(opened).axes[0]
    [above] = loss.child_axes
    assert above.get_xlabel() == "iteration"
    loss.figure.draw_without_rendering()
    assert np.array(above.get_xlim()) == pytest.approx(np.array(loss.get_xlim()) * STEPS_AN_EPOCH)
    assert len(curves(opened, folds=[0]).axes[0].get_lines()) < len(loss.get_lines())


def test_unknown_figures_are_refused_with_those_there_are(made):
    run, _, data = made
    assert "3.1" in figure("3.18", run.path, "--data", data).stderr


def test_an_attention_is_drawn_with_every_operation_it_has():
    example = torch.zeros(1, 32, 9, 9)
    lanet = [box.text.split("\n")[0] for box in boxes_of_module(LanetAttention(32, reduction=16).eval(), example)]
    assert lanet == [
        "feature map",
        "1 × 1 convolution",
        "batch norm",
        "ReLU",
        "1 × 1 convolution",
        "batch norm",
        "sigmoid",
    ]
    cbam = boxes_of_module(CbamAttention(32, reduction=16).eval(), example)
    assert [box.text.split("\n")[0] for box in cbam][1:4] == ["mean over channels", "maximum over channels", "stacked"]
    assert cbam[1].level == cbam[2].level
    assert cbam[3].sources == (1, 2)
    assert cbam[-1].text == "sigmoid\n1 × 9 × 9"


def test_a_network_is_drawn_with_a_column_for_each_input():
    config = tiny_config()
    boxes = boxes_of_network(build_network(config.model, classes=7, image_size=SIZE, pretrained=False))
    texts = [box.text for box in boxes]
    assert texts[0].startswith("rgb\n3 × 32 × 32")
    assert texts[1].startswith("depth\n1 × 32 × 32")
    streams = [index for index, text in enumerate(texts) if text.startswith("backbones, ")]
    assert [boxes[index].sources for index in streams] == [(0,), (1,)]
    fusion = next(box for box in boxes if box.text.startswith("fusion: Fusion"))
    assert len(fusion.sources) == 2
    assert boxes[-1].text.startswith("head: Sequential\n7 ")
