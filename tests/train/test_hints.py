"""Every hint is tried: a command that fails says what to do, and doing it works."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from classical_data import classical_config, write_faces
from dataset_factories import make_rows
from tiny_training import SIZE, telling_pixels, tiny_config, untrained_run, write_telling_data
from typer.testing import CliRunner

from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.writer import DatasetWriter, measure
from fer_prep.folds.splits import make_folds, write_folds
from fer_train.cli.app import app
from fer_train.report import results
from fer_train.settings_file import config_to_toml
from fer_train.training.run_folder import history_to_csv

PACKAGE = Path(__file__).resolve().parents[2] / "fer_train"
SHORT = {"training__epochs": 1, "training__validations_per_epoch": 1, "training__micro_batch_size": 12}


def write_folds_of(data: Path, out: Path, *, folds: int) -> None:
    with DatasetFile.open(data) as file:
        write_folds(make_folds(file, folds=folds), out, data=file)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A workspace: data, presets, two runs whose networks have learned nothing, and one that was trained."""
    place = tmp_path_factory.mktemp("template")
    data = write_telling_data(place / "global.h5", subjects=6)
    write_folds_of(data, place / "global.folds.json", folds=2)
    write_folds_of(data, place / "three.json", folds=3)
    write_telling_data(place / "other.h5", subjects=4, repeats=2)
    rows = make_rows({"lab": 4})
    writer = DatasetWriter(place / "rgb.h5", n=len(rows), size=SIZE, modalities=("rgb",))
    for index, row in enumerate(rows):
        writer.append(measure(row, telling_pixels(int(row["label"]), seed=index)[0], None))
    writer.finish(settings={})
    write_faces(place / "faces.h5", subjects=4)
    (place / "tiny.toml").write_text(config_to_toml(tiny_config(**SHORT)))
    (place / "classical.toml").write_text(config_to_toml(classical_config()))
    for name, inputs in (("both", "rgb,depth"), ("colour", "rgb")):
        run = untrained_run(place / "runs" / name, data, model__inputs=inputs)
        for index in (0, 1):
            point = {"step": 1, "epoch": 1.0, "rate_backbone": 1e-4, "rate_fusion": 1e-3, "train_loss": 2.0}
            point |= {"train_accuracy": 5.0, "val_loss": 2.5, "val_overall_accuracy": 4.0, "val_average_accuracy": 3.0}
            (run.fold(index) / "history.csv").write_text(history_to_csv([point]))
    untrained_run(place / "elsewhere", place / "rgb.h5", model__inputs="rgb")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        patched.setattr(results, "DRAWING_PACKAGES", {"no_such_module": "nothing"})
        assert run_words("fit --preset tiny.toml --out runs/mine --no-baselines").exit_code == 0
        classical = "kfold --data faces.h5 --folds 2 --preset classical.toml --out runs/classical --no-baselines"
        assert run_words(classical).exit_code == 0
    return place


@pytest.fixture
def place(template, tmp_path, monkeypatch):
    """The workspace, to be worked in; reports are not drawn."""
    monkeypatch.setattr(results, "DRAWING_PACKAGES", {"no_such_module": "nothing"})
    monkeypatch.chdir(shutil.copytree(template, tmp_path / "here"))
    return Path()


def run_words(text: str):
    return CliRunner().invoke(app, text.split())


def unfinish(place: Path) -> None:
    """The trained run as it is before its end."""
    (place / "runs/mine/summary.json").unlink()
    (place / "runs/mine/predictions.csv").unlink()


def without_weights(place: Path) -> None:
    unfinish(place)
    (place / "runs/mine/fold-0/model.safetensors").unlink()


def damaged_checkpoint(place: Path) -> None:
    unfinish(place)
    (place / "runs/mine/fold-0/last.ckpt").write_bytes(b"nonsense")


def other_folds(place: Path) -> None:
    unfinish(place)
    shutil.copy(place / "runs/mine/folds.json", place / "kept.json")
    folds = json.loads((place / "kept.json").read_text())
    folds["folds"].reverse()
    (place / "runs/mine/folds.json").write_text(json.dumps(folds))


def nothing(place: Path) -> None:
    pass


FIT = "fit --preset tiny.toml --no-baselines --out new"
KFOLD = "kfold --preset tiny.toml --no-baselines --out new"
RESUME = "fit --resume --no-baselines --out runs/mine"
TUNE = "tune --preset tiny.toml --trials 1 --folds 2 --holdout 0 --out search"
REPRODUCE = "reproduce small.toml --preset tiny.toml --out rows"
Before = Callable[[Path], None]

CASES: dict[str, tuple[Before, str, Before, str]] = {
    "fer-train compare runs/first runs/second": (
        nothing, "compare runs/both", nothing, "compare runs/both runs/colour --rounds 100"),
    "compare runs on one dataset": (
        nothing, "compare runs/both elsewhere", nothing, "compare runs/both runs/colour --rounds 100"),
    "name the dataset of the runs with --data": (
        nothing, "compare runs/both runs/colour --data other.h5 --rounds 100",
        nothing, "compare runs/both runs/colour --data global.h5 --rounds 100"),
    "ids stand in predictions.csv, e.g.": (
        nothing, "explain runs/both --sample nobody --device cpu",
        nothing, "explain runs/both --sample {id} --device cpu"),
    "use --set": (
        nothing, f"{TUNE} --search data.image_size=32,40", nothing, f"{TUNE} --set data.image_size=40"),
    "go on with the same options, or choose another --out": (
        lambda place: run_words(f"{TUNE} --seed 1") and None, TUNE, nothing, f"{TUNE}-2"),
    "--resume judges it and writes its report once more; for another run choose --out": (
        lambda place: (place / "runs/mine/report.html").touch(), f"{FIT[:-3]}runs/mine", nothing, RESUME),
    "import them as columns soft_<class>, or use --set loss.targets=hard": (
        nothing, f"{FIT} --set loss.targets=soft", nothing, f"{FIT} --set loss.targets=hard"),
    "choose inputs that it has, for example --set model.inputs=": (
        nothing, f"{KFOLD} --folds 2 --data rgb.h5", nothing, f"{KFOLD} --folds 2 --data rgb.h5 {{printed}}"),
    "use machine.device=cpu, or install a PyTorch built for this machine's GPU": (
        nothing, f"{FIT} --device cuda:9", nothing, f"{FIT} --set machine.device=cpu"),
    "the run's own out-of-fold result is in its summary.json; evaluate on other data, or, if these people only share "
    "names with those, add --same-names strangers": (
        nothing, "evaluate runs/both --data global.h5 --device cpu",
        nothing, "evaluate runs/both --data global.h5 --device cpu --same-names strangers"),
    "folds are counted from 0": (nothing, "export runs/both --fold 2", nothing, "export runs/both --fold 1"),
    "leave out --onnx": (nothing, "export runs/classical --onnx", nothing, "export runs/classical"),
    "cross-entropy, center and island have one": (
        nothing, f"{FIT} --set loss.targets=soft --loss focal", nothing, f"{FIT} --set loss.targets=hard --loss focal"),
    "the run is not finished: continue it with --resume": (
        lambda place: (place / "runs/both/predictions.csv").unlink(), "explain runs/both --device cpu",
        nothing, "kfold --resume --out runs/both --no-baselines"),
    "choose a larger --image-size": (nothing, f"{FIT} --image-size 16", nothing, f"{FIT} --image-size 40"),
    "the run comes first, what it is to look at second: fer-train predict runs/demo data/prepared/cald3r": (
        lambda place: (place / "pictures").mkdir(), "predict pictures global.h5 --device cpu",
        nothing, "predict runs/mine global.h5 --device cpu"),
    "this fold is not finished: continue the run first": (
        without_weights, "predict runs/mine/fold-0 global.h5 --device cpu", nothing, RESUME),
    "expected the folder of a trained fold": (
        nothing, f"{FIT} --weights runs --set model.same_names=strangers",
        nothing, f"{FIT} --weights runs/mine/fold-0 --set model.same_names=strangers"),
    "choose another --out": (
        lambda place: run_words(f"{REPRODUCE} --folds 2") and None, f"{REPRODUCE} --folds 3",
        nothing, f"{REPRODUCE}-2 --folds 3"),
    "train one with --modality rgb": (
        nothing, "figure 3.14 runs/both --device cpu", nothing, "figure 3.14 runs/colour --device cpu"),
    "delete the file to train this fold from the start": (
        damaged_checkpoint, RESUME, lambda place: (place / "runs/mine/fold-0/last.ckpt").unlink(), RESUME),
    "put back the folds.json, config.toml, fold folders and data that belong together, or start anew": (
        other_folds, RESUME, lambda place: shutil.copy("kept.json", "runs/mine/folds.json") and None, RESUME),
    "resume without --folds, or start a new run": (
        lambda place: run_words(f"{KFOLD} --folds 2") and None, "kfold --resume --no-baselines --out new --folds 3",
        nothing, "kfold --resume --no-baselines --out new"),
    "resume without --manifest, or start a new run": (
        unfinish, f"{RESUME} --manifest three.json", nothing, RESUME),
    "give --manifest or --folds, not both": (
        nothing, f"{KFOLD} --manifest three.json --folds 2", nothing, f"{KFOLD} --manifest three.json"),
    "start from a network that was trained on other people; if they only share names, as people of sample data do: "
    "--set model.same_names=strangers": (
        nothing, f"{KFOLD} --weights runs/mine/fold-0",
        nothing, f"{KFOLD} --weights runs/mine/fold-0 --set model.same_names=strangers"),
    "train with the settings of its config.toml, or start from weights of this network": (
        nothing, f"{FIT} --weights runs/mine/fold-0 --set model.same_names=strangers --set model.mlp_width=8",
        nothing, f"{FIT} --weights runs/mine/fold-0 --set model.same_names=strangers"),
    "try lower rates (optimiser.backbone_rate, optimiser.fusion_rate), a lower loss.center_weight, or "
    "machine.precision=32-true; fer-prep check looks for broken samples": (
        nothing, f"{FIT} --epochs 6 --set optimiser.backbone_rate=1e30 --set optimiser.fusion_rate=1e30",
        nothing, f"{FIT}-2 --epochs 6"),
    "set training.micro_batch_size and training.batch_size to 3 or more, train on more than one sample, or use a "
    "larger data.image_size": (
        nothing, f"{FIT} --set training.micro_batch_size=1", nothing, f"{FIT}-2 --set training.micro_batch_size=3"),
    "name one with --out": (nothing, "fit --resume --no-baselines", nothing, RESUME),
    "train one with fer-train kfold, or name a run": (
        lambda place: (place / "runs").rename(place / "old"), "predict --device cpu",
        nothing, "predict old/mine global.h5 --device cpu"),
    "resume with the settings of its config.toml (give none), or start a new run with another --out": (
        unfinish, f"{RESUME} --epochs 2", nothing, RESUME),
    "resume it without --fold, by the command that started it, or start a new run with another --out": (
        unfinish, f"{RESUME} --fold 1", nothing, RESUME),
    "continue it with --resume": (
        unfinish, "explain runs/mine --device cpu", nothing, RESUME),
}  # fmt: skip
"""Hint → what to do before, a command that ends with it, what the hint says to do, and the command that then works."""
ELSEWHERE = {
    "efficientnet_b2 and resnet18 do": "no network of this timm lacks what the others have",
    "train fewer at a time (--parallel-folds), or ": "a machine where five processes die",
    "the others are kept; ": "test_parallel_folds",
    "if these people only share names with those, add --same-names strangers": "test_predict",
    "--show-all-subjects shows them too: not for publication": "test_unallowed",
    "leave it out of model.blocks": "of people whose landmarks are known of some classes alone",
    "give an --image-size": "no dataset of fer-prep is not square",
    "use a fold manifest made for this class set": "a manifest of other classes is refused before",
    "merge the pictures into a dataset, which knows it, or give pixel_mm beside depth": "test_attribute_maps",
    "merge the pictures into a dataset, which knows it, or give landmarks": "test_predict_in_space",
    "size, mean, std, and classes: docs/explanation/few-people.md has an example": "test_frozen",
    ': features = "…"': "test_frozen",
    "choose model.inputs that fit model.network: pointnet takes points, voxnet voxels": "test_models",
    "fer-prep check says what is wrong with the dataset": "test_normalise",
    "pip install 'fer-rgbd[onnx]', or export without --onnx": "a package that is missing",
    "export without --onnx, and report the backbone": "test_export",
    "depth as a camera recorded it is prepared on the way: leave --prepared out": "test_predict",
    "pictures as a camera recorded them are prepared on the way: leave --prepared out": "test_predict",
    "depth that fer-prep has prepared: add --prepared; otherwise give its --depth-unit": "test_predict",
    "pip install 'fer-rgbd[prep]', or prepare them elsewhere and add --prepared": "a package that is missing",
    "choose another class set, or a fold manifest in which every fold has every class": "test_losses",
    "give a file with --weights, or none": "of timm's networks without weights",
    "they come over the network; offline, give a local file with --weights, or train from scratch": "a network",
    "choose the backbone that they were trained with": "test_pretrained",
    "if you trust where it comes from, add --trust-pickle": "test_pretrained",
    "ask for its state dict instead, or make one where those libraries are installed": "test_pretrained",
    "folds.json and the folders of the folds do not belong together: train anew": "test_what_belongs_together",
    "use a smaller data.image_size or model.backbone": "a machine that is too small",
    "python -c 'import timm; print(timm.list_models())' lists all": "below",
    "give the depth picture with --depth": "test_predict",
}
"""Hint → which other test follows it, or why none can."""


def texts_of(node: ast.AST) -> list[str]:
    """The constant parts of a hint."""
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def hints() -> set[str]:
    """The longest constant of every ``hint`` in the package, also where it is a name that was set before."""
    found: set[str] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.keyword) and node.arg == "hint"
            set_before = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "hint"
            if (named or set_before) and (texts := texts_of(node.value)):
                found.add(max(texts, key=len))
    return found


def test_every_hint_is_tried_here_or_elsewhere():
    tried = [*CASES, *ELSEWHERE]
    untried = [hint for hint in hints() if not any(hint.strip() in known or known in hint for known in tried)]
    assert untried == []
    assert len(hints()) > 40


@pytest.mark.slow
@pytest.mark.parametrize("hint", CASES)
def test_what_a_hint_says_works(place, hint):
    first_id = (place / "runs/both/predictions.csv").read_text().splitlines()[1].split(",")[0]
    (place / "small.toml").write_text(SMALL)
    before, fails, then, works = CASES[hint]
    before(place)
    refused = run_words(fails)
    said = " ".join(refused.stderr.split())
    assert refused.exit_code == 2, refused.output
    assert hint in said, said
    printed = re.search(r"(--set model\.inputs=\S+)", said)
    then(place)
    done = run_words(works.format(id=first_id, printed=printed[1] if printed else ""))
    assert done.exit_code == 0, done.output


SMALL = """
title = "One row"
place = "Table 9.9"
protocol = "subject-kfold"
thesis_protocol = "thesis-5fold"
source = "nowhere"
[[rows]]
name = "one"
"""


def test_the_fewer_folds_that_are_offered_are_possible(place):
    refused = run_words(f"{KFOLD} --folds 9")
    offered = re.search(r"--folds \d+", refused.stderr)
    assert refused.exit_code == 2
    assert run_words(f"{KFOLD} {offered[0]}").exit_code == 0


def test_timm_lists_its_models_as_the_hint_says():
    program = "import timm; print(timm.list_models())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "tf_efficientnet_b2" in done.stdout
