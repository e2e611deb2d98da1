"""Where the independent datasets with truth are, when they lie beside this checkout."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder; a test that wants it is skipped where it is absent."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip("the independent corpus is not beside this checkout")
    return folder
