"""What all tests share: where the independent corpus is, when this checkout has one."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The small independent datasets with truth, beside the checkout; the test is skipped where they are absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip("the independent corpus is not beside this checkout")
    return folder
