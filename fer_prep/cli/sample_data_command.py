"""The fer-prep command sample-data."""

from __future__ import annotations

from fer_prep.cli import app  # noqa: F401
