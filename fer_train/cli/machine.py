"""``fer-train bench`` and ``doctor``: what this machine can do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from fer_prep.cli.console import note, print_json, print_table, say
from fer_prep.cli.options import JsonOption, Options
from fer_train.cli.app import app
from fer_train.cli.options import DATA, DataOption, SettingsOptions, make_config, refuse_early

NAMES: Final = {
    "ceiling": "a  fixed batch: the ceiling",
    "loop": "b  training loop",
    "streaming": "c  training loop, streamed",
    "plain": "d  plain PyTorch loop",
}


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

    found = measure(data, config=config, rounds=rounds, seconds=seconds, plain=plain, say=note)
    if as_json:
        print_json(found)
        return
    rows = [
        (title, f"{found[f'{name}_images_per_second']:.1f}", f"{100 * found[f'{name}_share_of_ceiling']:.1f} %")
        for name, title in NAMES.items()
        if f"{name}_images_per_second" in found
    ]
    title = f"{found['preset']} on {found['device']}, {found['precision']}, {found['image_size']} pixels"
    print_table(title, ("loop", "images/s", "of the ceiling"), rows)
    memory = f"most memory: {found['peak_memory_bytes'] / 1e9:.2f} GB"
    say(f"validation: {found['validation_images_per_second']:.1f} images/s; {memory}")
    training, minutes = config.training, found["thesis_run_seconds"] / 60
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
