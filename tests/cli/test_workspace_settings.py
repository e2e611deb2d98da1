"""fer.toml: the command line before the file, the file before the default; what no command knows is refused."""

from __future__ import annotations

import json

import pytest
from dataset_factories import make_rows, write_global, write_prepared
from raw_trees import write_bosphorus
from typer.testing import CliRunner

from fer_prep.cli.app import app as prep
from fer_prep.dataset.reader import DatasetFile
from fer_train.cli.app import app as train


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_prepared(tmp_path / "data" / "prepared" / "bu3dfe", make_rows({"bu3dfe": 5}))
    return tmp_path


def configure(workspace, text: str, *, line_end: str = "\n") -> None:
    (workspace / "fer.toml").write_bytes(text.replace("\n", line_end).encode())


def shown(app, *words: str) -> dict[str, tuple[object, str]]:
    done = CliRunner().invoke(app, ["config", "show", *words, "--json"])
    assert done.exit_code == 0, done.stderr
    return {row["setting"]: (row["value"], row["from"]) for row in json.loads(done.stdout)}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_command_line_comes_first_then_the_file_then_the_default(workspace, line_end):
    configure(workspace, "size = 48\n[fer-prep.merge]\nout = 'mine.h5'\ncard = false\n", line_end=line_end)
    assert CliRunner().invoke(prep, ["merge"]).exit_code == 0
    with DatasetFile.open(workspace / "mine.h5") as data:
        assert data.height == 48
    assert not (workspace / "mine.card.md").exists()
    assert CliRunner().invoke(prep, ["merge", "--size", "40", "--out", "other.h5"]).exit_code == 0
    with DatasetFile.open(workspace / "other.h5") as data:
        assert data.height == 40


def test_a_commands_own_table_comes_before_the_common_keys(workspace):
    configure(workspace, "size = 48\n[fer-prep.merge]\nsize = 56\n")
    assert shown(prep, "merge")["merge --size"] == (56, "fer.toml [fer-prep.merge]")
    assert shown(prep, "align")["align --size"] == (48, "fer.toml")
    assert shown(prep, "align")["align --framing"] == ("rotate", "default")


def test_raw_trees_are_found_where_the_file_says(workspace):
    tree = write_bosphorus(workspace / "elsewhere", "bs000_N_N_0")
    configure(workspace, f"[raw]\nbosphorus = '{tree}'\n")
    assert shown(prep)["raw.bosphorus"] == (str(tree), "fer.toml [raw]")
    assert shown(prep)["raw.bu3dfe"] == ("data/raw/BU3DFE (not there)", "default")
    done = CliRunner().invoke(prep, ["map-aus", "--json"])
    assert [scan["scan"] for scan in json.loads(done.stdout)["scans"]] == ["bs000_N_N_0"]


def test_all_takes_configured_trees_too(workspace):
    configure(workspace, "[raw]\nbosphorus = 'nowhere'\n")
    assert CliRunner().invoke(prep, ["all"]).exit_code == 2
    (workspace / "nowhere").mkdir()
    done = CliRunner().invoke(prep, ["all"])
    assert "nowhere: expected a Bosphorus tree" in done.stderr


def test_the_other_programs_half_is_left_alone(workspace):
    configure(workspace, "[fer-train.kfold]\npreset = 'demo'\nfolds = 3\n")
    write_global(workspace / "global.h5", make_rows({"bu3dfe": 2}))
    assert CliRunner().invoke(prep, ["stats"]).exit_code == 0
    assert shown(train)["kfold --folds"] == (3, "fer.toml [fer-train.kfold]")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sise = 3\n", "no setting called sise; did you mean size?"),
        ("[raw]\nbu3df = 'x'\n", "no setting called raw.bu3df; did you mean bu3dfe?"),
        ("[raw]\nbu3dfe = 3\n", "raw.bu3dfe: expected the path of a folder in quotes; found 3"),
        ("[fer-prep.mergee]\nsize = 3\n", "no setting called fer-prep.mergee; did you mean merge?"),
        ("[fer-prep.merge]\nxyz = 3\n", "no setting called fer-prep.merge.xyz; known: card"),
        ("[fer-prep.merge]\nsize = 'big'\n", "merge: invalid value for '--size': expected a whole number; found 'big'"),
        ("fer-prep = 3\n", "expected a table [fer-prep]; found 3"),
        ("[fer-prep]\nmerge = 3\n", "expected a table [fer-prep.merge]; found 3"),
        ("size = \n", "not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named(workspace, text, said):
    configure(workspace, text)
    done = CliRunner().invoke(prep, ["merge"])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: fer.toml: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_help_is_there_while_the_file_is_broken(workspace):
    configure(workspace, "size = \n")
    assert CliRunner().invoke(prep, ["--help"]).exit_code == 0
