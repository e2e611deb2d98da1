"""The public names of both packages: light to import, all there, documented by examples that run."""

from __future__ import annotations

import doctest
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dataset_factories import make_rows, write_global
from tiny_training import untrained_run

import fer_prep
import fer_prep.library
import fer_train
import fer_train.library

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "python.md"
PACKAGES = (fer_prep, fer_train)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A dataset of 14 samples, its folds, and a run, where the examples expect them."""
    monkeypatch.chdir(tmp_path)
    data = write_global(tmp_path / "global.h5", make_rows({"bu3dfe": 2}))
    run = untrained_run(tmp_path / "runs" / "demo", data)
    run.folds_file.rename(tmp_path / "global.folds.json")
    return tmp_path


@pytest.mark.parametrize("module", [fer_prep.library, fer_train.library], ids=lambda m: m.__name__)
def test_the_examples_in_docstrings_run(module, workspace):
    done = doctest.testmod(module)
    assert done.attempted
    assert not done.failed


def test_the_examples_on_the_page_run(workspace):
    done = doctest.testfile(str(PAGE), module_relative=False)
    assert done.attempted
    assert not done.failed


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.__name__)
def test_every_public_name_is_there_and_on_the_page(package):
    page = PAGE.read_text(encoding="utf-8")
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert re.search(rf"\b{name}\b", page), f"{name} is not documented"
        assert name in dir(package)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.__name__)
def test_importing_is_light(package):
    code = f"import sys, json, {package.__name__}; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert not {"numpy", "torch", "h5py", "cv2", "typer", "rich"} & set(loaded)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.__name__)
def test_types_are_shipped(package):
    assert (Path(package.__file__).parent / "py.typed").is_file()


def test_samples_come_in_the_order_asked_for_with_their_own_pixels(workspace):
    with fer_prep.open_dataset("global.h5") as data:
        wanted = [str(data.ids[5]), str(data.ids[2])]
        samples = list(fer_prep.iterate_samples(data, ids=wanted))
        assert [sample.id for sample in samples] == wanted
        for sample, row in zip(samples, (5, 2), strict=True):
            np.testing.assert_array_equal(sample.rgb, data.read("rgb", [row])[0])
            holes = sample.depth == 0
            assert holes.any()
            assert np.isnan(sample.height_mm[holes]).all()
            nearest = sample.height_mm[~holes].max()
            assert nearest == pytest.approx(sample.depth_offset_mm - (int(sample.depth[~holes].min()) - 1) * 0.01)


def test_probabilities_of_arrays_are_those_of_the_file(workspace):
    model = fer_train.load_model("runs/demo/fold-0", device="cpu")
    from_file = model.predict("global.h5")
    with fer_prep.open_dataset("global.h5") as data:
        rows = data.rows_of([prediction.id for prediction in from_file])
        direct = model.probabilities(data.read("rgb", rows), data.read("depth", rows))
    np.testing.assert_allclose(direct, [prediction.probabilities for prediction in from_file], atol=1e-6)


def test_arrays_of_another_shape_or_type_are_refused(workspace):
    model = fer_train.load_model("runs/demo", device="cpu")
    good = np.zeros((1, 32, 32, 3), np.uint8)
    with pytest.raises(fer_prep.FerError, match=r"expected rgb \(B, H, W, 3\)"):
        model.probabilities(good[0], np.zeros((32, 32), np.uint16))
    with pytest.raises(fer_prep.FerError, match="uint16"):
        model.probabilities(good, np.zeros((1, 32, 32), np.float32))


def test_homes_are_what_is_declared():
    for package in PACKAGES:
        assert set(package._HOMES) == set(package.__all__)
        for name, home in package._HOMES.items():
            assert hasattr(importlib.import_module(f"{package.__name__}.{home}"), name)
