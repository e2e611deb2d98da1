"""What the prepare commands show when they are done: tables on standard output, warnings on standard error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from fer_prep.cli.console import EXIT_DATA_WRONG, print_table, say, warn
from fer_prep.cli.options import too_many_rejected

if TYPE_CHECKING:
    from fer_prep.cli.prepare_run import RunOptions
    from fer_prep.prepare.prepare_tree import PrepareSummary

SHOWN_REJECTIONS = 5


def show_summaries(summaries: Sequence[PrepareSummary]) -> None:
    """Print what became of every recording, the samples by class, and the first rejections of each dataset."""
    say()
    print_table("Recordings", ["", *(s.dataset for s in summaries)], _outcome_rows(summaries))
    say()
    print_table("Samples", ["class", *(s.dataset for s in summaries)], _class_rows(summaries))
    for summary in summaries:
        for text in summary.notes:
            say(f"{summary.dataset}: {text}")
        for text in summary.warnings:
            warn(f"{summary.dataset}: {text}")
        _show_rejections(summary)
        if summary.preview is not None:
            say(f"{summary.dataset}: to look at: {summary.preview}")
        say(f"{summary.dataset}: {len(summary.rows)} samples in {summary.folder}")


def exit_if_too_many_rejected(summaries: Sequence[PrepareSummary], *, run: RunOptions) -> None:
    """End with 1 where a dataset lost more of its recordings than ``--max-rejected`` allows; say so."""
    too_many = [
        too_many_rejected(
            "recordings",
            rejected=len(summary.rejected),
            total=summary.total,
            max_rejected=run.max_rejected,
            of=summary.dataset,
        )
        for summary in summaries
    ]
    if any(too_many):
        raise typer.Exit(EXIT_DATA_WRONG)


def finish(*summaries: PrepareSummary, run: RunOptions) -> None:
    """Show all of it and end the command with its exit code."""
    show_summaries(summaries)
    exit_if_too_many_rejected(summaries, run=run)


def _outcome_rows(summaries: Sequence[PrepareSummary]) -> list[list[object]]:
    """One row an outcome, one column a dataset; where colour and landmarks came from if that differs within one."""
    rows: list[list[object]] = [
        ["prepared", *(s.prepared for s in summaries)],
        ["reused", *(s.reused for s in summaries)],
        ["rejected", *(len(s.rejected) for s in summaries)],
        ["left out", *(len(s.left_out) for s in summaries)],
    ]
    for title, column in (("colour from", "rgb_source"), ("landmarks from", "landmarks_from")):
        counts = [s.counts_of(column) for s in summaries]
        for value in sorted({value for count in counts for value in count}):
            rows.append([f"{title} {value}", *(count.get(value, 0) for count in counts)])
    return rows


def _class_rows(summaries: Sequence[PrepareSummary]) -> list[list[object]]:
    """One row a class and one for all of them, one column a dataset."""
    names = list(summaries[0].by_class)
    rows: list[list[object]] = [[name, *(s.by_class[name] for s in summaries)] for name in names]
    return [*rows, ["all", *(len(s.rows) for s in summaries)]]


def _show_rejections(summary: PrepareSummary) -> None:
    """The first rejected recordings, two lines each, and where the others are."""
    if not summary.rejected:
        return
    rejected = sorted(summary.rejected, key=lambda rejection: rejection.source_file)
    say()
    say(f"Rejected from {summary.dataset} ({len(rejected)}):")
    for rejection in rejected[:SHOWN_REJECTIONS]:
        say(f"  {rejection.source_file} ({rejection.stage})")
        say(f"    expected {rejection.expected}; found {rejection.found}")
    more = len(rejected) - SHOWN_REJECTIONS
    and_more = f"and {more} more, " if more > 0 else ""
    say(f"  {and_more}all with their reasons in {summary.folder / 'rejected.csv'}")
