"""``fer-train bench``: how fast this machine trains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from fer_prep.cli.console import console, note, print_json, print_table
from fer_prep.cli.options import JsonOption, manifest_names
from fer_train.cli.app import app

if TYPE_CHECKING:
    from fer_train.bench import BenchResult


@app.command()
def bench(
    data: Annotated[Path, typer.Option("--data", help="The dataset: an HDF5 file of fer-prep merge.")] = Path(
        "global.h5"
    ),
    preset: Annotated[
        str | None,
        typer.Option(
            autocompletion=manifest_names("presets"),
            help="A preset or TOML file. Default: thesis on a GPU, else demo.",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Any setting; repeatable.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often the loops take turns.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.01, help="How long each loop runs in a round.")] = 5.0,
    as_json: JsonOption = False,
) -> None:
    """Time the training loop against the most this machine could do, streamed data, and a plain PyTorch loop.

    Examples:

        fer-train bench

        fer-train bench --preset thesis --set machine.compile=true --json
    """
    from fer_train.bench import bench as measure
    from fer_train.cli.train import preset_for_this_machine
    from fer_train.settings_file import load_preset, override, parse_assignment

    chosen = load_preset(preset or preset_for_this_machine())
    config = override(chosen, dict(parse_assignment(text) for text in settings or []))
    result = measure(data, config=config, rounds=rounds, seconds=seconds, say=note)
    if as_json:
        print_json(result.to_dict())
        return
    _print(result)


NAMES: Final = {
    "ceiling": "a  fixed batch: the ceiling",
    "loop": "b  training loop",
    "streaming": "c  training loop, streamed",
    "plain": "d  plain PyTorch loop",
}


def _print(result: BenchResult) -> None:
    rows = [
        (
            NAMES[name],
            f"{measured.images_per_second:.1f}",
            f"{100 * measured.share_of_ceiling:.1f} %",
            f"{measured.first_step_seconds:.1f} s",
        )
        for name, measured in result.loops.items()
    ]
    title = f"{result.config.name} on {result.device}, {result.precision}, {result.config.data.image_size} pixels"
    print_table(title, ("loop", "images/s", "of the ceiling", "first step"), rows)
    training, minutes = result.config.training, result.thesis_run_seconds / 60
    console.print(
        f"validation: {result.validation_images_per_second:.1f} images/s; most memory: "
        f"{result.peak_memory_bytes / 1e9:.2f} GB"
    )
    console.print(
        f"5 folds of 8,716 samples, {training.epochs} epochs, {training.validations_per_epoch} validations an epoch, "
        f"would take {minutes:.1f} minutes by these rates",
        soft_wrap=True,
    )
