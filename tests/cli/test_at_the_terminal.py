"""Programs as processes: Ctrl-C at any moment, places that cannot be written, terminals of all kinds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dataset_factories import make_rows, write_global, write_prepared

INTERRUPTED_AT = """
import signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
"""
START = "from {package}.__main__ import main; main()"


def run(*words: str, cwd: Path, before: str = "", prefix: tuple[str, ...] = (), **environment: str):
    """Run fer-prep or fer-train as its script does, with nothing of this terminal in its environment."""
    package = words[0].replace("-", "_")
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    return subprocess.run(
        [*prefix, sys.executable, "-c", before + START.format(package=package), *words[1:]],
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("typer", "fer-prep stats"),  # the very start
        ("rich.console", "fer-prep merge"),
        ("fer_prep.cli.inspect_commands", "fer-prep --help"),
        ("fer_prep.sample_data", "fer-prep sample-data"),
        ("fer_prep.prepare.prepare_tree", "fer-prep render-bu3dfe"),
        ("fer_prep.faces.landmarks", "fer-prep align --dataset mend3s"),
        ("fer_prep.inspection.map_action_units", "fer-prep map-aus"),
        ("fer_prep.merge.merge_folders", "fer-prep merge"),
        ("fer_prep.folds.splits", "fer-prep folds"),
        ("fer_prep.inspection.check_path", "fer-prep check ."),
        ("h5py", "fer-prep stats"),
        ("fer_prep.inspection.browse", "fer-prep browse"),
        ("fer_prep.exchange.export", "fer-prep export"),
        ("fer_prep.cli.doctor", "fer-prep doctor"),
        ("typer", "fer-train kfold"),
        ("torch", "fer-train kfold --preset demo --data good.h5"),
        ("fer_train.settings_file", "fer-train presets"),
        ("fer_train.analysis.compare", "fer-train compare a b"),
        ("fer_train.doctor", "fer-train doctor"),
    ],
)
def test_ctrl_c_is_no_crash_at_any_moment(module, command, tmp_path):
    (tmp_path / "data" / "raw" / "MenD3s").mkdir(parents=True)
    write_global(tmp_path / "good.h5", make_rows({"bu3dfe": 2}))
    done = run(*command.split(), cwd=tmp_path, before=INTERRUPTED_AT.format(module=module))
    assert done.returncode == 130, done.stderr
    assert done.stderr.startswith("interrupted")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "module", "said"),
    [
        ("fer-prep render-bu3dfe", "fer_prep.prepare.prepare_tree", "the same command continues"),
        ("fer-train kfold", "fer_train.settings_file", "with --resume"),
        ("fer-prep check .", "fer_prep.inspection.check_path", "interrupted\n"),
    ],
)
def test_ctrl_c_says_how_to_go_on(command, module, said, tmp_path):
    done = run(*command.split(), cwd=tmp_path, before=INTERRUPTED_AT.format(module=module))
    assert said in done.stderr


def without_root_rights() -> tuple[str, ...]:
    """A prefix under which the permissions of files hold even for root."""
    return () if os.geteuid() else ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


def test_a_folder_that_may_not_be_written_to(tmp_path):
    write_prepared(tmp_path / "ready", make_rows({"bu3dfe": 5}))
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    done = run("fer-prep", "merge", "ready", "--out", "locked/a.h5", cwd=tmp_path, prefix=without_root_rights())
    assert done.returncode == 2, done.stderr
    assert "permission denied" in done.stderr.lower()
    assert "locked" in done.stderr.splitlines()[0]
    assert len(done.stderr.splitlines()) == 2


def test_a_dataset_that_may_not_be_read(tmp_path):
    write_global(tmp_path / "secret.h5", make_rows({"bu3dfe": 2}))
    (tmp_path / "secret.h5").chmod(0)
    done = run("fer-prep", "stats", "secret.h5", cwd=tmp_path, prefix=without_root_rights())
    assert done.returncode == 2, done.stderr
    assert "secret.h5" in done.stderr.splitlines()[0]
    assert "not readable" in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr


def test_a_full_disk(tmp_path):
    write_prepared(tmp_path / "ready", make_rows({"bu3dfe": 5}))
    small = tmp_path / "small"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=64k none '{small}' && exec \"$@\""
    own_mounts = ("unshare", "--mount", "sh", "-c", mount, "sh")
    if subprocess.run([*own_mounts, "true"], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    done = run("fer-prep", "merge", "ready", "--out", "small/a.h5", cwd=tmp_path, prefix=own_mounts)
    assert done.returncode == 2, done.stderr
    assert "no space left on device" in done.stderr.lower()
    assert "free some space" in done.stderr
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("package", "command"),
    [("torch", "fer-train kfold --preset demo --data good.h5"), ("cv2", "fer-prep browse good.h5")],
)
def test_an_extra_that_is_not_installed(package, command, tmp_path):
    write_global(tmp_path / "good.h5", make_rows({"bu3dfe": 2}))
    done = run(*command.split(), cwd=tmp_path, before=f"import sys; sys.modules[{package!r}] = None\n")
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[0] == f"error: the Python package {package} is not installed"
    assert "pip install" in done.stderr.splitlines()[1]


@pytest.mark.parametrize("command", ["fer-prep --help", "fer-prep stats good.h5", "fer-prep check good.h5 --json"])
def test_a_reader_that_goes_away(command, tmp_path):
    write_global(tmp_path / "good.h5", make_rows({"bu3dfe": 2}))
    reading, writing = os.pipe()
    os.close(reading)
    package = command.split()[0].replace("-", "_")
    done = subprocess.run(
        [sys.executable, "-c", START.format(package=package), *command.split()[1:]],
        stdout=writing,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "environment",
    [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"COLUMNS": "70"}, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}],
    ids=str,
)
def test_output_is_plain_wherever_it_goes(environment, tmp_path):
    folder = tmp_path / "Zoës Daten"
    folder.mkdir()
    write_global(folder / "good.h5", make_rows({"bu3dfe": 2}))
    done = run("fer-prep", "stats", "Zoës Daten/good.h5", cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert "happiness" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    if "COLUMNS" in environment:
        assert max(map(len, done.stdout.splitlines())) <= 70
