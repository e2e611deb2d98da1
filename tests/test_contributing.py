"""CONTRIBUTING is true: its tables name what there is, its ways are walked, its additions are made with its code."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_training import TINY, as_options, write_telling_data
from typer.testing import CliRunner

from fer_prep.cli.app import app as prep_app
from fer_prep.dataset.reader import DatasetFile
from fer_prep.emotions import EMOTIONS
from fer_prep.folds.splits import make_folds
from fer_train import losses
from fer_train.cli.app import app as train_app
from fer_train.config import LossSettings
from fer_train.losses import make_loss

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    found = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", TEXT, re.S | re.M)
    assert found, f"no section {heading!r}"
    return found[1]


def code_of(heading: str, number: int = 0) -> str:
    """The first Python block under a heading, or another one."""
    return re.findall(r"```python\n(.*?)```", section(heading), re.S)[number]


def call(app: Any, *words: object) -> None:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, (done.output, done.exception)


def module_from(code: str, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Save the code as an importable module."""
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))


# what is where


@pytest.mark.parametrize("program", ["fer_prep", "fer_train"])
def test_every_package_is_in_its_table(program):
    rows = re.search(rf"^\| `{program}/` \|.*?\n\n", TEXT, re.S | re.M)
    assert rows
    named = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in rows[0].strip().splitlines())))
    packages = {path.parent.name for path in (ROOT / program).glob("*/__init__.py")}
    assert packages <= named
    assert all((ROOT / program / name).is_dir() or (ROOT / program / f"{name}.py").is_file() for name in named)


def test_the_tables_of_new_things_exist():
    for row in section("Where new things go").splitlines():
        for path in re.findall(r"`((?:fer_|manifests|tests)[\w/]+(?:/|\.py))`?", row):
            assert (ROOT / path).exists(), path
        for name, path in re.findall(r"`([A-Z]+)` in `(fer_[\w/]+\.py)`", row):
            assert re.search(rf"^{name}\b", (ROOT / path).read_text(encoding="utf-8"), re.M), name


# the two ways


def way(heading: str) -> list[tuple[str, str]]:
    """(file, name of the function) of every step."""
    return re.findall(r"^\d+\. `([\w/]+\.py)` · `([\w.]+)`", section(heading), re.M)


def calls_during(action: Callable[[], None]) -> list[tuple[str, str]]:
    """(file, function) of our own, in the order in which each was first called."""
    seen: dict[tuple[str, str], None] = {}

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(f"{ROOT}/fer_"):
            file = Path(frame.f_code.co_filename).relative_to(ROOT).as_posix()
            seen.setdefault((file, frame.f_code.co_qualname))

    sys.setprofile(note)
    threading.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return list(seen)


def assert_walked(heading: str, action: Callable[[], None]) -> None:
    steps = way(heading)
    assert len(steps) > 8
    first_calls = calls_during(action)
    assert [step for step in steps if step not in first_calls] == []
    assert steps == sorted(steps, key=first_calls.index)


def test_a_sample_goes_the_way_of_the_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call(prep_app, "sample-data", "--out", "data/raw", "--subjects", 1, "--intensities", 4)

    def prepare_and_merge() -> None:
        call(prep_app, "render-bu3dfe", "--workers", 0, "--size", 48)
        call(prep_app, "merge", "data/prepared/bu3dfe", "--out", "global.h5")

    assert_walked("The way of a sample", prepare_and_merge)


def test_a_batch_goes_the_way_of_the_text(tmp_path):
    data = write_telling_data(tmp_path / "global.h5", subjects=10)
    assert_walked("The way of a batch", lambda: fit(data, tmp_path / "run"))


def fit(data: Path, out: Path, **changes: object) -> None:
    settings = TINY | {"training.epochs": 1, "loss.name": "cross-entropy"} | changes
    words = as_options(settings)
    call(train_app, "fit", "--data", data, "--out", out, *words)


# what is added


def test_a_source_of_sequences_from_another_package_is_prepared_and_merged(tmp_path):
    package = tmp_path / "package"
    (package / "my_package").mkdir(parents=True)
    (package / "my_package" / "__init__.py").write_text("")
    (package / "my_package" / "mylab.py").write_text(code_of("Add a dataset"), encoding="utf-8")
    entry = re.search(r"```toml\n(.*?)```", TEXT, re.S)
    assert entry
    project = (
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "my-package"\nversion = "1"\n' + re.sub(r"^ +", "", entry[1], flags=re.M)
    )
    (package / "pyproject.toml").write_text(project)
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*pip, str(site), str(package)], check=True)
    recordings(tmp_path / "data/raw/mylab")
    code = f"import sys; sys.path.insert(0, {str(site)!r}); from fer_prep.cli.app import app; app()"
    for words in (
        "prepare mylab --landmarks none --framing none --workers 0 --size 64 --max-rejected 0.5",
        "merge data/prepared/mylab --out global.h5",
    ):
        command = [sys.executable, "-c", code, *words.split()]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "data/prepared/mylab/rejected.csv").open(newline="") as stream:
        (rejected,) = csv.DictReader(stream)
    assert (rejected["sample_id"], rejected["reason"]) == ("mylab/zoe_anger_000", "missing-file")
    with DatasetFile.open(tmp_path / "global.h5") as data:
        assert data.ids.tolist() == sorted(f"mylab/{who}_{what}_00{k}" for who, what, k in FRAMES)
        assert data.column("clip").tolist() == [name[:-4] for name in data.ids.tolist()]
        assert data.column("frame").tolist() == [int(name[-3:]) for name in data.ids.tolist()]
        # even a protocol that splits samples keeps the frames of a clip together
        by_sample = 'scheme = "kfold"\ngroup_by = "sample"\nstratify = true\nfolds = 2\n'
        protocol = tmp_path / "by-sample.toml"
        protocol.write_text('title = "By sample"\nused_by = "this test"\nleaks = "people"\n' + by_sample)
        for fold in make_folds(data, protocol=str(protocol)).folds:
            assert not {name[:-4] for name in fold.train} & {name[:-4] for name in fold.val}


FRAMES = [(who, what, k) for who in ("anna", "ben", "cleo", "dan", "eve") for what in EMOTIONS for k in range(2)]


def recordings(root: Path) -> None:
    """Clips of three frames as the example's docstring says, and one frame without heights."""
    for person, emotion, frame in [*FRAMES, ("zoe", "anger", 0)]:
        folder = root / person / emotion
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), (128, 100, 80 * frame)).save(folder / f"00{frame}.png")
        if person != "zoe":
            np.save(folder / f"00{frame}.npy", np.linspace(0, 50, 64 * 64, dtype=np.float32).reshape(64, 64))


def scratch_trainer(folder: Path) -> Path:
    """A copy of fer_train to change."""
    return Path(shutil.copytree(ROOT / "fer_train", folder / "fer_train", ignore=shutil.ignore_patterns("__pycache__")))


def add_entry(file: Path, table: str, entry: str, *, before: str = "") -> None:
    """Put ``entry`` at the end of a table of the module, and ``before`` in front of the table."""
    head, name, tail = file.read_text(encoding="utf-8").partition(f"\n{table}: Final")
    entries, end, rest = tail.partition("\n)\n" if "\n)\n" in tail.split("\n}\n")[0] else "\n}\n")
    assert name, f"no {table} in {file}"
    file.write_text(f"{head}\n{before}\n{name}{entries}\n{entry.strip().rstrip(',')},{end}{rest}", encoding="utf-8")


def in_scratch(folder: Path, code: str) -> str:
    """What Python code prints that uses the changed copy and the helpers of these tests."""
    path = os.pathsep.join(map(str, (folder, ROOT, ROOT / "tests", ROOT / "tests" / "train")))
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=folder, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


USE_OF_THE_METRIC = """
import json, sys
from pathlib import Path
from tiny_training import untrained_run, write_telling_data
from typer.testing import CliRunner
from fer_train.cli.app import app

place = Path(sys.argv[1])
data = write_telling_data(place / "global.h5", subjects=4)
runs = [str(untrained_run(place / name, data, training__seed=seed).path) for name, seed in (("a", 0), ("b", 1))]
compared = CliRunner().invoke(app, ["compare", *runs, "--data", str(data), "--rounds", "100", "--json"])
print(json.dumps({"summary": json.loads((place / "a/summary.json").read_text()), "compared": compared.stdout}))
"""


def test_the_metric_of_the_text_is_one_function_and_one_entry_in_one_file(tmp_path):
    function, entry = (code_of("Add a metric", number) for number in (0, 1))
    add_entry(scratch_trainer(tmp_path) / "metrics" / "registry.py", "METRICS", entry, before=function)
    found = json.loads(in_scratch(tmp_path, USE_OF_THE_METRIC))
    summary = found["summary"]
    counts = np.array(summary["confusion_matrix"], float)
    agreed, chance = np.trace(counts) / counts.sum(), (counts.sum(0) @ counts.sum(1)) / counts.sum() ** 2
    assert summary["pooled"]["kappa"] == pytest.approx((agreed - chance) / (1 - chance))
    assert set(summary["kappa"]) == {"mean", "std", "ci95"}
    assert all("kappa" in fold for fold in summary["folds"])
    runs = json.loads(found["compared"])["runs"]
    assert runs[0]["kappa"] == pytest.approx(summary["pooled"]["kappa"])
    assert "p" in runs[1]["versus_first"]["kappa"]


def test_the_loss_of_the_text_needs_its_file_and_one_line(tmp_path, monkeypatch):
    module_from(code_of("Add a loss"), tmp_path, "brier", monkeypatch)
    line = re.search(r'`"brier": "fer_train\.losses\.(brier:\w+)",`', TEXT)
    assert line
    monkeypatch.setitem(losses.LOSSES, "brier", line[1])
    loss = make_loss(LossSettings(name="brier"), classes=3, feature_width=4)
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]], requires_grad=True)
    labels = torch.tensor([0, 2])
    value = loss(logits, torch.zeros(2, 4), labels)
    value.backward()
    p = np.exp(logits.detach().numpy())
    p /= p.sum(1, keepdims=True)
    expected = np.mean([sum((p[i, k] - (k == y)) ** 2 for k in range(3)) for i, y in enumerate([0, 2])])
    assert value.item() == pytest.approx(expected, rel=1e-6)
    assert logits.grad is not None


USE_OF_THE_NETWORK = """
import sys
from pathlib import Path
from tiny_training import TINY, as_options, write_telling_data
from fer_prep.dataset.reader import DatasetFile
from fer_train.cli.app import app
from fer_train.library import load_model

place = Path(sys.argv[1])
data = write_telling_data(place / "global.h5", subjects=10)
settings = TINY | {"training.epochs": 1, "model.network": "late-fusion", "model.inputs": "rgb,depth,chroma"}
words = as_options(settings)
app(["fit", "--data", str(data), "--out", str(place / "run"), *words], standalone_mode=False)
model = load_model(place / "run", device="cpu")
with DatasetFile.open(data) as file:
    found = model.probabilities(file.read("rgb", [0, 1]), file.read("depth", [0, 1]))
print(found.shape, *found.sum(axis=1).round(5))
"""


def test_the_network_of_the_text_trains_and_predicts_with_three_inputs(tmp_path):
    heading, trainer = "Add a network, and an input", scratch_trainer(tmp_path)
    network, chroma = (code_of(heading, number) for number in (0, 1))
    (trainer / "models" / "late_fusion.py").write_text(network, encoding="utf-8")
    images = trainer / "data" / "images.py"
    images.write_text(images.read_text(encoding="utf-8") + "\n\n" + chroma, encoding="utf-8")
    for name, file, table in (("late-fusion", "models/__init__.py", "MODELS"), ("chroma", "data/inputs.py", "INPUTS")):
        line = re.search(rf'`("{name}": .*?,)`', section(heading))
        assert line, name
        add_entry(trainer / file, table, f"    {line[1]}")
    assert in_scratch(tmp_path, USE_OF_THE_NETWORK).splitlines()[-1] == "(2, 7) 1.0 1.0"
