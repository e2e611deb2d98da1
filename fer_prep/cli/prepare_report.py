"""What the prepare commands show when they are done: tables on standard output, warnings on standard error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from fer_prep.console import EXIT_DATA_WRONG, console, print_table, too_many_rejected, warn

if TYPE_CHECKING:
    from fer_prep.prepare import PrepareSummary

SHOWN_REJECTIONS = 5


def show_summaries(summaries: Sequence[PrepareSummary]) -> None:
    """Print what became of every recording, the samples by class, and the first rejections of each dataset."""
    console.print()
    print_table(
        "Recordings",
        ["dataset", "prepared", "reused", "rejected", "left out", "colour from", "prepared folder"],
        [[s.dataset, s.prepared, s.reused, len(s.rejected), len(s.left_out), _colour(s), s.folder] for s in summaries],
    )
    console.print()
    classes = list(summaries[0].by_class) if summaries else []
    print_table(
        "Samples by class",
        ["dataset", *classes, "all"],
        [[s.dataset, *s.by_class.values(), len(s.rows)] for s in summaries],
    )
    for summary in summaries:
        for text in summary.warnings:
            warn(f"{summary.dataset}: {text}")
        _show_rejections(summary)


def exit_code(summaries: Sequence[PrepareSummary], *, max_rejected: float) -> int:
    """0, or 1 where a dataset lost more of its recordings than ``--max-rejected`` allows (said on standard error)."""
    code = 0
    for summary in summaries:
        rejected, total = len(summary.rejected), summary.total
        if too_many_rejected(rejected=rejected, total=total, max_rejected=max_rejected):
            warn(
                f"{summary.dataset}: {rejected} of {total} recordings rejected ({rejected / total:.1%}); "
                f"--max-rejected allows {max_rejected:.1%}"
            )
            code = EXIT_DATA_WRONG
    return code


def finish(summaries: Sequence[PrepareSummary], *, max_rejected: float) -> None:
    """Show all of it and end the command with its exit code."""
    show_summaries(summaries)
    if code := exit_code(summaries, max_rejected=max_rejected):
        raise typer.Exit(code)


def _colour(summary: PrepareSummary) -> str:
    """``texture``, or ``texture 28, photo 2`` where samples differ."""
    counts = summary.counts_of("rgb_source")
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _show_rejections(summary: PrepareSummary) -> None:
    """The first rejected recordings and where the others are."""
    if not summary.rejected:
        return
    rejected = sorted(summary.rejected, key=lambda rejection: rejection.source_file)
    console.print()
    print_table(
        f"Rejected from {summary.dataset}: {min(len(rejected), SHOWN_REJECTIONS)} of {len(rejected)}",
        ["file", "stage", "expected", "found"],
        [[r.source_file, r.stage, r.expected, r.found] for r in rejected[:SHOWN_REJECTIONS]],
    )
    console.print(f"All of them, with their reasons: {summary.folder / 'rejected.csv'}", soft_wrap=True)
