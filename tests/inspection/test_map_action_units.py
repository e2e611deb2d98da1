"""map-aus: one row a scan, counts, reasons; as a library and at the terminal."""

from __future__ import annotations

import csv
import errno
import os

import pytest
from raw_trees import write_bosphorus
from typer.testing import CliRunner

from fer_prep.cli.app import app
from fer_prep.inspection.map_action_units import map_action_units, write_table

NAMES = ("bs000_N_N_0", "bs000_E_FEAR_0", "bs000_LFAU_12_0", "bs000_LFAU_12L_0", "bs000_UFAU_1_0", "bs000_YR_R20_0")


@pytest.fixture
def root(tmp_path):
    tree = write_bosphorus(tmp_path / "tree", *NAMES)
    (tree / "bs000" / "bs000_UFAU_1_0.lm3").unlink()
    return tree


def test_every_scan_has_a_category_or_a_reason(root):
    mapped = map_action_units(root, policy="thesis-3.8")
    assert [scan.scan for scan in mapped.scans] == sorted(NAMES)
    found = {scan.code: (scan.category, scan.strength, scan.usable) for scan in mapped.scans}
    assert found == {
        "N_N": ("neutral", "posed", "yes"),
        "E_FEAR": ("fear", "posed", "yes"),
        "LFAU_12": ("happiness", "strong", "yes"),
        "LFAU_12L": ("", "", "yes"),
        "UFAU_1": ("fear", "weak", "yes"),
        "YR_R20": ("", "", "yes"),
    }
    assert all(scan.reason for scan in mapped.scans)


def test_counts_add_up(root):
    mapped = map_action_units(root, policy="thesis-3.8")
    counts = {row[0]: row[1:] for row in mapped.counts()}
    assert counts["fear"] == (1, 0, 1, 2)
    assert sum(row[-1] for row in mapped.counts()) + sum(count for _, count in mapped.left_out()) == len(NAMES)


def test_the_table_is_csv_with_a_header(root, tmp_path):
    mapped = map_action_units(root, policy="weak-labels")
    write_table(mapped.scans, path=tmp_path / "new" / "table.csv")
    with (tmp_path / "new" / "table.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["scan"] for row in rows] == sorted(NAMES)
    assert next(row for row in rows if row["code"] == "LFAU_12L")["category"] == "happiness"


def test_the_command_prints_and_writes(root, tmp_path):
    out = tmp_path / "table.csv"
    done = CliRunner().invoke(app, ["map-aus", "--root", str(root), "--out", str(out)])
    assert done.exit_code == 0
    for text in ("bs000_LFAU_12_0", "happiness", "head turned (yaw)", "6 scans"):
        assert text in done.output
    assert len(out.read_text().splitlines()) == 1 + len(NAMES)


def test_a_full_disk_leaves_no_table(root, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    out = tmp_path / "table.csv"
    done = CliRunner().invoke(app, ["map-aus", "--root", str(root), "--out", str(out)])
    assert done.exit_code == 2
    assert f"{out}: no space left on device" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


@pytest.mark.parametrize("options", [["--policy", "nope"], ["--root", "nowhere"], ["--out", "."]])
def test_wrong_use_ends_with_2(root, tmp_path, options):
    arguments = ["map-aus", "--root", str(root), "--out", str(tmp_path / "table.csv"), *options]
    assert CliRunner().invoke(app, arguments).exit_code == 2
    assert not (tmp_path / "table.csv").exists()
