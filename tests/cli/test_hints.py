"""What an error advises to do works: each hint is followed, as a person at the terminal would."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from raw_trees import write_bosphorus, write_pairs
from typer.testing import CliRunner

from fer_prep.cli.app import app
from fer_prep.formats.images import write_image

PACKAGE = Path(__file__).resolve().parents[2] / "fer_prep"
PLAIN = "--framing none --landmarks none --size 16 --workers 0"
IMPORT = f"import pictures --dataset lab --max-rejected 1 {PLAIN}"
MERGE = "merge data/prepared/lab --out lab.h5 --size 16 --no-card"
PREPARED = Path("data/prepared/lab")
EMOTIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")

Step = str | Callable[[], object]


@dataclass(frozen=True)
class Advice:
    """A command that fails, what its error advises, and that advice followed."""

    wrong: str
    said: str
    follow: tuple[Step, ...]
    first: tuple[Step, ...] = ()


def rewrite(path: Path, change: Callable[[str], str]) -> Callable[[], object]:
    return lambda: path.write_text(change(path.read_text()))


def summary(**changes: object) -> Callable[[], object]:
    """Change prepared.json; None takes a key out."""

    def changed(text: str) -> str:
        whole = json.loads(text) | changes
        return json.dumps({key: value for key, value in whole.items() if value is not None})

    return rewrite(PREPARED / "prepared.json", changed)


def half_done() -> None:
    (PREPARED / "prepared.json").unlink()


def points() -> None:
    names = [f"lab/{number}" for number in range(34)]
    lines = [f"{name},30,16,14,16" for name in names]
    Path("points.csv").write_text("\n".join(["id,left_eye_x,left_eye_y,right_eye_x,right_eye_y", *lines]) + "\n")


def shards_away(*, back: bool) -> Callable[[], object]:
    def move() -> None:
        Path("elsewhere").mkdir(exist_ok=True)
        here, there = (Path("elsewhere"), Path()) if back else (Path(), Path("elsewhere"))
        for shard in list(here.glob("lab-0*.h5")):
            shard.replace(there / shard.name)

    return move


def first_shard_is_the_second() -> None:
    first, second, *_ = sorted(Path().glob("lab-0*.h5"))
    shutil.copyfile(second, first)


def shards_lose_a_sample() -> None:
    with h5py.File("lab.h5", "r+") as root:
        shards = json.loads(root.attrs["shards"])
        root.attrs["shards"] = json.dumps(
            [[name, n - (place == 0), digest] for place, (name, n, digest) in enumerate(shards)]
        )


def other_protocol(subjects: int) -> Callable[[], object]:
    shipped = (PACKAGE.parent / "manifests" / "protocols" / "subject-kfold.toml").read_text()
    return lambda: Path("mine.toml").write_text(f"{shipped}\n[selection]\nsubjects = {subjects}\n")


def table(text: str) -> Callable[[], object]:
    return lambda: Path("pictures/samples.csv").write_text(text)


def without_depth() -> None:
    lines = Path("pictures/samples.csv").read_text().splitlines()
    Path("pictures/rgb.csv").write_text("\n".join(re.sub(r"^([^,]*),[^,]*", r"\1", line) for line in lines) + "\n")


def without_colour() -> None:
    lines = Path("pictures/samples.csv").read_text().splitlines()
    Path("pictures/depth.csv").write_text("\n".join(line.partition(",")[2] for line in lines) + "\n")


def trees() -> None:
    write_pairs(Path("data/raw/CalD3r"), "M_010_0_anger", "M_010_1_fear")
    write_pairs(Path("data/raw/MenD3s"), "M_01_00_anger", "M_01_01_fear")
    write_bosphorus(Path("data/raw/BosphorusDB"), "bs000_N_N_0")


def foreign_hdf5() -> None:
    h5py.File("other.h5", "w").close()


def half(path: str) -> Callable[[], object]:
    return lambda: os.truncate(path, Path(path).stat().st_size // 2)


AGAIN = (IMPORT, MERGE)
BOSPHORUS = "render-bosphorus --size 16 --workers 0 --landmarks dataset --renderer numpy --max-rejected 1"
SHARDED = f"{MERGE} --shard-size 10"
ADVICE = {
    # prepared folders
    "a damaged picture": Advice(
        MERGE, "run the command that prepared this folder again", AGAIN, (half("data/prepared/lab/rgb/3.png"),)
    ),
    "a changed table": Advice(
        MERGE,
        "run the command that prepared it again",
        AGAIN,
        (rewrite(PREPARED / "samples.csv", lambda text: text + "\n"),),
    ),
    "a table of another run": Advice(MERGE, "run the command that prepared it again", AGAIN, (summary(digest="0"),)),
    "a description that is none": Advice(
        MERGE, "what is up to date is not made again", AGAIN, (rewrite(PREPARED / "prepared.json", lambda _: "{"),)
    ),
    "a description of another version": Advice(MERGE, "it prepares it anew", AGAIN, (summary(format_version=1),)),
    "a description that is not whole": Advice(
        MERGE, "prepare it again with this version", AGAIN, (summary(modalities=None),)
    ),
    "another unit of depth": Advice(MERGE, "prepare it again with this version", AGAIN, (summary(depth_unit_mm=1.0),)),
    "half done": Advice(MERGE, "it continues", AGAIN, (half_done,)),
    "the folder of another dataset": Advice(
        f"{IMPORT.replace('lab', 'other')} --out data/prepared/lab",
        "choose another --out",
        (f"{IMPORT.replace('lab', 'other')} --out data/prepared/other",),
    ),
    "the people of a start": Advice(
        "sample-data --out raw --subjects 1 --seed 1907",
        "take another seed",
        ("sample-data --out raw --subjects 1 --intensities 1 --seed 3",),
    ),
    "no prepared folder": Advice("merge nowhere", "make one with fer-prep", (IMPORT, MERGE)),
    "none in the workspace": Advice(
        "merge", "prepare datasets first", (IMPORT, MERGE), (lambda: shutil.rmtree("data/prepared"),)
    ),
    # what is prepared
    "depth alone": Advice(
        "import pictures --dataset deep --table depth.csv --workers 0",
        "--landmarks none --framing none keeps it",
        (f"import pictures --dataset deep --table depth.csv --max-rejected 1 {PLAIN}",),
        (without_colour,),
    ),
    "framing without landmarks": Advice(
        f"{IMPORT} --framing eyes", "add --framing none --mask none", (f"{IMPORT} --framing none --mask none",)
    ),
    "landmarks of no file": Advice(
        f"{IMPORT} --landmarks file", "say --landmarks file:FILE", (f"{IMPORT} --landmarks file:points.csv",), (points,)
    ),
    "a scheduler without dask": Advice(f"{IMPORT} --scheduler tcp://a:1", "or leave it out", (IMPORT,)),
    "dask inside this process": Advice(
        f"{IMPORT} --engine dask", "leave one of the two out", (IMPORT.replace("--workers 0", "--engine processes"),)
    ),
    "a part that is missing": Advice(
        "merge data/prepared/lab.part-1-of-2 --out parts.h5 --size 16",
        "run the same command with the missing --part, then merge again",
        (
            f"{IMPORT} --part 2/2",
            "merge data/prepared/lab.part-1-of-2 data/prepared/lab.part-2-of-2 --out parts.h5 --size 16",
        ),
        (f"{IMPORT} --part 1/2",),
    ),
    "two trees for one folder": Advice(
        f"align --out here {PLAIN}", "add --dataset NAME", (f"align --out here --dataset cald3r {PLAIN}",), (trees,)
    ),
    "a tree that is not there": Advice(
        f"render-bosphorus --root nowhere {PLAIN}",
        "give its place with --root",
        (f"render-bosphorus --root data/raw/BosphorusDB {PLAIN}",),
        (trees,),
    ),
    "views of faces that are turned to the front": Advice(
        f"{BOSPHORUS} --framing frontal --views yaw=0,10",
        "leave --views out, or frame by rotate",
        (f"{BOSPHORUS} --framing frontal", f"{BOSPHORUS} --framing rotate --views yaw=0,10"),
        (trees,),
    ),
    # tables to import
    "no table": Advice(f"{IMPORT} --table none.csv", "expected a CSV file with", (IMPORT,)),
    "columns of other names": Advice(
        IMPORT,
        "--column picture=rgb says what a column is",
        (f"{IMPORT} --column picture=rgb",),
        (table("picture,emotion,subject\n0.png,anger,a\n1.png,fear,a\n"),),
    ),
    "labels of other names": Advice(
        IMPORT,
        "--label Happy=happiness says so",
        (f"{IMPORT} --label Happy=happiness",),
        (table("rgb,emotion,subject\n0.png,Happy,a\n1.png,fear,a\n"),),
    ),
    "labels of other names, meant": Advice(
        IMPORT,
        "--classes with the names of the table",
        (f"{IMPORT} --classes Happy,fear",),
        (table("rgb,emotion,subject\n0.png,Happy,a\n1.png,fear,a\n"),),
    ),
    "an export with another unit": Advice(
        f"import out --dataset again {PLAIN}",
        "add --depth-unit 0.01",
        (f"import out --dataset again --depth-unit 0.01 {PLAIN}",),
        ("export lab.h5 --out out",),
    ),
    # merging
    "named twice": Advice("merge data/prepared/lab data/prepared/lab", "name every folder once", (MERGE,)),
    "the same samples twice": Advice(
        "merge data/prepared/lab copy",
        "leave one of the two folders out",
        ("merge copy --size 16",),
        (lambda: shutil.copytree(PREPARED, "copy"),),
    ),
    "folders of different modalities": Advice(
        "merge data/prepared/lab data/prepared/flat --size 16",
        "--modalities rgb merges what all of them have",
        ("merge data/prepared/lab data/prepared/flat --size 16 --modalities rgb",),
        (without_depth, f"import pictures --dataset flat --table rgb.csv --max-rejected 1 {PLAIN}"),
    ),
    "a foreign HDF5 in the way": Advice(
        MERGE.replace("lab.h5", "other.h5"),
        "or add --force",
        (f"{MERGE.replace('lab.h5', 'other.h5')} --force",),
        (foreign_hdf5,),
    ),
    "a foreign lock": Advice(
        MERGE,
        "move it away",
        (lambda: Path(".lab.h5.lock").rename("away"), MERGE),
        (lambda: Path(".lab.h5.lock").write_text("another program's"),),
    ),
    # datasets
    "no dataset": Advice(
        "stats", "fer-prep merge --out global.h5 writes one", ("merge --size 16 --out global.h5", "stats")
    ),
    "a folder": Advice(
        "stats data/prepared/lab", "fer-prep merge makes a dataset of prepared folders", (MERGE, "stats lab.h5")
    ),
    "a dataset that is cut off": Advice(
        "stats lab.h5", "run fer-prep merge again with --force", (f"{MERGE} --force", "stats lab.h5"), (half("lab.h5"),)
    ),
    "a dataset of another version": Advice(
        "stats lab.h5",
        "prepare and merge again with this version: fer-prep merge --out lab.h5",
        (IMPORT, "merge --out lab.h5 --size 16", "stats lab.h5"),
        (lambda: h5py.File("lab.h5", "r+").attrs.__setitem__("format_version", 1),),
    ),
    "shards that are elsewhere": Advice(
        "stats lab.h5",
        "keep the shards beside the index lab.h5",
        (shards_away(back=True), "stats lab.h5"),
        (SHARDED, shards_away(back=False)),
    ),
    "a shard of another dataset": Advice(
        "stats lab.h5", "merge again", (SHARDED, "stats lab.h5"), (SHARDED, first_shard_is_the_second)
    ),
    "shards of other sizes": Advice(
        "stats lab.h5",
        "merge again",
        (SHARDED, "stats lab.h5"),
        (SHARDED, shards_lose_a_sample),
    ),
    "nothing says how large a face is": Advice(
        "export lab.h5 --to ply --out out",
        "prepare it with landmarks",
        (f"{IMPORT} --landmarks file:points.csv", MERGE, "export lab.h5 --to ply --out out"),
        (points,),
    ),
    # folds
    "more folds than a class has people": Advice(
        "folds lab.h5 --folds 5", "at most 4 folds are possible", ("folds lab.h5 --folds 4",)
    ),
    "a selection that takes nothing": Advice(
        "folds lab.h5 --folds 2 --label-source elicited",
        "choose other --classes, or select less",
        ("folds lab.h5 --folds 2",),
    ),
    "more people than there are": Advice(
        "folds lab.h5 --protocol mine.toml --folds 2",
        "says subjects = 5",
        (other_protocol(5), "folds lab.h5 --protocol mine.toml --folds 2"),
        (other_protocol(60),),
    ),
    "folds of other data": Advice(
        "export lab.h5 --folds other.json --out out",
        "make folds for this file: fer-prep folds",
        ("folds lab.h5 --folds 4 --out mine.json", "export lab.h5 --folds mine.json --out out"),
        (
            f"{MERGE.replace('lab.h5', 'few.h5')} --classes anger,fear,neutral",
            "folds few.h5 --folds 2 --out other.json",
        ),
    ),
    "no folds": Advice(
        "export lab.h5 --folds no.json --out out",
        "fer-prep folds global.h5 --out FILE writes one",
        ("folds lab.h5 --folds 4 --out no.json", "export lab.h5 --folds no.json --out out"),
    ),
    "a protocol's name on other folds": Advice(
        "export lab.h5 --folds f.json --out out",
        "need a protocol name of their own",
        (
            rewrite(Path("f.json"), lambda text: text.replace("subject-kfold", "mine")),
            "export lab.h5 --folds f.json --out out",
        ),
        (
            "folds lab.h5 --folds 4 --out f.json",
            rewrite(Path("f.json"), lambda text: text.replace('"group_by": "subject"', '"group_by": "sample"')),
        ),
    ),
    # looking
    "folds far from their data": Advice(
        "check far/f.json",
        "name it with --data",
        ("check far/f.json --data lab.h5",),
        (lambda: Path("far").mkdir(), "folds lab.h5 --folds 4 --out far/f.json"),
    ),
    "several prepared folders": Advice(
        "check data/prepared", "such as data/prepared/lab", ("check data/prepared/lab",)
    ),
    "several raw trees": Advice(
        "check data/raw", "check each on its own", ("check data/raw/CalD3r", "check data/raw/MenD3s"), (trees,)
    ),
    "no raw tree": Advice(
        "check pictures", "give the folder that holds the dataset's files", ("check data/raw/CalD3r",), (trees,)
    ),
    "a figure without its recordings": Advice(
        "figure 3.5 --data cald3r.h5 --raw nowhere",
        "name the folder of the raw trees with --raw",
        ("figure 3.5 --data cald3r.h5 --raw data/raw",),
        (trees, f"align --dataset cald3r {PLAIN}", "merge data/prepared/cald3r --size 16 --no-card --out cald3r.h5"),
    ),
    # places and options
    "another kind of file in the way": Advice(
        "stats lab.h5 --csv notes.txt",
        "choose another place, or add --force",
        ("stats lab.h5 --csv counts.csv", "stats lab.h5 --csv notes.txt --force"),
        (lambda: Path("notes.txt").write_text("mine"),),
    ),
    "a folder that is full": Advice(
        "export lab.h5 --out pictures", "choose another --out", ("export lab.h5 --out out",)
    ),
    "an unknown option": Advice("merge --sise 16", "merge --help shows what it takes", ("merge --help",)),
    "a wrong value in fer.toml": Advice(
        MERGE,
        "correct the file, or take it out",
        (
            lambda: Path("fer.toml").write_text("[fer-prep.merge]\nworkers = 2\n"),
            MERGE,
            lambda: Path("fer.toml").unlink(),
            MERGE,
        ),
        (lambda: Path("fer.toml").write_text("[fer-prep.merge]\nworkers = 'many'\n"),),
    ),
}

ELSEWHERE = {
    "reinstall": "a broken installation",
    "install": "packages that are not here: tests/test_packaging.py, tests/inspection/test_doctor.py",
    "doctor": "tests/inspection/test_doctor.py",
    "update fer-rgbd": "a version that does not exist yet",
    "start": "a scheduler or a second program: tests/engines, tests/test_kill_and_resume.py",
    "continues": "tests/test_kill_and_resume.py",
    "workers": "a machine that cannot start processes: tests/engines/test_engine.py",
    "SLURM": "tests/prepare/test_parts.py",
    "same paths": "two machines: tests/prepare/test_prepare.py",
    "only those that belong": "tests/prepare/test_parts.py",
    "gunzip": "tests/formats/test_vrml.py",
    "run this again; expected": "archives to unpack: tests/sources/test_raw_tree.py",
    "expected here": "names what is expected, no command",
    "every class must be on both sides": "says what may help, no command",
    "fewer folds": "says what may help, no command",
    "your sensor": "tests/train/inference: predict on loose pictures",
    "ulimit": "tests/dataset/test_reader.py",
    "wait for it": "another program",
    "on a local disk": "a file system without locks",
    "sample data": "tests/sample_data/test_write.py",
    "delete that folder": "tests/sample_data/test_write.py",
    "remove it, or": "tests/sample_data/test_registered.py",
    "are replaced and removed": "tests/prepare/test_folder.py",
    "models inside": "tests/faces/test_mediapipe_models.py",
    "add ": "tests/faces/test_landmarks.py: a file that no finder uses",
    "dataset, file or none": "MediaPipe that cannot be loaded",
}
"""Part of a hint → why it is not followed here."""


def run(step: Step):
    if callable(step):
        return step()
    done = CliRunner().invoke(app, step.split())
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A folder of pictures, what was prepared of it, and a dataset; one of the five people is never afraid."""
    folder = tmp_path_factory.mktemp("hints") / "workspace"
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    rng = np.random.default_rng(2)
    lines = ["rgb,depth,emotion,subject"]
    for person in range(5):
        for emotion in EMOTIONS:
            if (person, emotion) == (4, "fear"):
                continue
            number = len(lines) - 1
            (pictures / f"{number}.png").write_bytes(write_image(rng.integers(0, 256, (32, 44, 3), dtype=np.uint8)))
            depth = rng.integers(400, 500, (32, 44), dtype=np.uint16)
            (pictures / f"{number}_d.png").write_bytes(write_image(depth))
            lines.append(f"{number}.png,{number}_d.png,{emotion},s{person}")
    (pictures / "samples.csv").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for step in AGAIN:
            done = run(step)
            assert done.exit_code == 0, done.output
    return folder


@pytest.mark.parametrize("name", ADVICE)
def test_what_an_error_advises_works(name, template, tmp_path, monkeypatch):
    advice = ADVICE[name]
    shutil.copytree(template, tmp_path / "workspace")
    monkeypatch.chdir(tmp_path / "workspace")
    for step in advice.first:
        run(step)
    failed = run(advice.wrong)
    assert failed.exit_code == 2, failed.output
    assert advice.said in failed.stderr
    for step in advice.follow:
        done = run(step)
        assert callable(step) or done.exit_code == 0, (step, done.output)


def hints_of(path: Path) -> list[str]:
    """The words of every hint in a source file, without the values put into them; of a name, what is given it there."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    given: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and getattr(node, "value", None) is not None:
            given.setdefault(target.id, []).append(node.value)
    hints = [keyword.value for node in ast.walk(tree) if isinstance(node, ast.Call)
             for keyword in node.keywords if keyword.arg == "hint"]  # fmt: skip
    texts: list[str] = []
    for hint in hints:
        for value in given.get(hint.id, []) if isinstance(hint, ast.Name) else [hint]:
            words = [
                part.value for part in ast.walk(value) if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            texts += [max(words, key=len)] if words else []
    return texts


def test_every_hint_is_followed_somewhere():
    followed = [advice.said for advice in ADVICE.values()]

    def is_followed(hint: str) -> bool:
        return any(hint.strip() in said or said in hint or _shared(said, hint) for said in followed)

    new = [
        f"{path.relative_to(PACKAGE)}: {hint}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for hint in hints_of(path)
        if not is_followed(hint) and not any(part in hint for part in ELSEWHERE)
    ]
    assert not new, "follow them in ADVICE"


def _shared(said: str, hint: str) -> bool:
    """Whether twelve letters in a row are in both."""
    return any(said[start : start + 12] in hint for start in range(len(said) - 11))
