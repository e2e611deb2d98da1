"""Where things are in a workspace folder laid out by convention, so that bare commands find them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

RAW: Final = Path("data/raw")
PREPARED: Final = Path("data/prepared")
GLOBAL_FILE: Final = Path("global.h5")

RAW_TREES: Final = {"bu3dfe": "BU3DFE", "bosphorus": "BosphorusDB", "cald3r": "CalD3r", "mend3s": "MenD3s"}
"""Dataset → folder name of its raw tree."""


RAW_PLACES: Final = {dataset: RAW / folder for dataset, folder in RAW_TREES.items()}
"""Dataset → where its raw tree is looked for."""

PREPARED_PLACES: Final = {dataset: PREPARED / dataset for dataset in RAW_TREES}
"""Dataset → where its prepared folder goes."""
