"""The command's promises: same options, same bytes; never mixed with anything else."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner
from waiting import wait_until

from fer_prep.cli.app import app
from fer_prep.emotions import EMOTIONS
from fer_prep.errors import UsageError
from fer_prep.sample_data import write_sample_data
from fer_prep.sample_data.write import DATASETS, SETTINGS_FILE, TRUTH_FILE, write_person


def _bytes_of(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "raw"
    write_sample_data(out, subjects=1, seed=3, intensities=(4,), workers=1)
    return out


def test_every_dataset_has_all_seven_emotions(tree):
    rows = list(csv.DictReader((tree / TRUTH_FILE).open(encoding="utf-8")))
    for dataset in DATASETS:
        assert {row["emotion"] for row in rows if row["dataset"] == dataset} >= set(EMOTIONS)


def test_truth_names_each_picture_once(tree):
    pictures = [row["picture"] for row in csv.DictReader((tree / TRUTH_FILE).open(encoding="utf-8"))]
    assert len(set(pictures)) == len(pictures)
    assert all((tree / picture).is_file() for picture in pictures)


@pytest.mark.parametrize(
    ("folder", "grammar"),
    [
        (
            "BU3DFE",
            r"[FM]\d{4}/[FM]\d{4}_(NE00|(AN|DI|FE|HA|SA|SU)0[1-4])(WH|BL|LA|AE|AM|IN)_(F3D\.(wrl|bnd|bmp)|F2D\.bmp)",
        ),
        (
            "BosphorusDB",
            r"bs\d{3}/bs\d{3}_(N_N|E_[A-Z]+|[LU]FAU_\d+[LRW]*|CAU_\w+|[YP]R_\w+|O_[A-Z]+|IGN_\w+)_\d\.(bnt|png|lm2|lm3)",
        ),
        ("CalD3r", r"[A-Z][a-z]+/(RGB|DEPTH)/[FM]_\d{3}_\d_[a-z]+_(Color|Depth)\.png"),
        ("MenD3s", r"[A-Z][a-z]+/(RGB|DEPTH)/[FM]_\d{2}_\d{2}_[a-z]+_(Color|Depth)\.png"),
    ],
)
def test_names_follow_the_native_grammar(tree, folder, grammar):
    names = [path.relative_to(tree / folder).as_posix() for path in (tree / folder).rglob("*") if path.is_file()]
    assert names
    assert [name for name in names if not re.fullmatch(grammar, name)] == []


def test_a_person_is_the_same_in_another_process_and_order(tree, tmp_path):
    settings = json.loads((tree / SETTINGS_FILE).read_text())["settings"]
    write_person(tmp_path, "mend3s", 0, settings=settings)
    again = _bytes_of(tmp_path)
    assert again
    assert all((tree / name).read_bytes() == content for name, content in again.items())


def test_another_seed_makes_another_person(tree, tmp_path):
    settings = json.loads((tree / SETTINGS_FILE).read_text())["settings"]
    write_person(tmp_path, "mend3s", 0, settings={**settings, "seed": 4})
    assert all((tree / name).read_bytes() != content for name, content in _bytes_of(tmp_path).items())


def test_a_second_run_writes_nothing(tree):
    before = {path: path.stat().st_mtime_ns for path in tree.rglob("*")}
    summary = write_sample_data(tree, subjects=1, seed=3, intensities=(4,))
    assert summary.already_there
    assert summary.subjects == dict.fromkeys(DATASETS, 1)
    assert {path: path.stat().st_mtime_ns for path in tree.rglob("*")} == before


def test_other_settings_are_refused(tree):
    with pytest.raises(UsageError, match="seed 3"):
        write_sample_data(tree, subjects=1, seed=4, intensities=(4,))


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "BU3DFE").mkdir()
    with pytest.raises(UsageError, match="did not write"):
        write_sample_data(tmp_path, subjects=1)
    assert [path.name for path in tmp_path.iterdir()] == ["BU3DFE"]


def test_the_command_refuses_intensities_that_do_not_exist(tmp_path):
    outcome = CliRunner().invoke(app, ["sample-data", "--out", str(tmp_path / "raw"), "--intensities", "3,5"])
    assert outcome.exit_code == 2
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize("way", [[], ["--registered", "--subjects", "50"]])
def test_the_workers_of_a_killed_command_end_with_it(tmp_path, way):
    command = [sys.executable, "-m", "fer_prep", "sample-data", "--out", str(tmp_path / "out"), "--workers", "2", *way]
    parent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    wait_until(lambda: len(children.read_text().split()) >= 3, "two workers and multiprocessing's own process")
    workers = [int(child) for child in children.read_text().split()]
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(_is_alive(worker) for worker in workers), "the end of the workers")


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_people_whom_a_start_has_learned_from_stand_in_no_sample_data(tmp_path):
    with pytest.raises(UsageError, match="seed 1907 is kept for the people whom the start generated-v1"):
        write_sample_data(tmp_path / "raw", subjects=1, seed=1907)
    assert not (tmp_path / "raw").exists()
