"""Files of colour alone and of depth alone are whole files for every command; a modality that is absent is an error."""

from __future__ import annotations

import json

import pytest
from dataset_factories import make_rows
from tiny_training import SIZE, telling_pixels, untrained_run, write_telling_data
from typer.testing import CliRunner

from fer_prep.dataset.writer import DatasetWriter, measure
from fer_train.cli.app import app
from fer_train.inference.trained_run import TrainedRun
from fer_train.report.results import write_report

OTHER = {"rgb": "depth", "depth": "rgb"}


def write_one_modality(path, modality, subjects):
    """Like ``write_telling_data``, of one modality."""
    rows = make_rows(subjects)
    writer = DatasetWriter(path, n=len(rows), size=SIZE, modalities=(modality,))
    for index, row in enumerate(rows):
        pixels = dict(zip(("rgb", "depth"), telling_pixels(int(row["label"]), seed=index), strict=True))
        writer.append(measure(row, *(pixels[name] if name == modality else None for name in ("rgb", "depth"))))
    writer.finish(settings={"made_by": "tests"})
    return path


@pytest.fixture(scope="module", params=["rgb", "depth"])
def alone(request, tmp_path_factory):
    """(modality, run, its data, data of other people), all of one modality."""
    folder = tmp_path_factory.mktemp(request.param)
    data = write_one_modality(folder / "own.h5", request.param, {"bu3dfe": 4})
    run = untrained_run(folder / "run", data, model__inputs=request.param)
    run.write_json("environment.json", {"time": "2026-01-01T00:00:00+00:00", "device": {"type": "cpu"}})
    return request.param, run, data, write_one_modality(folder / "others.h5", request.param, {"bosphorus": 3})


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_commands_work_on_it(alone, tmp_path):
    _, run, data, others = alone
    judged = invoke("evaluate", run.path, "--data", others, "--device", "cpu", "--json")
    assert judged.exit_code == 0, judged.output
    assert json.loads(judged.stdout)["samples"] == 21
    predicted = invoke("predict", run.path, others, "--device", "cpu", "--format", "csv")
    assert len(predicted.stdout.splitlines()) == 22
    drawn = invoke("embed", run.path, "--data", data, "--perplexity", "3", "--out", tmp_path / "e", "--device", "cpu")
    assert drawn.exit_code == 0, drawn.output
    sheet = tmp_path / "sheet.png"
    explained = invoke("explain", run.path, "--data", data, "--pick", "wrong", "--out", sheet, "--device", "cpu")
    assert explained.exit_code == 0, explained.output
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_the_report_is_drawn_of_it(alone):
    _, run, data, _ = alone
    page = write_report(TrainedRun.open(run.path, data, device="cpu")).read_text()
    assert "Confusion matrix" in page
    assert "Mistakes" in page


@pytest.mark.parametrize("command", ["evaluate", "predict", "embed", "explain"])
def test_a_network_of_both_refuses_it_and_names_what_is_absent(alone, command, tmp_path):
    modality, _, data, _ = alone
    both = untrained_run(tmp_path / "both", write_telling_data(tmp_path / "both.h5", subjects=4))
    words = [command, both.path, data] if command == "predict" else [command, both.path, "--data", data]
    if command in ("embed", "explain"):
        both.folds_file.write_bytes((alone[1].folds_file).read_bytes())
    refused = invoke(*words, "--device", "cpu")
    assert refused.exit_code == 2, refused.output
    assert OTHER[modality] in refused.stderr
    assert "does not have" in refused.stderr
