"""CSV as every file of a run has it: a header, Unix line ends, and no cell that a spreadsheet would compute."""

from __future__ import annotations

from fer_prep.csv_tables import as_named, as_text
from fer_prep.csv_tables import write_table as to_csv

__all__ = ["as_named", "as_text", "to_csv"]
