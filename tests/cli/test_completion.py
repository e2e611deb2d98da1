"""What the shell offers after a Tab, in real shells with the scripts that the programs install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fer_prep.resources import manifest_names

QUESTIONS = {
    "fer-prep render-": {"render-bu3dfe", "render-bosphorus"},
    "fer-prep align --fra": {"--framing"},
    "fer-prep align --framing ": {"rotate", "rotate-only", "eyes", "frontal", "none"},
    "fer-prep folds --protocol thesis-": {"thesis-5fold", "thesis-60-40", "thesis-80-20"},
    "fer-train kfold --loss c": {"cross-entropy", "center"},
    "fer-train presets ": set(manifest_names("presets")),
}

ASK_BASH = """
source ~/.bash_completions/$PROGRAM.sh
COMP_WORDS=($LINE); [[ $LINE == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_${PROGRAM/-/_}_completion $PROGRAM
printf '%s\\n' "${COMPREPLY[@]}"
"""
# zsh completes in its line editor only: the script's own command is asked, and what it would evaluate is evaluated
ASK_ZSH = """
compdef() { }; _files() { }
_arguments() { local list=${1#*\\(\\(}; eval "found=(${list%\\)\\)})"; print -l -- ${found%%:*} }
words=(${=LINE}); [[ $LINE == *" " ]] && words+=("")
CURRENT=${#words}
[[ $LINE == *" " ]] && words=(${=LINE} "")
source ~/.zfunc/_$PROGRAM
_${PROGRAM/-/_}_completion
"""
ASK_FISH = "complete --do-complete $LINE | string replace --regex '\\t.*' ''; true"
ASK = {"bash": ASK_BASH, "zsh": ASK_ZSH, "fish": ASK_FISH}


@pytest.fixture(scope="module", params=sorted(ASK))
def shell(request, tmp_path_factory):
    """A shell with the completion of both programs installed: its name and its environment."""
    name = request.param
    if shutil.which(name) is None:
        assert name != "bash", "bash is always tried"
        pytest.skip(f"{name} is not installed here (apt-get install {name})")
    home = tmp_path_factory.mktemp(name)
    programs = home / "bin"
    programs.mkdir()
    for program in ("fer-prep", "fer-train"):
        module = program.replace("-", "_")
        (programs / program).write_text(f"#!{sys.executable}\nfrom {module}.__main__ import main\nmain()\n")
        (programs / program).chmod(0o755)
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "HOME": str(home), "ZDOTDIR": str(home), "PYTHONPATH": root}
    environment["XDG_CONFIG_HOME"] = str(home / ".config")
    environment["PATH"] = f"{programs}:{os.environ['PATH']}"
    for program in ("fer-prep", "fer-train"):
        run(name, f"{program} --install-completion; true", environment)
    return name, environment


def run(shell: str, script: str, environment: dict[str, str]) -> str:
    command = {"zsh": ["zsh", "-f", "-c"], "bash": ["bash", "-c"], "fish": ["fish", "-c"]}[shell]
    done = subprocess.run(
        [*command, script], env=environment, cwd=environment["HOME"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("line", QUESTIONS)
def test_the_shell_offers_commands_options_and_values(line, shell):
    name, environment = shell
    asked = {**environment, "LINE": line, "PROGRAM": line.split()[0]}
    offered = {word.strip() for word in run(name, ASK[name], asked).split("\n") if word.strip()}
    assert offered == QUESTIONS[line]
