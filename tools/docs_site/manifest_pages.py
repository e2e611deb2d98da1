"""Reference page of what is data rather than code: fold protocols, label policies, experiments, dataset manifests."""

from __future__ import annotations

import tomllib
from typing import Any

from fer_prep.resources import manifests_folder


def manifests_page() -> str:
    """Tables of every manifest, each with its own words."""
    parts = [
        "# Manifests: protocols, policies, experiments, datasets",
        "Facts and choices that are data rather than code are TOML files in `manifests/`, in an installed package "
        "too. This page shows what they say.",
        _protocols(),
        _policies(),
        _experiments(),
        _datasets(),
    ]
    return "\n\n".join(parts) + "\n"


def _read(folder: str) -> dict[str, dict[str, Any]]:
    return {
        path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
        for path in sorted((manifests_folder() / folder).glob("*.toml"))
    }


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _protocols() -> str:
    rows = [
        (f"`{name}`", text["title"], f"`{text['group_by']}`", text["used_by"], text["leaks"] or "nothing known")
        for name, text in _read("protocols").items()
    ]
    head = ("name", "what", "never on both sides", "used by", "leaks")
    return (
        "## Fold protocols\n\n`fer-prep folds global.h5 --protocol NAME --out FILE`. A file of your own in the same "
        "form is a protocol too. What they mean for a number: "
        "[Protocols and leakage](../explanation/protocols.md).\n\n" + _table(head, rows)
    )


def _policies() -> str:
    parts = [
        "## Label policies of Bosphorus",
        "`fer-prep render-bosphorus --policy NAME`; `fer-prep map-aus --policy NAME` shows the outcome without making "
        "anything. A recording gets the emotion of the rule whose tokens are exactly its own.",
    ]
    for name, text in _read("policies").items():
        rows = [
            (", ".join(f"`{token}`" for token in rule["tokens"]), rule["emotion"], rule["strength"], rule["source"])
            for rule in text.get("rule", ())
        ]
        rows += [
            (f"FACS scores {' + '.join(map(str, rule['action_units']))}", rule["emotion"], rule["strength"],
             rule["source"])
            for rule in text.get("combination", ())
        ]  # fmt: skip
        parts += [f"### {name}", text["description"], _table(("tokens", "emotion", "strength", "source"), rows)]
    return "\n\n".join(part for part in parts if part)


def _experiments() -> str:
    rows = [
        (f"`{name}`", text["place"], text["title"], str(len(text["rows"])),
         f"`{text['protocol']}`", f"`{text['thesis_protocol']}`")
        for name, text in _read("experiments").items()
    ]  # fmt: skip
    head = ("name", "in the thesis", "what", "rows", "protocol", "the thesis's own")
    return "## Experiments\n\n`fer-train reproduce NAME`, see [Re-run the thesis](../tasks/thesis.md).\n\n" + _table(
        head, rows
    )


def _datasets() -> str:
    parts = ["## Datasets", "What `fer-prep check` compares a raw tree with, and what the data card repeats."]
    for text in _read("").values():
        licence, citation = text["licence"], text["citation"]
        known = [
            (c["what"], str(c["value"]), "yes" if c["verified"] else "no", c["source"]) for c in text.get("counts", ())
        ]
        parts += [
            f"### {text['title']}",
            f"- names: `{text['names']['grammar']}`\n- licence: {licence['terms']}\n- how to get it: {licence['apply']}"
            + (f"\n- page: <{licence['page']}>" if licence.get("page") else "")
            + f"\n- cite: {citation['text']}"
            + (f" doi:{citation['doi']}" if citation.get("doi") else ""),
            _table(("count of", "value", "stated by the authors", "source"), known) if known else "",
        ]
    return "\n\n".join(part for part in parts if part)
