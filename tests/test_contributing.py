"""CONTRIBUTING's walks, walked with the code of the text: a source elsewhere, a loss, a network, a metric."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from fer_train import losses, models
from fer_train.config import LossSettings, ModelSettings
from fer_train.models.model_file import build_network
from fer_train.training.fold import build_loss

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def code_of(heading: str) -> str:
    """The first Python block under a heading."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", TEXT, re.S | re.M)
    assert section, f"no section {heading!r}"
    block = re.search(r"```python\n(.*?)```", section[1], re.S)
    assert block, f"no code under {heading!r}"
    return block[1]


def module_from(code: str, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Save the code as an importable module; returns its name."""
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    return name


def test_a_source_from_another_package_is_installed_and_prepared(tmp_path):
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
    arguments = ["prepare", "mylab", "--landmarks", "none", "--framing", "none", "--workers", "0", "--size", "64"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--max-rejected", "0.5"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    prepared = tmp_path / "data/prepared/mylab"
    assert {path.stem for path in (prepared / "depth").glob("*.png")} == {"anna_fear", "ben_neutral"}
    assert "mylab/ben_anger" in (prepared / "rejected.csv").read_text()


def recordings(root: Path) -> None:
    """Two good recordings and one without heights, as the example's docstring says."""
    for person, emotion in (("anna", "fear"), ("ben", "neutral"), ("ben", "anger")):
        (root / person).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / person / f"{emotion}.png"), np.full((64, 64, 3), 128, np.uint8))
        if emotion != "anger":
            np.save(root / person / f"{emotion}.npy", np.linspace(0, 50, 64 * 64, dtype=np.float32).reshape(64, 64))


def test_the_loss_of_the_text_needs_its_file_and_one_line(tmp_path, monkeypatch):
    module_from(code_of("Add a loss"), tmp_path, "brier", monkeypatch)
    line = re.search(r'`"brier": "fer_train\.losses\.(brier:\w+)",`', TEXT)
    assert line
    monkeypatch.setitem(losses.LOSSES, "brier", line[1])
    loss = build_loss(LossSettings(name="brier"), classes=3, feature_width=4, class_weights=None)
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]], requires_grad=True)
    labels = torch.tensor([0, 2])
    value = loss(logits, torch.zeros(2, 4), labels)
    value.backward()
    p = np.exp(logits.detach().numpy())
    p /= p.sum(1, keepdims=True)
    expected = np.mean([sum((p[i, k] - (k == y)) ** 2 for k in range(3)) for i, y in enumerate([0, 2])])
    assert value.item() == pytest.approx(expected, rel=1e-6)
    assert logits.grad is not None


def test_the_network_of_the_text_needs_its_file_and_one_line(tmp_path, monkeypatch):
    module_from(code_of("Add a network"), tmp_path, "late_fusion", monkeypatch)
    line = re.search(r'`"late-fusion": "fer_train\.models\.(late_fusion:\w+)",`', TEXT)
    assert line
    monkeypatch.setitem(models.MODELS, "late-fusion", line[1])
    settings = ModelSettings(network="late-fusion", backbone="test_efficientnet", token_width=16)
    network = build_network(settings, classes=7, image_size=64, pretrained=False)
    output = network(torch.randn(2, 3, 64, 64), torch.randn(2, 3, 64, 64))
    assert output.logits.shape == (2, 7)
    assert output.features.shape == (2, network.feature_width)
    assert all(network.parameter_groups().values())


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
    section = TEXT.split("## Add a metric")[1].split("\n## ")[0]
    function, entry = re.findall(r"```python\n(.*?)```", section, re.S)
    shutil.copytree(ROOT / "fer_train", tmp_path / "fer_train")
    file = tmp_path / "fer_train" / "metrics" / "registry.py"
    before, table, after = file.read_text(encoding="utf-8").partition("METRICS: Final")
    entries, end, rest = after.partition("\n)\n")
    file.write_text(f"{before}{function}\n\n{table}{entries}\n{entry.rstrip()}{end}{rest}", encoding="utf-8")
    path = os.pathsep.join(map(str, (tmp_path, ROOT, ROOT / "tests", ROOT / "tests" / "train")))
    done = subprocess.run(
        [sys.executable, "-c", USE_OF_THE_METRIC, str(tmp_path)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    summary = found["summary"]
    counts = np.array(summary["confusion_matrix"], float)
    agreed, chance = np.trace(counts) / counts.sum(), (counts.sum(0) @ counts.sum(1)) / counts.sum() ** 2
    assert summary["pooled"]["kappa"] == pytest.approx((agreed - chance) / (1 - chance))
    assert set(summary["kappa"]) == {"mean", "std", "ci95"}
    assert all("kappa" in fold for fold in summary["folds"])
    runs = json.loads(found["compared"])["runs"]
    assert runs[0]["kappa"] == pytest.approx(summary["pooled"]["kappa"])
    assert "p" in runs[1]["versus_first"]["kappa"]
