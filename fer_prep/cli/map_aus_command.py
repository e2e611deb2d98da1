"""The fer-prep command map-aus."""

from __future__ import annotations

from fer_prep.cli import app  # noqa: F401
