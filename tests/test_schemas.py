"""The published JSON Schemas are those of the classes that check files, and say what the program takes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from dataset_factories import make_rows, write_dataset, write_prepared
from jsonschema import Draft202012Validator
from make_schemas import KINDS, PUBLISHED, schemas

from fer_prep.dataset.reader import DatasetFile
from fer_prep.folds.splits import make_folds, write_folds
from fer_prep.resources import manifests_folder

SHIPPED = {"protocol": "protocols", "policy": "policies", "preset": "presets", "dataset": ""}


def mistakes(kind, content) -> list[str]:
    schema = json.loads((PUBLISHED / f"{kind}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return [error.message for error in Draft202012Validator(schema).iter_errors(content)]


def test_what_is_published_is_what_the_classes_say():
    written = {path.name: path.read_text(encoding="utf-8") for path in PUBLISHED.iterdir()}
    assert written == schemas(), "run make schemas"
    assert {*KINDS, "fer-toml"} == {name.partition(".")[0] for name in written}


@pytest.mark.parametrize(
    ("kind", "path"),
    [(kind, path) for kind, of in SHIPPED.items() for path in sorted((manifests_folder() / of).glob("*.toml"))],
    ids=lambda value: value.stem if isinstance(value, Path) else value,
)
def test_what_is_shipped_fits(kind, path):
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    assert mistakes(kind, content) == []
    assert mistakes(kind, {**content, "titel": "x"})


def test_what_the_program_writes_fits(tmp_path):
    rows = make_rows({"lab": 4})
    folder = write_prepared(tmp_path / "lab", rows, size=8)
    with DatasetFile.open(write_dataset(tmp_path / "g.h5", rows)) as data:
        write_folds(make_folds(data, folds=2), tmp_path / "f.json", data=data)
    for kind, path in (("prepared", folder / "prepared.json"), ("folds", tmp_path / "f.json")):
        content = json.loads(path.read_text())
        assert mistakes(kind, content) == []
        assert mistakes(kind, {**content, "format": "other"})
        assert mistakes(kind, {name: value for name, value in content.items() if name != "classes"})


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("workers = 4\nmax-rejected = 0.1\n[raw]\nbu3dfe = '/data'\n", True),
        ("max-rejected = '10%'\n[fer-prep.merge]\nshard-size = 20\ncard = false\nintensity = '3-4'\n", True),
        ("[fer-train.kfold]\npreset = 'demo'\nepochs = 3\n", True),
        ("[fer-prep.merge]\nshard-sise = 20\n", False),
        ("[fer-prep.merge]\nshard-size = 'many'\n", False),
        ("[fer-prep.render-bu3dfe]\nframing = 'round'\n", False),
        ("[raw]\nbp4d = '/data'\n", False),
    ],
)
def test_fer_toml(text, fits):
    assert (mistakes("fer-toml", tomllib.loads(text)) == []) == fits
