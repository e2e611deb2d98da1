"""Options that several commands share, and the settings that they come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_type_hints

import typer

from fer_prep.cli.console import note
from fer_prep.cli.options import names_of
from fer_prep.cli.workspace import GLOBAL_FILE
from fer_prep.errors import UsageError
from fer_prep.options import field_help, option
from fer_prep.resources import manifest_names
from fer_train.config import Config, Fusion

DATA: Final = GLOBAL_FILE
PRESETS: Final = ("thesis", "demo")
"""What is taken where none is named: with a GPU, and without."""
MODALITIES: Final = {"rgbd": "rgb,depth", "rgb": "rgb", "depth": "depth"}
"""Short form → the inputs that it means."""
DataOption = Annotated[Path, typer.Option("--data", help="The dataset: an HDF5 file of fer-prep merge.")]
RunDataOption = Annotated[Path, typer.Option("--data", help="The dataset the run was made with.")]
DeviceOption = Annotated[
    str,
    typer.Option(autocompletion=names_of(("auto", "cpu", "cuda", "mps")), help="auto, cpu, cuda, cuda:1 or mps."),
]


@dataclass(frozen=True, kw_only=True)
class SettingsOptions:
    """Which settings to begin with, and any of them changed."""

    preset: str | None = option(
        None, names=partial(manifest_names, "presets"), show_default="thesis where there is a GPU, else demo"
    )
    """A name of fer-train presets, or a TOML file."""
    settings: list[str] | None = option(None, name="--set", metavar="SECTION.KEY=VALUE", show_default="none")
    """Any setting; repeatable. fer-train presets NAME lists them."""
    trust_pickle: bool = option(False, name="--trust-pickle")
    """The weights may be a pickled module: run the code in it once, and go on with the safetensors file that it makes
    beside it. For a file whose origin you know."""


def short_for(setting: str, *, flag: str = "", parse: Callable[[str], Any] | None = None) -> Any:
    """An option under which a setting of ``Config`` is given in short; its meaning and names are the setting's own."""
    section, _, name = setting.partition(".")
    kind = get_type_hints(Config)[section]
    how = next(item.metadata for item in fields(kind) if item.name == name)
    limits = {key: value for key, value in how.get("more", {}).items() if key in ("min", "max")}
    meaning = field_help(kind)[name]
    return option(
        None, name=flag, names=how.get("names", ()), parse=parse, help=meaning, setting=setting,
        show_default="the preset's", **limits,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ShortOptions:
    """The settings that are changed most often."""

    epochs: int | None = short_for("training.epochs")
    batch_size: int | None = short_for("training.batch_size")
    loss: str | None = short_for("loss.name")
    modality: Literal["rgbd", "rgb", "depth"] | None = option(
        None, setting="model.inputs", show_default="the preset's inputs"
    )
    """What the network looks at: colour and depth, or one of them."""
    fusion: Fusion | None = short_for("model.fusion")
    backbone: str | None = short_for("model.backbone")
    weights: str | None = short_for("model.weights")
    image_size: int | None = short_for("data.image_size")
    seed: int | None = short_for("training.seed")
    device: str | None = short_for("machine.device")
    deterministic: bool | None = short_for("machine.deterministic", flag="--deterministic")
    data_memory: str | None = short_for("machine.data_memory")

    def assignments(self) -> dict[str, Any]:
        """Setting → value, of those that were given."""
        given = {item.metadata["setting"]: getattr(self, item.name) for item in fields(self)}
        given["model.inputs"] = MODALITIES.get(self.modality or "")
        return {setting: value for setting, value in given.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class KfoldOptions(ShortOptions):
    """Those of several folds."""

    parallel_folds: int | None = short_for("machine.parallel_folds")


def make_config(chosen: SettingsOptions, *, short: ShortOptions | None = None, base: Config | None = None) -> Config:
    """The settings that the options come to, on top of ``base`` where no preset is named."""
    from fer_train.settings_file import load_preset, override

    if base is None or chosen.preset is not None:
        base = load_preset(chosen.preset or preset_for_this_machine())
    config = override(base, _changes(chosen, short))
    if chosen.trust_pickle and config.model.weights:
        from fer_train.models.pretrained import unpickled

        weights = unpickled(Path(config.model.weights).expanduser())
        config = override(config, {"model.weights": str(weights).replace(f"{Path.home()}/", "~/", 1)})
    return config


def _changes(chosen: SettingsOptions, short: ShortOptions | None) -> dict[str, Any]:
    """Setting → value, of all that were given."""
    from fer_train.settings_file import parse_assignment

    changed = {} if short is None else short.assignments()
    changed |= dict(parse_assignment(text) for text in chosen.settings or ())
    if "model.weights" in changed:  # a run folder tells nobody's name
        changed["model.weights"] = str(changed["model.weights"]).replace(f"{Path.home()}/", "~/", 1)
    return changed


def refuse_early(data: Path, chosen: SettingsOptions, short: ShortOptions | None = None) -> None:
    """Refuse settings that cannot be, and a dataset that cannot be opened, before PyTorch is loaded.

    Which preset it will be where none is named takes PyTorch: settings that one of them can have are let through.
    """
    from fer_train.settings_file import load_preset, override

    refused: list[UsageError] = []
    names = (chosen.preset,) if chosen.preset else PRESETS
    for name in names:
        try:
            override(load_preset(name), _changes(chosen, short))
        except UsageError as error:
            refused.append(error)
    if len(refused) == len(names):
        raise refused[0]
    require_data(data)


def preset_for_this_machine() -> str:
    """``thesis`` where PyTorch finds a GPU; else ``demo``, which a CPU can finish; says so."""
    from fer_train.environment import choose_device

    with_gpu, without = PRESETS
    if choose_device("auto").type != "cpu":
        return with_gpu
    note(f"no GPU here: using the preset {without}, which a CPU can finish (--preset {with_gpu} for the full network)")
    return without


def say_if_no_gpu(config: Config) -> None:
    """One line where a GPU would have been taken and there is none: the training goes on, but takes its time."""
    from fer_train.environment import choose_device

    if config.machine.device == "auto" and choose_device("auto").type == "cpu":
        note("no GPU here: training on the CPU")


def require_data(*paths: Path) -> None:
    """Refuse datasets that cannot be opened, before PyTorch is loaded."""
    from fer_prep.dataset.reader import DatasetFile

    for path in paths:
        DatasetFile.open(path).close()


def chosen_run(run: Path | None) -> Path:
    """The run that was named, or the newest finished one in ``runs/``; says which."""
    from fer_train.training.run_folder import finished_runs

    if run is None:
        run = finished_runs()[-1]
        note(f"run: {run}")
    elif not run.is_dir():
        raise UsageError("expected the folder of a run; there is none", path=run)
    return run
