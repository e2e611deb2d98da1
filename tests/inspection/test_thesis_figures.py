"""Every figure of data in the thesis by one command, from a dataset."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from dataset_factories import make_rows, write_dataset
from PIL import Image
from typer.testing import CliRunner

from fer_prep.cli.app import app
from fer_prep.cli.workspace import RAW_TREES
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_prep.inspection import thesis_figures
from fer_prep.inspection.thesis_figures import FIGURES, draw_figure


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A dataset of all four, and the recordings of two of them."""
    folder = tmp_path_factory.mktemp("figures")
    rows = make_rows({"bu3dfe": 2, "bosphorus": 2, "cald3r": 2, "mend3s": 2})
    write_dataset(folder / "global.h5", rows)
    for row in rows:
        if row["dataset"] in ("cald3r", "mend3s"):
            path = folder / "data" / "raw" / RAW_TREES[row["dataset"]] / row["source_file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (48, 40), "grey").save(path)
    return folder


def test_all_of_the_thesis_are_there_and_listed():
    assert set(FIGURES) == {"3.1", "3.2", "3.3", "3.4", "3.5", "3.15"}
    listed = CliRunner().invoke(app, ["figure"]).stdout
    assert all(each.what in listed for each in FIGURES.values())


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_from_a_workspace(workspace, monkeypatch, name):
    monkeypatch.chdir(workspace)
    done = CliRunner().invoke(app, ["figure", name])
    assert done.exit_code == 0, done.output
    drawn = Path("figures") / f"figure-{name}.png"
    with DatasetFile.open("global.h5") as data:
        trees = {dataset: Path("data/raw") / folder for dataset, folder in RAW_TREES.items()}
        again = draw_figure(name, data, trees)
    assert drawn.read_bytes() == again
    assert len(set(Image.open(io.BytesIO(again)).convert("L").tobytes())) > 5  # not an empty sheet


def test_what_a_dataset_lacks_is_said(tmp_path):
    write_dataset(tmp_path / "b.h5", make_rows({"bosphorus": 2}))
    with DatasetFile.open(tmp_path / "b.h5") as data:
        with pytest.raises(UsageError, match="shows bu3dfe; this file has bosphorus"):
            draw_figure("3.2", data, {})
        with pytest.raises(UsageError, match=r"no figure '3\.9' of data"):
            draw_figure("3.9", data, {})


def test_people_whose_pictures_may_not_be_published_are_in_no_picture(workspace, monkeypatch):
    def nobody(data):
        return np.zeros(data.n, bool)

    monkeypatch.setattr(thesis_figures, "may_be_shown", nobody)
    with DatasetFile.open(workspace / "global.h5") as data:
        for name in ("3.3", "3.4", "3.5"):
            with pytest.raises(UsageError, match="this figure shows"):
                draw_figure(name, data, {})
        assert draw_figure("3.15", data, {})  # numbers are no pictures


def test_a_recording_that_is_not_there_is_said(workspace):
    done = CliRunner().invoke(app, ["figure", "3.5", "--data", str(workspace / "global.h5"), "--raw", "nowhere"])
    assert done.exit_code == 2
    assert "--raw" in done.stderr


def test_the_dataset_is_never_written_over(workspace):
    data = workspace / "global.h5"
    before = data.read_bytes()
    done = CliRunner().invoke(app, ["figure", "3.1", "--data", str(data), "--out", str(data)])
    assert done.exit_code == 2
    assert data.read_bytes() == before
