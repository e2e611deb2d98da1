"""The options that all prepare commands share, and the one library call behind them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fer_prep.cli.completion import names, names_of
from fer_prep.cli.console import progress_bar

if TYPE_CHECKING:
    from fer_prep.engines.engine import Engine
    from fer_prep.prepare.parts import Part
    from fer_prep.prepare.prepare_sample import PrepareSettings
    from fer_prep.prepare.prepare_tree import PrepareSummary
    from fer_prep.sources import Source


def _renderers() -> list[str]:
    from fer_prep.geometry.renderers import RENDERERS

    return ["auto", *RENDERERS]


Workers = Annotated[
    int | None,
    typer.Option(
        min=0, help="Worker processes; 0 works inside this process, for debuggers.", show_default="one a processor"
    ),
]
Size = Annotated[int, typer.Option(help="Width and height of a prepared sample, in pixels.")]
Framing = Annotated[
    Literal["rotate", "eyes", "none"],
    typer.Option(
        help="rotate: eyes level, then the face crop. eyes: eyes always at the same places. none: as recorded.",
    ),
]
LandmarkChoice = Annotated[
    str,
    typer.Option(
        "--landmarks",
        metavar="NAME[,NAME…]",
        autocompletion=names("dataset", "mediapipe", "task:", "file:", "none"),
        help="Where landmarks come from, first success wins: dataset (the files beside the recording), mediapipe, "
        "task:FILE (a face_landmarker.task), file:FILE (a CSV of points), none.",
    ),
]
Unfound = Annotated[
    Literal["reject", "keep"],
    typer.Option(help="What becomes of a sample whose face is not found."),
]
Incomplete = Annotated[
    Literal["reject", "keep"],
    typer.Option(
        help="What becomes of a recording that lacks only its landmark files; keep finds landmarks in the picture."
    ),
]
Mask = Annotated[
    Literal["none", "face-oval"],
    typer.Option(help="face-oval blackens RGB and depth outside the face."),
]
Preview = Annotated[
    int, typer.Option(min=0, metavar="N", help="Write preview.png with N samples before and after, to look at.")
]
EngineChoice = Annotated[
    Literal["processes", "dask"],
    typer.Option(
        "--engine",
        help="What runs the work: processes on this machine, or the workers of a Dask cluster, which must see the same "
        "files under the same paths (pip install 'fer-rgbd\\[cluster]').",
    ),
]
Scheduler = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS|FILE",
        help="A running Dask scheduler: tcp://HOST:8786, or the .json file of its --scheduler-file.",
        show_default="a cluster of --workers on this machine",
    ),
]
PartChoice = Annotated[
    str,
    typer.Option(
        "--part",
        metavar="I/N",
        help="Prepare only part I of N, in a folder beside --out; merge then wants all N. For batch systems: "
        "--array=1-8 with --part $SLURM_ARRAY_TASK_ID/8.",
        show_default="the whole dataset",
    ),
]
FocalPx = Annotated[
    float | None,
    typer.Option(
        "--focal-px",
        min=1,
        metavar="PX",
        help="Focal length of the recorded pictures, if you know it: the depth unit is then checked exactly, and "
        "landmarks get their places in millimetres.",
        show_default="unknown",
    ),
]
Renderer = Annotated[
    str,
    typer.Option(
        autocompletion=names_of(_renderers),
        help="What casts the rays at the mesh: auto, or one of those that fer-prep doctor lists.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run, as opposed to what to make."""

    engine: Engine
    part: Part | None
    preview: int
    debug: bool


def run_options(
    context: typer.Context,
    *,
    workers: int | None,
    preview: int,
    engine: str,
    scheduler: str,
    part: str = "",
    threads: int = 1,
) -> RunOptions:
    """The options of a run, with the program's ``--debug``; ``threads`` items run side by side in a worker."""
    from fer_prep.engines.choice import make_engine
    from fer_prep.prepare.parts import Part

    return RunOptions(
        engine=make_engine(engine, workers=workers, threads=threads, scheduler=scheduler),
        part=Part.parse(part) if part else None,
        preview=preview,
        debug=bool(context.find_root().params.get("debug")),
    )


def make_settings(*, size: int, framing: str, landmarks: str, unfound: str, mask: str) -> PrepareSettings:
    """The library's settings of these options; raises UsageError where they contradict each other.

    A file of given landmarks is read whole: a wrong one stops here, instead of rejecting every recording.
    """
    from fer_prep.faces.given_points import read_points
    from fer_prep.faces.landmarks import FinderSpec
    from fer_prep.prepare.prepare_sample import PrepareSettings

    texts: dict[str, Any] = {"framing": framing, "unfound": unfound, "mask": mask}  # checked by PrepareSettings
    finders = FinderSpec.parse(landmarks)
    if finders.points_file is not None:
        read_points(finders.points_file)
    return PrepareSettings(size=size, landmarks=finders, **texts)


def prepare_dataset(
    dataset: str,
    *,
    root: Path,
    out: Path,
    settings: PrepareSettings,
    options: RunOptions,
    **source_options: Any,
) -> PrepareSummary:
    """Prepare one dataset with a progress bar."""
    from fer_prep.sources import make_source

    source = make_source(dataset, **source_options)
    return prepare_source(source, root=root, out=out, settings=settings, options=options)


def prepare_source(
    source: Source,
    *,
    root: Path,
    out: Path,
    settings: PrepareSettings,
    options: RunOptions,
) -> PrepareSummary:
    """Prepare what a source lists."""
    from fer_prep.prepare.prepare_tree import prepare

    if options.engine.remote:  # such workers have another current folder
        root, out = root.absolute(), out.absolute()
        settings = replace(settings, landmarks=settings.landmarks.absolute())
    return prepare(
        source,
        root=root,
        out=out,
        settings=settings,
        engine=options.engine,
        part=options.part,
        preview=options.preview,
        progress=progress_bar,
        debug=options.debug,
    )
