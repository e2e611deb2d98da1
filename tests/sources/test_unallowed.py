"""People of Bosphorus whose pictures may not be published appear in no page and no figure."""

from __future__ import annotations

import base64
import json
import re

import cv2
import numpy as np
import pytest
from dataset_factories import make_rows, write_dataset
from raw_trees import write_bosphorus
from typer.testing import CliRunner

from fer_prep.cli.app import app
from fer_prep.dataset.reader import DatasetFile
from fer_prep.landmark_set import LandmarkSet
from fer_prep.outputs import consent, may_be_shown
from fer_prep.sources import make_source


@pytest.mark.parametrize(
    ("text", "hidden", "said"),
    [
        ("bs001\nbs002\n", {"bs001", "bs002"}, ""),
        ("These may not be shown:\n1, 2\n", {"bs001", "bs002"}, ""),
        ("\ufeffBS002\r\n\r\n", {"bs002"}, ""),
        ("bs001 since 2009", {"bs000", "bs001", "bs002"}, "line 1 is not understood: nobody is shown"),
        ("", set(), ""),
        (None, set(), ""),
    ],
)
def test_who_is_named_by_the_list(tmp_path, text, hidden, said):
    root = write_bosphorus(tmp_path, "bs000_N_N_0", "bs001_N_N_0", "bs002_E_HAPPY_0")
    if text is not None:
        (root / "unallowed_subjects.txt").write_text(text, encoding="utf-8", newline="")
    listing = make_source("bosphorus").list_samples(root)
    assert {sample.subject.partition(":")[2] for sample in listing.samples if not sample.publishable} == hidden
    assert len(listing.samples) == 3
    assert any(said in warning for warning in listing.warnings) if said else not listing.warnings


def test_a_list_that_is_no_file_shows_nobody(tmp_path):
    root = write_bosphorus(tmp_path, "bs000_N_N_0")
    (root / "unallowed_subjects.txt").mkdir()
    listing = make_source("bosphorus").list_samples(root)
    assert [sample.publishable for sample in listing.samples] == [False]
    assert "is no file: nobody is shown" in listing.warnings[0]


@pytest.fixture
def dataset(tmp_path):
    rows = [{**row, "publishable": int(number % 3 > 0)} for number, row in enumerate(make_rows({"lab": 2}))]
    mesh = LandmarkSet(names=("chin", "nose"), points_px=np.full((len(rows), 2, 2), 9, np.float32))
    return write_dataset(tmp_path / "g.h5", rows, landmarks={"mesh": mesh})


def thumbnails(page, kind, size):
    """(n, size, size, 3) of the first atlas."""
    text = re.search(rf'id="{kind}-0">(.*?)</script>', page.read_text(), re.DOTALL)[1]
    atlas = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)
    return atlas.reshape(-1, size, atlas.shape[1] // size, size, 3).swapaxes(1, 2).reshape(-1, size, size, 3)


@pytest.mark.parametrize("asked", [False, True])
def test_the_page_has_neither_picture_nor_shape_of_them(dataset, asked):
    arguments = ["browse", str(dataset), "--out", str(dataset.with_suffix(".html"))]
    try:
        assert CliRunner().invoke(app, [*arguments, *["--show-all-subjects"] * asked]).exit_code == 0
    finally:
        consent.to_show_all = False
    with DatasetFile.open(dataset) as data:
        shown = may_be_shown(data)
        for kind in ("rgb", "depth"):
            pictures = thumbnails(dataset.with_suffix(".html"), kind, data.height)[: data.n]
            flat = np.ptp(pictures[:, 8:-8, 8:-8].reshape(data.n, -1), axis=1) < 20
            assert (flat == (False if asked else ~shown)).all()
        page = dataset.with_suffix(".html").read_text()
        said = json.loads(re.search(r'id="samples">(.*?)</script>', page, re.DOTALL)[1])
        points = np.frombuffer(base64.b64decode(re.search(r'id="landmarks-mesh">(.*?)<', page)[1]), np.uint8)
        seen = (points.reshape(data.n, -1) > 0).any(axis=1)
        eyes = np.array([eye[0] is not None for eye in said["columns"]["left_eye"]])
        for drawn in (seen, eyes, np.array(said["relief"]) > 0):
            np.testing.assert_array_equal(drawn, True if asked else shown)


def test_a_file_that_says_nothing_of_it_shows_all(dataset):
    import h5py

    with h5py.File(dataset, "r+") as root:
        del root["samples/publishable"]
    with DatasetFile.open(dataset) as data:
        assert may_be_shown(data).all()
