"""Starts by name: trained networks that come with the program, beside those that are files of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

STARTS: Final = Path(__file__).parent.parent / "starts"
SUFFIX: Final = ".safetensors"


def is_ours(weights: str) -> bool:
    """Whether ``model.weights`` names a start that comes with the program."""
    return bool(weights) and (STARTS / f"{weights}{SUFFIX}").is_file()


def start_path(weights: str) -> Path:
    """The file or folder that ``model.weights`` means."""
    return STARTS / f"{weights}{SUFFIX}" if is_ours(weights) else Path(weights).expanduser()
