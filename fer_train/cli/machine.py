"""``fer-train bench`` and ``doctor``: what this machine can do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from fer_prep.cli.console import note, print_json, print_table, say
from fer_prep.cli.options import JsonOption, Options
from fer_train.cli.app import app
from fer_train.cli.options import DATA, DataOption, SettingsOptions, make_config, refuse_early

if TYPE_CHECKING:
    from fer_train.bench import BenchResult


@app.command("bench")
@Options
def bench(
    *,
    data: DataOption = DATA,
    chosen: SettingsOptions,
    rounds: Annotated[int, typer.Option(min=1, help="How often the loops take turns.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.01, help="How long each loop runs in a round.")] = 5.0,
    plain: Annotated[bool, typer.Option(help="Time the plain PyTorch loop too, which needs PNG files first.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Time the training loop against the most this machine could do, streamed data, and a plain PyTorch loop.

    Examples:

        fer-train bench

        fer-train bench --preset thesis --set machine.compile=true --json
    """
    refuse_early(data, chosen)
    config = make_config(chosen)
    from fer_train.bench import bench as measure

    result = measure(data, config=config, rounds=rounds, seconds=seconds, plain=plain, say=note)
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
    most = result.peak_memory_bytes / 1e9
    say(f"validation: {result.validation_images_per_second:.1f} images/s; most memory: {most:.2f} GB")
    say(
        f"5 folds of 8,716 samples, {training.epochs} epochs, {training.validations_per_epoch} validations an epoch, "
        f"would take {minutes:.1f} minutes by these rates"
    )


@app.command(rich_help_panel="Workspace")
def doctor(
    folder: Annotated[Path, typer.Argument(help="Where runs would be written.", file_okay=False, exists=True)] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Show which parts work on this machine, the GPU among them, and the one line that mends each that does not.

    Exit code 1 when a required part does not work.

    Examples:

        fer-train doctor

        fer-train doctor /scratch/runs --json
    """
    from fer_prep.cli.diagnosis import show
    from fer_train.doctor import examine

    show(examine(folder=folder), as_json=as_json)
