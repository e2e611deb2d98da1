"""``fer-train kfold``, ``fit`` and ``presets``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from fer_prep.errors import FerError, UsageError
from fer_prep.program.console import JsonOption, console, note, print_json, print_table, progress_bar
from fer_train.cli import app

if TYPE_CHECKING:
    from fer_train.config import Config
    from fer_train.results.run_folder import RunFolder

DataOption = Annotated[Path, typer.Option("--data", help="The dataset: an HDF5 file of fer-prep merge.")]
ManifestOption = Annotated[
    Path | None,
    typer.Option(help="A fold manifest. Default: <data>.folds.json beside the data.", show_default=False),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        help="A name of `fer-train presets` or a TOML file. Default: thesis where there is a GPU, else demo.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SECTION.KEY=VALUE", help="Any setting; repeatable. `fer-train presets NAME` lists them."
    ),
]
EpochsOption = Annotated[int | None, typer.Option(help="Passes over the training fold.", show_default=False)]
BatchOption = Annotated[int | None, typer.Option(help="Samples an optimiser step.", show_default=False)]
LossOption = Annotated[
    str | None, typer.Option(help="cross-entropy, hinge, center, island or focal.", show_default=False)
]
ModalityOption = Annotated[str | None, typer.Option(help="rgbd, rgb or depth.", show_default=False)]
FusionOption = Annotated[str | None, typer.Option(help="attention, sum, concat or attention-1d.", show_default=False)]
BackboneOption = Annotated[str | None, typer.Option(help="Any timm model by name.", show_default=False)]
WeightsOption = Annotated[
    str | None,
    typer.Option(help="A local file with backbone weights: safetensors or a state dict.", show_default=False),
]
TrustPickleOption = Annotated[
    bool, typer.Option("--trust-pickle", help="Load --weights even where that runs code inside the file.")
]
ImageSizeOption = Annotated[int | None, typer.Option(help="Side of the network's input in pixels.", show_default=False)]
DeterministicOption = Annotated[
    bool, typer.Option("--deterministic", help="Only deterministic kernels: slower on GPUs, equal numbers every time.")
]
SeedOption = Annotated[int | None, typer.Option(help="Seeds everything random.", show_default=False)]
DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", show_default=False)]
DataMemoryOption = Annotated[
    str | None,
    typer.Option(
        help="What the pixels may take on the device, such as 8GB; larger data is streamed, 0 always streams. Default: "
        "half of what is free.",
        show_default=False,
    ),
]
ParallelOption = Annotated[
    int | None,
    typer.Option(
        "--parallel-folds",
        min=1,
        help="Folds trained side by side, each by a process of its own; GPUs are dealt out in turn.",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="The run folder. Default: runs/<time>-<name>.", show_default=False)
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Continue the run in --out, or the newest unfinished one in runs/.")
]


@app.command()
def kfold(
    data: DataOption = Path("global.h5"),
    folds: Annotated[
        int | None,
        typer.Option(min=2, help="How many folds. Default: those of the manifest beside the data.", show_default=False),
    ] = None,
    manifest: ManifestOption = None,
    preset: PresetOption = None,
    epochs: EpochsOption = None,
    batch_size: BatchOption = None,
    loss: LossOption = None,
    modality: ModalityOption = None,
    fusion: FusionOption = None,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    trust_pickle: TrustPickleOption = False,
    image_size: ImageSizeOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    deterministic: DeterministicOption = False,
    data_memory: DataMemoryOption = None,
    parallel_folds: ParallelOption = None,
    settings: SetOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
) -> None:
    """Cross-validate: train one network a fold, judge it on the people it has not seen, write a report.

    Examples:

        fer-train kfold --folds 5

        fer-train kfold --preset thesis --loss center --out runs/center

        fer-train kfold --preset demo --modality rgb --set training.seed=7

        fer-train kfold --resume

        fer-train kfold --preset thesis --parallel-folds 5

        torchrun --nproc-per-node 4 -m fer_train kfold --preset thesis --out runs/thesis
    """
    assignments = _assignments(
        settings,
        epochs=epochs,
        batch_size=batch_size,
        loss=loss,
        modality=modality,
        fusion=fusion,
        backbone=backbone,
        weights=weights,
        trust_pickle=trust_pickle or None,
        image_size=image_size,
        seed=seed,
        device=device,
        deterministic=deterministic or None,
        data_memory=data_memory,
        parallel_folds=parallel_folds,
    )
    run, config = _open_run(preset=preset, assignments=assignments, out=out, resume=resume)
    _train(run, config, data=data, manifest=manifest, folds=folds)


@app.command()
def fit(
    data: DataOption = Path("global.h5"),
    fold: Annotated[int, typer.Option(min=0, help="Which fold of the manifest, counted from 0.")] = 0,
    manifest: ManifestOption = None,
    preset: PresetOption = None,
    epochs: EpochsOption = None,
    batch_size: BatchOption = None,
    loss: LossOption = None,
    modality: ModalityOption = None,
    fusion: FusionOption = None,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    trust_pickle: TrustPickleOption = False,
    image_size: ImageSizeOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    deterministic: DeterministicOption = False,
    data_memory: DataMemoryOption = None,
    settings: SetOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
) -> None:
    """Train one fold alone: one split into people to learn from and people to be judged by.

    Examples:

        fer-train fit

        fer-train fit --fold 2 --preset thesis --loss focal --out runs/focal-2
    """
    assignments = _assignments(
        settings,
        epochs=epochs,
        batch_size=batch_size,
        loss=loss,
        modality=modality,
        fusion=fusion,
        backbone=backbone,
        weights=weights,
        trust_pickle=trust_pickle or None,
        image_size=image_size,
        seed=seed,
        device=device,
        deterministic=deterministic or None,
        data_memory=data_memory,
    )
    run, config = _open_run(preset=preset, assignments=assignments, out=out, resume=resume)
    _train(run, config, data=data, manifest=manifest, only=fold)


@app.command()
def presets(
    name: Annotated[str | None, typer.Argument(help="A preset or TOML file to show in full.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the presets, or show every setting of one.

    Examples:

        fer-train presets

        fer-train presets thesis > mine.toml

        fer-train presets thesis --json
    """
    from fer_train.settings_file import config_to_toml, load_preset, preset_names

    if as_json:
        wanted = preset_names() if name is None else [name]
        print_json({known: load_preset(known) for known in wanted})
        return
    if name is not None:
        console.print(escape(config_to_toml(load_preset(name))), soft_wrap=True)
        return
    rows = []
    for known in preset_names():
        config = load_preset(known)
        size, epochs = config.data.image_size, config.training.epochs
        rows.append((known, config.model.backbone, f"{size} × {size}", epochs, config.loss.name))
    print_table("Presets", ("name", "backbone", "input", "epochs", "loss"), rows)


KEYS = {
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "loss": "loss.name",
    "modality": "model.modality",
    "fusion": "model.fusion",
    "backbone": "model.backbone",
    "weights": "model.weights",
    "trust_pickle": "model.trust_pickle",
    "image_size": "data.image_size",
    "seed": "training.seed",
    "device": "machine.device",
    "deterministic": "machine.deterministic",
    "data_memory": "machine.data_memory",
    "parallel_folds": "machine.parallel_folds",
}
"""Options that are settings under a shorter name."""


def _assignments(settings: list[str] | None, **named: Any) -> dict[str, Any]:
    """Setting → value for the named options that were given, then for every --set."""
    from fer_train.settings_file import parse_assignment

    given = {KEYS[name]: value for name, value in named.items() if value is not None}
    return given | dict(parse_assignment(text) for text in settings or [])


def _train(
    run: RunFolder,
    config: Config,
    *,
    data: Path,
    manifest: Path | None,
    folds: int | None = None,
    only: int | None = None,
) -> None:
    """Train, then print the result table and where the report is."""
    from fer_train.training.cross_validate import FoldChoice, cross_validate
    from fer_train.training.processes import is_first_process

    try:
        summary = cross_validate(
            data,
            config=config,
            folds=FoldChoice(manifest=manifest, number=folds),
            run=run,
            only=only,
            say=note,
            progress=progress_bar,
        )
    except (FerError, ImportError, OSError):
        if is_first_process():
            run.discard_unstarted()
        raise
    if is_first_process():
        _print_summary(summary)
        console.print(f"report: {escape(str(run.report))}", soft_wrap=True)


def _open_run(
    *, preset: str | None, assignments: dict[str, Any], out: Path | None, resume: bool
) -> tuple[RunFolder, Config]:
    """The run folder and the settings to go on with; on resumption they must be those of the run."""
    from fer_train.results.run_folder import RunFolder, default_run_path, newest_unfinished_run
    from fer_train.settings_file import load_preset, override
    from fer_train.training.processes import is_first_process, launched_by_torchrun

    if launched_by_torchrun() and out is None:
        raise UsageError("processes that share a training must agree on its run folder", hint="name one with --out")
    if resume:
        run = RunFolder.open(out or newest_unfinished_run())
        base = run.config if preset is None else load_preset(preset)
        config = override(base, assignments)
        run.refuse_other_settings(config)
        if is_first_process():
            note(f"resuming {run.path}")
            say_if_no_gpu(config)
        return run, config
    chosen = preset or preset_for_this_machine()
    config = override(load_preset(chosen), assignments)
    if not is_first_process():
        return RunFolder(out or default_run_path(config.name)), config
    if preset is not None:
        say_if_no_gpu(config)
    return RunFolder.create(out or default_run_path(config.name), config=config), config


def preset_for_this_machine() -> str:
    """``thesis`` where PyTorch finds a GPU; else ``demo``, which a CPU can finish; says so."""
    from fer_train.environment import choose_device

    if choose_device("auto").type != "cpu":
        return "thesis"
    note("no GPU here: using the preset demo, which a CPU can finish (--preset thesis for the full network)")
    return "demo"


def say_if_no_gpu(config: Config) -> None:
    """One line where a GPU would have been taken and there is none: the training goes on, but takes its time."""
    from fer_train.environment import choose_device

    if config.machine.device == "auto" and choose_device("auto").type == "cpu":
        note("no GPU here: training on the CPU")


def _print_summary(summary: dict[str, Any]) -> None:
    """The result table: one row a fold, then the mean."""
    rows: list[list[object]] = [
        [
            str(fold["index"]),
            *(f"{fold[key]:.1f}" for key in ("overall_accuracy", "average_accuracy", "macro_f1")),
            f"{fold['loss']:.3f}",
            f"{fold['best']['overall_accuracy']:.1f}",
        ]
        for fold in summary["folds"]
    ]
    overall, average = summary["overall_accuracy"], summary["average_accuracy"]
    best = summary["best_validation_point"]["overall_accuracy"]["mean"]
    rows.append(
        ["mean", f"{overall['mean']:.1f}", f"{average['mean']:.1f}", f"{summary['macro_f1']['mean']:.1f}",
         f"{summary['loss']['mean']:.3f}", f"{best:.1f}"]
    )  # fmt: skip
    columns = ("fold", "overall %", "average %", "macro F1 %", "loss", "(best point: overall %)")
    print_table(f"{summary['name']}, {summary['protocol']}, {len(summary['classes'])} classes", columns, rows)
    for name, value in (("overall accuracy", overall), ("average accuracy", average)):
        low, high = value["ci95"]
        console.print(
            f"{name}: {value['mean']:.1f} ± {value['std']:.1f} % (folds), 95 % interval over people "
            f"{low:.1f} to {high:.1f} %",
            soft_wrap=True,
        )
