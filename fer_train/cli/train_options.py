"""The options of the commands that train, and which settings they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from fer_prep.cli.options import manifest_names, names_of
from fer_prep.errors import UsageError

LOSS_NAMES: Final = ("cross-entropy", "hinge", "center", "island", "focal")
MODALITIES: Final = {"rgbd": "rgb,depth", "rgb": "rgb", "depth": "depth"}
"""Short form → the inputs that it means."""
FUSIONS: Final = ("attention", "sum", "concat", "attention-1d")
DEVICES: Final = ("auto", "cpu", "cuda", "mps")
"""What the shell offers. The settings know these names too, but to ask them takes seconds: they load torch."""

DataOption = Annotated[Path, typer.Option("--data", help="The dataset: an HDF5 file of fer-prep merge.")]
ManifestOption = Annotated[
    Path | None,
    typer.Option(help="A fold manifest. Default: <data>.folds.json beside the data.", show_default=False),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        autocompletion=manifest_names("presets"),
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
    str | None,
    typer.Option(
        autocompletion=names_of(LOSS_NAMES), help="cross-entropy, hinge, center, island or focal.", show_default=False
    ),
]
ModalityOption = Annotated[
    str | None, typer.Option(autocompletion=names_of(MODALITIES), help="rgbd, rgb or depth.", show_default=False)
]
FusionOption = Annotated[
    str | None,
    typer.Option(autocompletion=names_of(FUSIONS), help="attention, sum, concat or attention-1d.", show_default=False),
]
BackboneOption = Annotated[str | None, typer.Option(help="Any timm model by name.", show_default=False)]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        help="Where to begin: a file with backbone weights, or a trained fold's folder, runs/NAME/fold-0.",
        show_default=False,
    ),
]
TrustPickleOption = Annotated[
    bool, typer.Option("--trust-pickle", help="Load --weights even where that runs code inside the file.")
]
ImageSizeOption = Annotated[int | None, typer.Option(help="Side of the network's input in pixels.", show_default=False)]
DeterministicOption = Annotated[
    bool, typer.Option("--deterministic", help="Only deterministic kernels: slower on GPUs, equal numbers every time.")
]
SeedOption = Annotated[int | None, typer.Option(help="Seeds everything random.", show_default=False)]
DeviceOption = Annotated[
    str | None,
    typer.Option(autocompletion=names_of(DEVICES), help="auto, cpu, cuda, cuda:1 or mps.", show_default=False),
]
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

KEYS = {
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "loss": "loss.name",
    "modality": "model.inputs",
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


def assignments_of(settings: list[str] | None, **named: Any) -> dict[str, Any]:
    """Setting → value for the named options that were given, then for every --set."""
    from fer_train.settings_file import parse_assignment

    if named.get("modality") is not None:
        if named["modality"] not in MODALITIES:
            raise UsageError(f"--modality {named['modality']!r}: expected one of {', '.join(MODALITIES)}")
        named["modality"] = MODALITIES[named["modality"]]
    given = {KEYS[name]: value for name, value in named.items() if value is not None}
    return given | dict(parse_assignment(text) for text in settings or [])
