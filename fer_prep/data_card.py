"""A data card beside the dataset."""

from __future__ import annotations

from pathlib import Path


def write_data_card(dataset: Path) -> list[Path]:
    """Write the card (Markdown and Croissant JSON-LD) beside ``dataset``; return the files."""
    return []
