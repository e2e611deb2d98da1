"""The documentation site: builds strictly, loads nothing from elsewhere, and leaves nothing out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.main import get_command

from fer_prep.cli.app import app as prep_app
from fer_prep.options import field_help
from fer_train.cli.app import app as train_app
from fer_train.config import AugmentationSettings, Config

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = {"fer-prep": prep_app, "fer-train": train_app}

pytest.importorskip("mkdocs", reason="the extra docs is not installed")
sys.path.append(str(ROOT / "tools" / "docs_site"))

from cli_pages import leaf_commands, undocumented  # noqa: E402


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site; a broken link or anchor, or a page that is in no menu, fails here."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


class _Loads(HTMLParser):
    """Collects what a page loads when it is opened (links that a person follows are not loaded)."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video"):
            self.addresses.append(given.get("src") or "")
        if tag == "link" and given.get("rel") != "canonical":
            self.addresses.append(given.get("href") or "")


def test_the_site_loads_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        parser = _Loads()
        parser.feed(page.read_text(encoding="utf-8"))
        assert parser.addresses
        assert not [url for url in parser.addresses if re.match(r"(https?:)?//", url)], page.name


def test_styles_load_nothing_from_elsewhere(site):
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)]*", sheet.read_text(encoding="utf-8"))


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_every_command_and_every_option_has_help(program):
    assert undocumented(PROGRAMS[program]) == []


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_every_command_and_every_option_is_on_its_reference_page(site, program):
    text = (site / "reference" / f"{program}.html").read_text(encoding="utf-8")
    sections = dict(re.findall(r'<h2 id="([a-z0-9-]+)">(.*?)(?=<h2 id=|</article>)', text, re.S))
    commands = {name.replace(" ", "-"): c for name, c in leaf_commands(get_command(PROGRAMS[program])).items()}
    assert set(sections) == set(commands)
    for name, command in commands.items():
        for param in command.params:
            shown = param.opts if param.param_type_name == "option" else [param.name.upper()]
            assert all(option in sections[name] for option in shown), f"{program} {name} {shown}"


@pytest.mark.parametrize(
    ("program", "example"),
    [
        ("fer-prep", "fer-prep merge data/prepared/bu3dfe --classes six-without-neutral"),
        ("fer-train", "torchrun --nproc-per-node 4 -m fer_train kfold"),
    ],
)
def test_examples_of_the_help_are_code_on_the_reference_page(site, program, example):
    page = (site / "reference" / f"{program}.html").read_text(encoding="utf-8")
    code = re.findall(r"<pre.*?</pre>", page, re.S)
    assert any(example in re.sub(r"<[^>]+>", "", block) for block in code)


@pytest.mark.parametrize("page", ["reference/fer-prep", "reference/fer-train", "reference/settings"])
def test_nothing_of_the_markup_is_left_in_generated_pages(site, page):
    text = re.sub(r"<pre.*?</pre>", "", (site / f"{page}.html").read_text(encoding="utf-8"), flags=re.S)
    assert not re.findall(r"\\[&|*\[\]].{0,20}", text)


def test_every_setting_has_a_docstring_and_is_on_the_settings_page(site):
    text = (site / "reference" / "settings.html").read_text(encoding="utf-8")
    sections = [type(value) for f in fields(Config) if is_dataclass(value := getattr(Config(), f.name))]
    assert AugmentationSettings in sections
    for section in sections:
        documented = field_help(section)
        for item in fields(section):
            assert documented.get(item.name), f"{section.__name__}.{item.name} has no docstring"
            assert f"<code>{item.name}</code>" in text


def test_every_decision_is_in_the_list_of_decisions(site):
    index = (site / "decisions" / "index.html").read_text(encoding="utf-8")
    notes = [path.stem for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")]
    assert len(notes) > 5
    assert [name for name in notes if f"{name}.html" not in index] == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")), ids=lambda path: path.stem)
def test_a_decision_is_short(path):
    """Context, choice, consequence; figures belong to benchmarks/results."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 20
