"""Every complete recording of the independent corpus that has an emotion becomes a sample of that emotion."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fer_prep.cli.app import app
from fer_prep.inspection.check_prepared import check_prepared
from fer_prep.prepare.folder import PreparedFolder

pytestmark = pytest.mark.corpus

TREES = {"bu3dfe": "BU3DFE", "bosphorus": "BosphorusDB", "cald3r": "CalD3r", "mend3s": "MenD3s"}


def test_all_of_the_datasets(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("data/raw").mkdir(parents=True)
    for folder in TREES.values():
        (Path("data/raw") / folder).symlink_to(corpus / folder)
    done = CliRunner().invoke(app, ["all", "--size", "64", "--workers", "2", "--max-rejected", "0.2"])
    assert done.exit_code == 0, done.output
    with (corpus / "truth.csv").open(newline="") as stream:
        truth = Counter(
            (row["dataset"].lower(), row["emotion"])
            for row in csv.DictReader(stream)
            if row["missing"] in ("", "lm3", "lm2+lm3") and row["emotion"]
        )
    found = Counter()
    for dataset in TREES:
        folder = PreparedFolder.open(Path("data/prepared") / dataset)
        for name, count in folder.summary["counts"]["by_class"].items():
            found[dataset, name] += count
        assert not check_prepared(folder.path, deep=True).failed
    assert found == truth
    assert Path("global.h5").is_file()
    assert Path("global.folds.json").is_file()
