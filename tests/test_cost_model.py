"""The cost tables of the documentation are those that the measured rates give."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_has_the_tables_of_the_measured_rates():
    printed = subprocess.check_output([sys.executable, "-m", "benchmarks.cost_model"], cwd=ROOT, text=True)
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    _, rest = page.split("<!-- cost model: begin -->\n")
    assert rest.split("\n<!-- cost model: end -->")[0] == printed.strip()


def test_every_rate_says_where_it_comes_from():
    rates = tomllib.loads((ROOT / "benchmarks" / "results" / "rates.toml").read_text(encoding="utf-8"))
    assert all(rate["source"] for rate in rates.values())
    assert {name for name, rate in rates.items() if "value" not in rate} == {"train_images_s"}
