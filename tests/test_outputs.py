"""No command writes over what it reads, nor over a file of another kind; ``--force`` allows the second alone."""

from __future__ import annotations

import importlib

import pytest
import typer
from dataset_factories import make_rows, write_dataset, write_prepared
from raw_trees import write_bosphorus
from typer.testing import CliRunner

from fer_prep.errors import UsageError
from fer_prep.outputs import PNG, check_output, consent

FILES = {
    ("folds", "out"): "folds {dataset} --folds 2 --out {out}",
    ("browse", "out"): "browse {dataset} --out {out}",
    ("stats", "csv"): "stats {dataset} --csv {out}",
    ("stats", "png"): "stats {dataset} --png {out}",
    ("map-aus", "out"): "map-aus --root {tree} --out {out}",
    ("merge", "out"): "merge {prepared} --size 16 --out {out}",
}
"""Command and option → a call that writes a file."""
FOLDERS = {
    "fer_prep": {"render-bu3dfe", "render-bosphorus", "align", "prepare", "import", "sample-data", "export", "all"},
    "fer_train": {"kfold", "fit", "evaluate", "export", "embed", "tune", "reproduce", "curve", "pretrain"},
}
"""Commands whose --out is a folder."""
PICTURES = {("explain", "out"), ("figure", "out")}
"""They want a trained run or faces, and ask ``check_output`` too."""


@pytest.fixture(autouse=True)
def _no_consent_left_behind():
    yield
    consent.given = False


@pytest.fixture
def places(tmp_path):
    rows = make_rows({"lab": 4})
    return {
        "dataset": write_dataset(tmp_path / "g.h5", rows, size=16),
        "prepared": write_prepared(tmp_path / "prepared", rows, size=16),
        "tree": write_bosphorus(tmp_path / "tree", "bs000_E_HAPPY_0"),
    }


def run(command, **places):
    app = importlib.import_module("fer_prep.cli.app").app
    return CliRunner().invoke(app, command.format(**places).split())


@pytest.mark.parametrize("program", ["fer_prep", "fer_train"])
def test_every_place_that_a_user_names_for_writing_is_known_here(program):
    group = typer.main.get_command(importlib.import_module(f"{program}.cli.app").app)
    named = {
        (name, parameter.name)
        for name, command in group.commands.items()
        for parameter in command.params
        if parameter.name in ("out", "csv", "png", "to_file")
    }
    files = {pair for pair in named if pair[0] not in FOLDERS[program]}
    assert files <= {*FILES, *PICTURES}, "let it ask check_output, and add it"


@pytest.mark.parametrize("call", FILES.values(), ids=map(" --".join, FILES))
class TestEveryCommand:
    def name(self, call, tmp_path):
        return tmp_path / ("out.png" if "--png" in call else "out.x")

    def test_its_own_input_is_never_replaced(self, call, places, tmp_path):
        for reached in ("itself", "link"):
            out = places["prepared"] if "merge" in call else places["tree"] if "map-aus" in call else places["dataset"]
            if reached == "link":
                (tmp_path / "link.png").symlink_to(out)
                out = tmp_path / "link.png"
            before = out.read_bytes() if out.is_file() else sorted(out.rglob("*"))
            for force in ("", "--force "):
                result = run(force + call, **places, out=out)
                assert result.exit_code == 2, result.output
                assert "never written over" in " ".join(result.output.split())
                assert (out.read_bytes() if out.is_file() else sorted(out.rglob("*"))) == before

    def test_a_file_of_another_kind_is_replaced_by_force_alone(self, call, places, tmp_path):
        out = self.name(call, tmp_path)
        for content in (b"my notes", b'{"name": "package"}', b"<!doctype html><html>mine", b"\x89HDF\r\n\x1a\n..."):
            out.write_bytes(content)
            result = run(call, **places, out=out)
            assert result.exit_code == 2, result.output
            assert "--force" in result.output
            assert out.read_bytes() == content
        result = run(call + " --force", **places, out=out)
        assert result.exit_code == 0, result.output
        assert out.read_bytes() != content

    def test_its_own_kind_and_an_empty_file_are(self, call, places, tmp_path):
        out = self.name(call, tmp_path)
        out.write_bytes(b"")
        for _ in range(2):
            result = run(call, **places, out=out)
            assert result.exit_code == 0, result.output
        assert out.stat().st_size > 100


def test_a_picture_has_the_name_of_what_it_is(tmp_path):
    with pytest.raises(UsageError, match=r"ends with \.png"):
        check_output(tmp_path / "x.pdf", what="a PNG picture", begins=PNG)


def test_a_manifest_may_have_been_laid_out_anew(places, tmp_path):
    out = tmp_path / "f.json"
    call = FILES["folds", "out"]
    assert run(call, **places, out=out).exit_code == 0
    out.write_text(out.read_text().replace("\n ", "\n\t\t"))
    assert run(call, **places, out=out).exit_code == 0
