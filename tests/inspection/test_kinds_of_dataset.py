"""Datasets of one modality, of clips, views, soft labels and landmarks: every inspection knows them."""

from __future__ import annotations

import base64
import json
import re

import h5py
import numpy as np
import pytest
from dataset_factories import KINDS, make_rows, write_kind, write_prepared
from headless_browser import start_browser
from typer.testing import CliRunner

from fer_prep.cli.app import app
from fer_prep.dataset.reader import DatasetFile
from fer_prep.emotions import EMOTIONS
from fer_prep.inspection.check_path import check_path
from fer_prep.inspection.data_card import write_data_card
from fer_prep.inspection.statistics import measures
from fer_prep.merge.merge_folders import merge


@pytest.fixture(params=KINDS)
def dataset(request, tmp_path):
    return write_kind(tmp_path / f"{request.param}.h5", request.param)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_nothing_is_wrong_with_it(dataset):
    report = check_path(dataset, deep=True)
    assert not report.failed, report.findings
    said = {finding.what: finding.text for finding in report.findings}
    if dataset.stem == "clips":
        assert said["sequences"] == "2 recordings and clips; 6 samples are frames of clips, 0 are views"
    if dataset.stem == "views":
        assert said["sequences"] == "6 recordings and clips; 0 samples are frames of clips, 12 are views"
    if dataset.stem == "landmarks":
        assert said["landmarks bu3dfe-83"] == "2 points in 4 of 6 samples"
    assert ("coverage" in said) == (dataset.stem != "rgb")


def test_it_is_counted(dataset, tmp_path):
    result = run("stats", dataset, "--json", "--csv", tmp_path / "counts.csv")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    rows = {"clips": ("lab", 6, 2, 0, 2), "views": ("lab", 18, 0, 12, 6)}
    columns = ("dataset", "samples", "clips", "views", "recordings")
    wanted = [dict(zip(columns, rows[dataset.stem], strict=True))] if dataset.stem in rows else []
    assert found["sequences"] == wanted
    assert [line["landmarks"] for line in found["landmarks"]] == ["bu3dfe-83", "mesh"] * (dataset.stem == "landmarks")
    views = {"", "@y+30p-10", "@y-30p+0"} if dataset.stem == "views" else {""}
    assert set(found["counts"]["view"]) == views
    with DatasetFile.open(dataset) as data:
        named = {measure.name: measure.values for measure in measures(data)}
    assert ("depth range" in named) == (dataset.stem != "rgb")
    if dataset.stem == "soft":
        np.testing.assert_allclose(named["annotators' agreement"], 75)


def test_the_card_says_what_is_in_it(dataset):
    text, machine = (path.read_text() for path in write_data_card(dataset))
    kinds = {"rgb": "6 colour pictures", "depth": "6 depth pictures", "views": "18 registered RGB-D pictures"}
    assert kinds.get(dataset.stem, "6 registered RGB-D pictures") + " of 2 people" in text
    assert ("depth in steps" in text) == (dataset.stem != "rgb")
    assert ("landmarks bu3dfe-83 in 4 of them" in text) == (dataset.stem == "landmarks")
    assert ("shares of annotators" in text) == (dataset.stem == "soft")
    with h5py.File(dataset) as root:
        for field in json.loads(machine)["recordSet"][1]["field"]:
            assert field["source"]["extract"]["column"] in root


def test_the_page_shows_what_is_stored(dataset):
    assert run("browse", dataset).exit_code == 0
    page = dataset.with_suffix(".html").read_text()
    said = json.loads(re.search(r'id="samples">(.*?)</script>', page, re.DOTALL)[1])
    with DatasetFile.open(dataset) as data:
        assert said["kinds"] == list(data.modalities)
        for kind in ("rgb", "depth"):
            assert (f'id="{kind}-0"' in page) == (kind in data.modalities)
        for scheme in data.landmark_schemes:
            block = re.search(rf'id="landmarks-{scheme}">(.*?)</script>', page, re.DOTALL)[1]
            drawn = np.frombuffer(base64.b64decode(block), np.uint8).reshape(data.n, -1, 2).astype(float)
            places = (drawn - 1) / 254 * data.height - 0.5
            stored = data.landmarks(scheme).points_px
            np.testing.assert_array_equal(drawn > 0, np.isfinite(stored))
            assert np.nanmax(np.abs(np.where(drawn > 0, places, np.nan) - stored)) < data.height / 500
    if dataset.stem == "soft":
        assert said["columns"]["annotators"][0] == "anger 0.75, surprise 0.25"
    if dataset.stem == "views":
        assert said["columns"]["view"][:3] == ["", "@y+30p-10", "@y-30p+0"]


@pytest.mark.parametrize(
    ("kind", "place", "value", "what"),
    [
        ("clips", ("samples/frame", 1), 0, "clips"),
        ("views", ("samples/yaw_degrees", 1), 20.0, "views"),
        ("soft", ("labels/soft", 0, 0), 0.5, "soft labels"),
        ("soft", ("labels/soft", 0, 0), np.nan, "soft labels"),
        ("landmarks", ("landmarks/mesh/points_px", 1, 0, 0), np.nan, "landmarks mesh"),
    ],
)
def test_what_contradicts_the_format_is_named(tmp_path, kind, place, value, what):
    dataset = write_kind(tmp_path / "d.h5", kind)
    name, *where = place
    with h5py.File(dataset, "r+") as root:
        root[name][tuple(where)] = value
    findings = {finding.what: finding for finding in check_path(dataset).findings if finding.severity == "error"}
    with DatasetFile.open(dataset) as data:
        assert findings[what].items == (data.ids[where[0]],)


@pytest.mark.parametrize(("framing", "fine"), [("frontal", True), ("rotate", False)])
def test_a_turn_without_an_id_of_a_view_is_that_of_the_frontal_framing(tmp_path, framing, fine):
    rows = [{**row, "yaw_degrees": 12.3, "pitch_degrees": -4.5} for row in make_rows({"lab": 2}, emotions=EMOTIONS[:3])]
    folder = write_prepared(tmp_path / "lab", rows, framing=framing)
    merge([folder], out=tmp_path / "g.h5", size=32)
    report = check_path(tmp_path / "g.h5")
    assert ("views" not in {finding.what for finding in report.findings if finding.severity == "error"}) == fine
    said = json.loads(run("stats", tmp_path / "g.h5", "--json").stdout)
    assert set(said["counts"]["view"]) == {""}


def test_landmarks_are_drawn_on_the_pictures(tmp_path):
    dataset = write_kind(tmp_path / "d.h5", "landmarks")
    with DatasetFile.open(dataset) as data:
        x, y = ((data.landmarks("mesh").points_px[1, 0] + 0.5) * 640 / data.height).round().astype(int).tolist()
    assert run("browse", dataset).exit_code == 0
    with start_browser() as browser:
        browser.get(dataset.with_suffix(".html").as_uri())
        pixel = f"getImageData({x}, {y}, 1, 1).data"
        colour = f"open(1); return [...document.getElementById('big-depth').getContext('2d').{pixel}].slice(0, 3)"
        red, green, blue = browser.execute_script(colour)
        assert (red, green, blue) == (255, 102, 255), "the colour of the second scheme"
