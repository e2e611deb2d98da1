"""What the documentation shows, run: every shell and Python block of its pages, in a workspace of two people a dataset.

A block that cannot run here says why, in a comment above it that begins with ``not run:``.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = {"fer-prep": "fer_prep.cli.app", "fer-train": "fer_train.cli.app"}
FIRST = "docs/start.md"
"""Its blocks make the workspace that all other pages are tried in."""
PAGES = (
    FIRST,
    "README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md") if path.name != "start.md"),
)
CHEAPER = {
    "kfold": {"--epochs": "1"},
    "sample-data": {"--intensities": "4"},
}
"""Command → options that it gets where the page does not give them: the same way through less work."""
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<kind>sh|python)\n(?P<code>.*?)```", re.S)


def blocks(page: str) -> list[tuple[str, str]]:
    """(kind, code) of the blocks that are to be run; sessions with ``>>>`` are doctests and run as such elsewhere."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = BLOCK.finditer(text)
    return [
        (m["kind"], m["code"])
        for m in found
        if not (m["mark"] or "").startswith("not run:") and not m["code"].startswith(">>>")
    ]


RUNNER = """
import json, sys
from MODULE import app
for words in json.loads(sys.argv[1]):
    code = app(words, standalone_mode=False) or 0
    # two people are not a complete dataset, and this machine need not have everything
    if code not in ((0, 1) if words[0] in ("check", "doctor") else (0,)):
        sys.exit(f"exit code {code}: {words}")
"""


def run(code: str, *arguments: str) -> str:
    """Run Python in a process of its own: OpenGL's LLVM and that of torch's compiler do not get on in one."""
    command = [sys.executable, "-c", code, *arguments]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # tests run side by side; threads that wait for each other cost
    done = subprocess.run(command, env=one_thread, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def run_shell(code: str) -> None:
    """The command lines of blocks; those that follow each other and are of one program share a process."""
    lines = [shlex.split(line, comments=True) for line in code.splitlines() if line.strip()]
    for program, group in itertools.groupby(filter(None, lines), key=lambda words: words[0]):
        if program not in PROGRAMS:
            assert program in ("make", "pip", "export"), f"neither run nor marked: {program}"
            continue
        calls = [words[1 : words.index(">") if ">" in words else None] for words in group]
        for words in calls:
            added = CHEAPER.get(words[0], {}).items()
            words += [word for option, value in added if option not in words for word in (option, value)]
        run(RUNNER.replace("MODULE", PROGRAMS[program]), json.dumps(calls))


def run_page(page: str) -> None:
    for kind, some in itertools.groupby(blocks(page), key=lambda block: block[0]):
        code = "\n".join(text for _, text in some)
        if kind == "sh":
            run_shell(code)
        else:
            folder = Path("data/prepared/bu3dfe")
            names = {f"{name}_file": str(next((folder / name).glob("*.png"))) for name in ("rgb", "depth")}
            run("".join(f"{name} = {path!r}\n" for name, path in names.items()) + code)


@pytest.mark.slow
def test_what_the_documentation_shows_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for page in PAGES:
        run_page(page)


def test_every_block_that_is_not_run_says_why():
    for page in PAGES:
        for match in BLOCK.finditer((ROOT / page).read_text(encoding="utf-8")):
            assert match["mark"] is None or re.fullmatch(r"not run: .{8,}|run in an empty folder", match["mark"]), page
