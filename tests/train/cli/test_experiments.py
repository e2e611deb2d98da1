"""``fer-train reproduce`` as typed: what is left behind by a wrong command."""

from __future__ import annotations

import pytest
from tiny_training import write_telling_data
from typer.testing import CliRunner

from fer_train.cli.app import app

EXPERIMENT = """
title = "One row"
place = "Table 9.9"
protocol = "subject-kfold"
thesis_protocol = "thesis-5fold"
source = "nowhere"
[selection]
datasets = ["bu3dfe"]
[[rows]]
name = "RGB"
"""


@pytest.mark.parametrize("wrong", [["--set=model.backbone=resnet10"], ["--data=nowhere.h5"], ["--folds=99"]])
def test_a_table_that_cannot_be_started_leaves_its_place_free(tmp_path, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(EXPERIMENT)
    write_telling_data(tmp_path / "global.h5", subjects=8)
    before = sorted(tmp_path.iterdir())
    refused = CliRunner().invoke(app, ["reproduce", "mine.toml", "--preset", "demo", "--folds", "2", *wrong])
    assert refused.exit_code == 2, refused.output
    assert sorted(tmp_path.iterdir()) == before
