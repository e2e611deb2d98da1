"""The rules that keep the tree readable: imports go one way, and nothing heavy loads before it is needed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Lower layers first. A module may import its own layer and those below it.
LAYERS = (
    ("emotions", "errors", "sample", "depth_encoding", "digests", "samples_table", "resample", "progress", "resources",
     "options", "validated", "csv_tables", "regular_files",
     "landmark_names", "landmark_set", "look_alikes", "findings", "atomic_files", "folder_lock", "action_units",
     "dataset_manifest",
     "engines", "free_memory", "outputs"),
    ("formats", "geometry", "faces"),
    ("sources",),
    ("dataset", "folds", "library"),
    ("prepare",),
    ("merge", "sample_data"),
    ("inspection", "exchange"),
    ("cli", "__main__"),
)  # fmt: skip

TRAIN_LAYERS = (
    ("environment",),
    # the settings name losses and networks, and data takes its augmentation from them
    ("data", "metrics", "classical", "models", "losses", "config", "settings_file"),
    ("training",),
    ("inference", "library"),
    ("analysis",),
    ("report",),
    ("bench", "doctor"),
    ("cli", "__main__"),
)  # fmt: skip

FROM_FER_PREP = {"emotions", "errors", "dataset", "folds", "cli", "progress", "resources", "digests",
                 "options", "validated", "depth_encoding", "resample", "formats", "atomic_files", "folder_lock",
                 "regular_files", "geometry", "engines", "free_memory", "landmark_set", "outputs",
                 "csv_tables"}  # fmt: skip
WHERE_ASKED_FOR = {"fer_prep.prepare.prepare_sample", "fer_prep.prepare.folder", "fer_prep.faces.mediapipe_finder",
                   "fer_prep.faces.picture_scene"}  # fmt: skip
"""What predict imports for pictures as recorded, their landmarks and prepared folders, and only then."""
HEAVY = ("torch", "timm", "mediapipe", "open3d", "trimesh", "pyrender", "matplotlib", "cv2", "scipy", "h5py", "sklearn",
         "distributed", "skimage")  # fmt: skip


def own_imports(path: Path) -> set[str]:
    """Dotted names of this project's modules that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.split(".")[0] in ("fer_prep", "fer_train")}


def part_of(dotted: str) -> str:
    """``fer_prep.formats.bnt`` → ``formats``; '' for the package itself."""
    pieces = dotted.split(".")
    return pieces[1] if len(pieces) > 1 and pieces[1] != "__version__" else ""


def layer_of(part: str, *, layers=LAYERS) -> int | None:
    """The layer of a module or package."""
    return next((level for level, parts in enumerate(layers) if part in parts), None)


@pytest.mark.parametrize("path", sorted((ROOT / "fer_prep").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_fer_prep_imports_go_one_way(path):
    part = part_of(".".join(path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    if part == "__init__":
        return
    level = layer_of(part)
    assert level is not None, f"{part} has no layer: give it one in LAYERS"
    for name in own_imports(path):
        assert name.startswith("fer_prep"), f"fer_prep must not import {name}"
        if part_of(name):
            below = layer_of(part_of(name))
            assert below is not None, name
            assert below <= level, f"{part} (layer {level}) imports {name} (layer {below})"


@pytest.mark.parametrize("path", sorted((ROOT / "fer_train").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_fer_train_imports_go_one_way(path):
    part = part_of(".".join(path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    if part == "__init__":
        return
    level = layer_of(part, layers=TRAIN_LAYERS)
    assert level is not None, f"{part} has no layer: give it one in TRAIN_LAYERS"
    for name in own_imports(path):
        if name.startswith("fer_train.") and part_of(name):
            below = layer_of(part_of(name), layers=TRAIN_LAYERS)
            assert below is not None, name
            assert below <= level, f"{part} (layer {level}) imports {name} (layer {below})"


@pytest.mark.parametrize("path", sorted((ROOT / "fer_train").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_fer_train_takes_only_the_contract_from_fer_prep(path):
    names = {name for name in own_imports(path) if name.startswith("fer_prep")}
    taken = {part_of(name) for name in names if name.rpartition(".")[0] not in WHERE_ASKED_FOR} - {""}
    assert taken <= FROM_FER_PREP


@pytest.mark.parametrize(
    "statement",
    [
        "import fer_prep",
        "import fer_train",
        "from fer_prep.cli.app import app; app(['--help'], standalone_mode=False)",
        "from fer_prep.cli.app import app; app(['merge', '--help'], standalone_mode=False)",
        "from fer_train.cli.app import app; app(['--help'], standalone_mode=False)",
        "from fer_train.cli.app import app; app(['kfold', '--help'], standalone_mode=False)",
    ],
)
def test_nothing_heavy_is_imported_for_help(statement):
    code = f"import sys, json\n{statement}\nprint('\\n' + json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stderr.strip().splitlines()[-1]))
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("program", ["fer_prep", "fer_train"])
def test_nothing_heavy_is_imported_for_the_help_of_every_command(program):
    code = (
        f"import json, sys, typer\nfrom {program}.cli.app import app\n"
        "names = sorted(typer.main.get_command(app).commands)\n"
        "for name in names:\n    app([name, '--help'], standalone_mode=False)\n"
        "print('\\n' + json.dumps([names, sorted(sys.modules)]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, loaded = json.loads(done.stderr.strip().splitlines()[-1])
    assert len(names) > 8
    assert not set(loaded) & set(HEAVY)


def test_fer_train_runs_without_the_preparation_libraries():
    """A GPU box gets the HDF5 file, not the raw data, and has none of fer-prep's heavy dependencies."""
    absent = ["mediapipe", "open3d", "pyrender", "trimesh", "cv2"]
    modules = sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "fer_train").rglob("*.py")
    )
    code = (
        f"import sys\nfor name in {absent}: sys.modules[name] = None\n"
        f"import importlib\nfor name in {modules}: importlib.import_module(name)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
