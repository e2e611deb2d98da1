"""Mistakes people make, and what they are told: one or two lines with what was expected, and the right exit code."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest
from dataset_factories import make_rows, write_global, write_prepared
from typer.testing import CliRunner

from fer_prep.cli.app import app as prep
from fer_train.cli.app import app as train

MISTAKES = {
    # wrong places
    "no raw tree": (prep, "render-bu3dfe", "data/raw/BU3DFE: no such folder"),
    "an empty folder as raw tree": (prep, "render-bosphorus --root empty", "empty: expected a Bosphorus tree"),
    "a file where a folder is expected": (prep, "render-bu3dfe --root file.txt", "file.txt: not a folder"),
    "no raw tree at all": (prep, "all", "expected data/raw/BU3DFE"),
    "neither of two trees": (prep, "align", "no CalD3r or MenD3s tree is here"),
    "no prepared folder": (prep, "merge", "data/prepared: no prepared folder is here"),
    "HDF5 where a prepared folder is expected": (prep, "merge good.h5", "good.h5: expected a prepared folder"),
    "a folder where HDF5 is expected": (prep, "stats empty", "empty: expected an HDF5 dataset; found a folder"),
    "no dataset": (prep, "stats", "global.h5: no such file"),
    "the output is a folder": (prep, "folds good.h5 --folds 2 --out empty", "empty: is a directory"),
    "another person's output": (prep, "export good.h5 --out full", "full: expected an empty folder"),
    "nothing to import": (prep, "import empty --dataset lab", "empty/samples.csv: no such table"),
    "sample data over other data": (prep, "sample-data --out full", "full: expected an empty folder"),
    "nothing to check": (prep, "check nowhere", "nowhere: no such file or folder"),
    # wrong files
    "text that calls itself HDF5": (prep, "stats text.h5", "text.h5: expected an HDF5 file"),
    "an empty HDF5": (train, "kfold --data empty.h5 --preset demo", "empty.h5: expected a fer-rgbd dataset"),
    "an older format": (prep, "stats old.h5", "old.h5: expected format version 2; found version 0"),
    "folds of a newer format": (
        prep,
        "export good.h5 --folds new.json --out new",
        "new.json: expected version 1",
    ),
    "broken JSON": (train, "kfold --data good.h5 --manifest broken.json --preset demo", "broken.json: not valid JSON"),
    "swapped arguments": (train, "evaluate good.h5 --data empty", "good.h5"),
    # wrong numbers
    "negative workers": (prep, "merge --workers -1", "'--workers': expected greater than or equal to 0; found '-1'"),
    "one fold": (prep, "folds good.h5 --folds 1", "at least 2 folds"),
    "no folds": (prep, "folds good.h5 --folds 0", "'--folds': expected greater than or equal to 1; found '0'"),
    "no folds to train": (train, "kfold --folds 0", "'--folds': expected greater than or equal to 2; found '0'"),
    "more folds than people": (prep, "folds good.h5 --folds 1000", "1000 parts need at least 1000 subjects"),
    "a size of nothing": (prep, "merge ready --size 0", "--size 0: expected 8 to 4096 pixels"),
    "text for a number": (prep, "merge --size big", "'--size': expected a whole number; found 'big'"),
    "negative epochs": (
        train,
        "kfold --data good.h5 --preset demo --epochs -3",
        "'--epochs': expected greater than or equal to 1; found '-3'",
    ),
    # unknown names
    "an unknown command": (prep, "merg", "no such command 'merg'. Did you mean 'merge'?"),
    "an unknown option": (prep, "merge --shard-sise 3", "--shard-size"),
    "an unknown choice": (
        prep,
        "render-bu3dfe --framing eye",
        "'eye' is not one of 'rotate', 'rotate-only', 'eyes'",
    ),
    "an unknown protocol": (prep, "folds good.h5 --protocol subject-kfod", "did you mean subject-kfold"),
    "an unknown preset": (train, "kfold --preset demmo", "demo"),
    "an unknown loss": (train, "kfold --data good.h5 --preset demo --loss centre", "did you mean center?"),
    "an unknown setting": (train, "kfold --data good.h5 --preset demo --set training.epohcs=3", "training.epochs"),
    "an unknown class": (prep, "merge ready --classes sevn", "--classes 'sevn': expected seven"),
    "a missing argument": (prep, "import", "missing argument 'root'"),
    # settings and runs
    "a mistyped key in a preset": (train, "kfold --preset typo.toml", "typo.toml: no setting called 'training.epohcs'"),
    "a broken preset": (train, "kfold --preset bad.toml", "bad.toml: not valid TOML"),
    "a run that exists": (train, "kfold --data good.h5 --preset demo --out full", "full"),
    "a run to resume that is not there": (train, "kfold --data good.h5 --resume --out nowhere", "nowhere"),
    "no run to resume": (train, "kfold --data good.h5 --resume", "runs"),
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    """A folder with one good dataset and everything that can be mistaken for one; its name is a hard one."""
    folder = tmp_path_factory.mktemp("désordre de Zoë ü")
    write_global(folder / "good.h5", make_rows({"bu3dfe": 4}))
    write_prepared(folder / "ready", make_rows({"bu3dfe": 2}))
    (folder / "empty").mkdir()
    (folder / "full").mkdir()
    (folder / "full" / "thesis.tex").write_text("years of work")
    texts = {
        "file.txt": "x",
        "text.h5": "not HDF5",
        "new.json": json.dumps({"format": "fer-folds", "version": 9}),
        "broken.json": "{",
        "typo.toml": "[training]\nepohcs = 3\n",
        "bad.toml": "[training\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    h5py.File(folder / "empty.h5", "w").close()
    with h5py.File(folder / "old.h5", "w") as old:
        old.attrs["format"], old.attrs["format_version"] = "fer-rgbd", 0
    return folder


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_two_lines(mistake, workspace, monkeypatch):
    app, words, said = MISTAKES[mistake]
    monkeypatch.chdir(workspace)
    before = set(workspace.iterdir())
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 2, done.output
    lines = [line for line in done.stderr.splitlines() if line]
    error = next(index for index, line in enumerate(lines) if line.startswith("error: "))
    assert said in "\n".join(lines[error:])
    assert 1 <= len(lines) - error <= 2, done.stderr
    assert done.stdout == ""
    new = set(workspace.iterdir()) - before - {workspace / "runs"}  # where runs go; empty
    assert not new, "a command that could not start left something behind"
    assert not list(workspace.glob("runs/*/*"))
