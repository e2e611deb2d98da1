"""How the prepare commands run, and the one library call behind them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fer_prep.cli.console import messages, progress_bar
from fer_prep.cli.options import ALLOWED_REJECTED, parse_share
from fer_prep.options import option

if TYPE_CHECKING:
    from fer_prep.prepare.prepare_tree import PrepareSummary
    from fer_prep.prepare.settings import PrepareSettings
    from fer_prep.sources import Source
    from fer_prep.sources.options import RenderOptions, RgbdOptions


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run, as opposed to what to make."""

    workers: int | None = option(None, min=0, show_default="one a processor")
    """Worker processes; 0 works inside this process, for debuggers."""
    engine: Literal["processes", "dask"] = "processes"
    """What runs the work: processes on this machine, or the workers of a Dask cluster, which must see the same files
    under the same paths (pip install 'fer-rgbd[cluster]')."""
    scheduler: str = option("", metavar="ADDRESS|FILE", show_default="a cluster of --workers on this machine")
    """A running Dask scheduler: tcp://HOST:8786, or the .json file of its --scheduler-file."""
    preview: int = option(0, min=0, metavar="N")
    """Write preview.png with N samples before and after, to look at."""
    max_rejected: float = option(ALLOWED_REJECTED, parse=parse_share, metavar="SHARE")
    """How much may be rejected before the exit code is 1: a share from 0 to 1, or a percentage such as 5%."""
    part: str = option("", offered=False)


@dataclass(frozen=True, kw_only=True)
class StepOptions(RunOptions):
    """Of a command that prepares one dataset."""

    part: str = option("", metavar="I/N", show_default="the whole dataset")
    """Prepare only part I of N, in a folder beside --out; merge then wants all N. For batch systems: --array=1-8 with
    --part $SLURM_ARRAY_TASK_ID/8."""


def prepare_dataset(
    dataset: str,
    *,
    root: Path,
    out: Path,
    run: RunOptions,
    settings: PrepareSettings,
    source: RenderOptions | RgbdOptions | None = None,
) -> PrepareSummary:
    """Prepare one dataset; ``source`` are the options of its own."""
    from fer_prep.sources import make_source

    made = make_source(dataset, **({} if source is None else vars(source)))
    return prepare_source(made, root=root, out=out, run=run, settings=settings)


def prepare_source(
    source: Source, *, root: Path, out: Path, run: RunOptions, settings: PrepareSettings
) -> PrepareSummary:
    """Prepare what a source lists, with a progress bar.

    A file of given landmarks is read whole: a wrong one stops here, instead of rejecting every recording.
    """
    from fer_prep.engines.choice import make_engine
    from fer_prep.faces.given_points import read_points
    from fer_prep.prepare.parts import Part
    from fer_prep.prepare.prepare_tree import prepare

    if settings.landmarks.points_file is not None:
        read_points(settings.landmarks.points_file)
    engine = make_engine(run.engine, workers=run.workers, scheduler=run.scheduler)
    if engine.remote:  # such workers have another current folder
        root, out = root.absolute(), out.absolute()
        settings = replace(settings, landmarks=settings.landmarks.absolute())
    return prepare(
        source,
        root=root,
        out=out,
        settings=settings,
        engine=engine,
        part=Part.parse(run.part) if run.part else None,
        preview=run.preview,
        progress=progress_bar,
        debug=messages.debug_run,
    )
