"""MkDocs hooks: pages that are made from the code when the site is built, so that they cannot be out of date.

``mkdocs.yml`` names this file. Nothing is written into ``docs/``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from cli_pages import program_page  # noqa: E402
from manifest_pages import manifests_page  # noqa: E402
from settings_page import settings_page  # noqa: E402

from fer_prep.cli.app import app as prep_app  # noqa: E402
from fer_train.cli.app import app as train_app  # noqa: E402

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

SECTION_OF = {"tasks": "Tasks", "reference": "Reference"}
BARE = (
    "Every command works bare in a [workspace folder](../start.md#the-workspace). "
    "[Exit codes and errors](exit-codes.md) are the same for both programs."
)


def generated_pages() -> dict[str, str]:
    """Path under ``docs/`` → Markdown."""
    return {
        "reference/fer-prep.md": program_page("fer-prep", prep_app, intro=BARE),
        "reference/fer-train.md": program_page("fer-train", train_app, intro=BARE),
        "reference/settings.md": settings_page(),
        "reference/manifests.md": manifests_page(),
        "decisions/index.md": decisions_page(),
        "contributing.md": _from_root("CONTRIBUTING.md"),
        "changelog.md": _from_root("CHANGELOG.md"),
    }


def decision_files() -> list[Path]:
    """The decision notes, in order."""
    return sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def decisions_page() -> str:
    """A list of the decision notes by their own titles."""
    lines = [f"- [{_title(path)}]({path.name})" for path in decision_files()]
    return "\n".join(["# Decisions", "", "What could have gone the other way, and why it did not.", "", *lines, ""])


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the decision notes into the menu, and pages that ``mkdocs.yml`` does not name at the end of their section."""
    sections: dict[str, list[Any]] = {name: items for entry in config.nav or [] for name, items in entry.items()}
    named = set(re.findall(r"[\w./-]+\.md", str(config.nav)))
    for path in sorted((ROOT / "docs").rglob("*.md")):
        place = path.relative_to(ROOT / "docs")
        if place.as_posix() not in named and place.parts[0] != "decisions":
            sections[SECTION_OF.get(place.parts[0], "Explanation")].append(place.as_posix())
    for item in sections["Explanation"]:
        if isinstance(item, dict) and "Decisions" in item:
            item["Decisions"] += [f"decisions/{path.name}" for path in decision_files()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, text in generated_pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def _title(path: Path) -> str:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return re.sub(r"^#\s*(\d+\.\s*)?", "", first)


def _from_root(name: str) -> str:
    """A page of the repository's root, with its links into ``docs/`` made the site's own."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.sub(r"\]\(docs/", "](", text)


def on_page_context(context: dict[str, Any], **_: Any) -> dict[str, Any]:
    """No edit links: generated pages have no source file."""
    context["page"].edit_url = None
    return context
