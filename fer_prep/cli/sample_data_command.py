"""The fer-prep command sample-data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_prep.cli.app import app
from fer_prep.cli.console import console, print_table, progress_bar, say
from fer_prep.cli.options import Options
from fer_prep.errors import UsageError
from fer_prep.options import option


def _levels(text: str) -> tuple[int, ...]:
    parts = text.replace(",", " ").split()
    if not parts or not set(parts) <= {"1", "2", "3", "4"}:
        raise UsageError(f"--intensities {text!r}: expected levels 1 to 4 with commas between, such as 3,4")
    return tuple(map(int, parts))


@dataclass(frozen=True, kw_only=True)
class SampleDataOptions:
    """Whom to make, and as what."""

    out: Path | None = option(None, show_default="data/raw; with --registered data/generated.h5")
    """Folder for the four trees, new or empty; with --registered, the dataset to write."""
    subjects: int = option(6, min=1)
    """People in each dataset."""
    seed: int = option(0, min=0)
    """Another seed, other people."""
    intensities: tuple[int, ...] = option((3, 4), parse=_levels, show_default="3,4")
    """Levels of the BU-3DFE expressions, 1 (weak) to 4 (strong)."""
    registered: bool = option(False, name="--registered")
    """No native files: people of a wider variety, none of whom stands in the trees, straight to a dataset of registered
    pictures, for a network to be pretrained on."""
    size: int = 128
    """Pixels a side of the pictures of --registered."""
    workers: int | None = option(None, min=1, show_default="one a core")
    """Processes; changes nothing but the time."""


@app.command("sample-data")
@Options
def sample_data(*, options: SampleDataOptions) -> None:
    """Write small synthetic datasets in the native on-disk formats, to try everything without a licence.

    BU3DFE, BosphorusDB, CalD3r and MenD3s, each with people of its own and all seven emotions; the people are
    computed, not photographed. [bold]truth.csv[/] beside them tells eye positions, head roll, emotion and action units.
    The same options give the same bytes.

    Examples:

      fer-prep sample-data --out data/raw

      fer-prep sample-data --out data/raw --subjects 20 --seed 7

      fer-prep sample-data --out data/raw --intensities 1,2,3,4

      fer-prep sample-data --registered --subjects 400 --out data/generated.h5
    """
    subjects = options.subjects
    how: dict[str, Any] = {"seed": options.seed, "workers": options.workers, "progress": progress_bar}
    if options.registered:
        from fer_prep.sample_data.registered import write_registered

        out = options.out or Path("data/generated.h5")
        count = write_registered(out, subjects=subjects, size=options.size, **how)
        say(f"{out}: {count} pictures of {subjects} people")
        return
    from fer_prep.sample_data import write_sample_data

    out = options.out or Path("data/raw")
    summary = write_sample_data(out, subjects=subjects, intensities=options.intensities, **how)
    rows = [(name, summary.subjects[name], count) for name, count in summary.samples.items()]
    print_table(f"Sample data in {summary.out}", ("dataset", "people", "recordings"), rows)
    if summary.already_there:
        say("it was there already, complete; nothing was written")
    else:
        console.print("next: [bold]fer-prep all[/]")
