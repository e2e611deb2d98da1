"""A trained network on disk: ``model.safetensors`` beside ``config.json``, which says how to rebuild and feed it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from fer_prep.atomic_files import replacing, write_atomically
from fer_prep.errors import FerError, UsageError
from fer_prep.validated import checked, parse_json, read_json
from fer_train.classical.blocks import BLOCKS, block_key
from fer_train.config import Config, DataSettings, ModelSettings
from fer_train.data.inputs import INPUTS, modalities_of
from fer_train.data.normalise import FoldNormalisation
from fer_train.models import network_class
from fer_train.models.network import ExpressionNetwork

FORMAT: Final = "fer-model"
VERSION: Final = 1
WEIGHTS: Final = "model.safetensors"
DESCRIPTION: Final = "config.json"
NOT_ARCHITECTURE: Final = ("weights", "same_names", "pretrained")
"""Model settings that say where weights come from."""


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """What a network needs besides its weights."""

    classes: tuple[str, ...]
    image_size: int
    equalise_luma: bool
    model: ModelSettings
    normalisation: FoldNormalisation
    people: tuple[str, ...]
    """Subjects that the weights have learned from, also in an earlier training that this one started from; sorted."""
    preparation: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """How the pictures were framed (``framing``, ``mask``, ``size``), as far as the dataset says it with one voice."""


def build_network(settings: ModelSettings, *, classes: int, image_size: int, pretrained: bool) -> ExpressionNetwork:
    """The network of these settings; weights are fresh unless ``pretrained`` and the settings ask for timm's."""
    arguments = {name: value for name, value in asdict(settings).items() if name not in NOT_ARCHITECTURE}
    arguments["inputs"] = settings.input_names
    build: Any = network_class(arguments.pop("network"))
    network: ExpressionNetwork = build(
        classes=classes,
        image_size=image_size,
        pretrained=pretrained and settings.pretrained,
        **arguments,
    )
    if settings.with_classical and not network.fitted:
        arguments["inputs"] = modalities_of(settings.input_names)
        discriminants: Any = network_class("classical")
        network.classical = discriminants(classes=classes, image_size=image_size, **arguments)
    network.backbones.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def save_model(folder: Path, weights: Mapping[str, Tensor], *, description: ModelDescription) -> None:
    """Write both files, the weights last."""
    write_atomically(folder / DESCRIPTION, content=_as_json(description))
    _save(folder / WEIGHTS, weights)


def save_start(path: Path, weights: Mapping[str, Tensor], *, description: ModelDescription) -> None:
    """Both as one file for ``--weights``: the description in its header, floating-point numbers in half precision."""
    halves = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    _save(path, halves, metadata={FORMAT: _as_json(description)})


def _as_json(description: ModelDescription) -> str:
    content = {
        "format": FORMAT,
        "version": VERSION,
        "classes": list(description.classes),
        "image_size": description.image_size,
        "equalise_luma": description.equalise_luma,
        "model": asdict(description.model),
        "normalisation": description.normalisation.to_dict(),
        "preparation": dict(description.preparation),
        "people": list(description.people),
    }
    return json.dumps(content, indent=1) + "\n"


def _save(path: Path, weights: Mapping[str, Tensor], *, metadata: dict[str, str] | None = None) -> None:
    with replacing(path) as part:
        # not save_file, which makes files that only their owner may read
        part.write_bytes(save({name: value.detach().cpu().contiguous() for name, value in weights.items()}, metadata))


def load_model(folder: Path, *, device: torch.device) -> tuple[ExpressionNetwork, ModelDescription]:
    """Rebuild a network in evaluation mode on the device; a missing or foreign file is an error that names it.

    ``folder`` may be the one file of ``save_start``.
    """
    path, description = folder, start_description(folder)
    if description is None:
        path, description = folder / WEIGHTS, read_description(folder / DESCRIPTION)
    try:
        _refuse_other_shapes(description, path)
        weights = load_file(path)
    except FileNotFoundError:
        raise UsageError("no such file", path=path, hint="this fold is not finished: continue the run first") from None
    except SafetensorError as error:
        raise UsageError(f"cannot be read as safetensors: {error}", path=path) from error
    network = build_network(
        description.model, classes=len(description.classes), image_size=description.image_size, pretrained=False
    )
    network.load_state_dict(weights)
    return network.to(device).eval(), description


def model_folders(path: Path) -> list[Path]:
    """The fold folders that ``path`` means: itself, or every ``fold-K`` in it."""
    if (path / DESCRIPTION).is_file():
        return [path]
    folders = sorted(path.glob(f"fold-*/{DESCRIPTION}"), key=lambda file: int(file.parent.name.split("-")[1]))
    if not folders:
        raise UsageError(
            "expected a run folder or the folder of a fold; found no trained model",
            path=path,
            hint="the run comes first, what it is to look at second: fer-train predict runs/demo data/prepared/cald3r",
        )
    return [file.parent for file in folders]


def start_description(path: Path) -> ModelDescription | None:
    """What the header of a file of ``save_start`` says; None where ``path`` is anything else."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportUnknownVariableType]
            opened: Any = file
            text: str = (opened.metadata() or {}).get(FORMAT, "")
    except SafetensorError:
        return None
    return _description(parse_json(text, path, error=UsageError), path) if text else None


def read_description(path: Path) -> ModelDescription:
    """Read a model's ``config.json``."""
    try:
        return _description(read_json(path, error=UsageError), path)
    except FileNotFoundError:
        raise UsageError("no such file", path=path, hint="expected the folder of a trained fold") from None


@dataclass(frozen=True, kw_only=True)
class StoredMoments(DataSettings):
    """Mean and deviation of an input, a number a channel, and those of the settings that it is computed with."""

    mean: list[float]
    std: list[float]


@dataclass(frozen=True, kw_only=True)
class StoredDescription:
    """``config.json``, key by key."""

    format: str
    version: int
    classes: tuple[str, ...]
    image_size: int
    equalise_luma: bool
    model: ModelSettings
    normalisation: dict[str, StoredMoments]
    people: tuple[str, ...]
    preparation: dict[str, str | int] = field(default_factory=dict[str, str | int])


def _description(content: Any, path: Path) -> ModelDescription:
    stored = checked(StoredDescription, content, path=path, error=UsageError)
    if (stored.format, stored.version) != (FORMAT, VERSION):
        found = f"{stored.format!r} version {stored.version!r}"
        raise UsageError(path=path, expected=f"{FORMAT!r} version {VERSION}", found=found)
    model = stored.model
    try:
        for data in (DataSettings(image_size=stored.image_size), *stored.normalisation.values()):
            Config(model=model, data=data)  # limits and contradictions
    except UsageError as error:
        raise UsageError(error.message, path=path, hint=error.hint) from None
    fitted = network_class(model.network).fitted
    expected = {} if fitted else {name: INPUTS[name].channels for name in model.input_names}
    values = {name: (each.mean, each.std) for name, each in stored.normalisation.items()}
    classes, blocks = stored.classes, {block_key(name) for name in model.blocks.split(",")}
    for right, what in (
        ({name: len(mean) for name, (mean, _) in values.items()} == expected, f"normalisation of {model.inputs}"),
        (all(len(mean) == len(std) for mean, std in values.values()), "as many normalisation.std as .mean"),
        (all(isfinite(m) for mean, _ in values.values() for m in mean), "finite normalisation.mean"),
        (all(0 < s < inf for _, std in values.values() for s in std), "positive normalisation.std"),
        (
            all(set(INPUTS[name].settings) <= set(content["normalisation"][name]) for name in values),
            "in normalisation what each input is computed with",
        ),
        (2 <= len(classes) == len(set(classes)), "two or more different classes"),
        (not (fitted or model.with_classical) or blocks <= {*BLOCKS, "features"}, "known model.blocks"),
    ):
        if not right:
            raise UsageError(path=path, expected=what, found="others")
    return ModelDescription(
        classes=classes,
        image_size=stored.image_size,
        equalise_luma=stored.equalise_luma,
        model=model,
        normalisation=FoldNormalisation.from_dict(content["normalisation"]),
        preparation=stored.preparation,
        people=stored.people,
    )


def _refuse_other_shapes(description: ModelDescription, weights: Path) -> None:
    """Raise UsageError where the file holds another network than is described, before room is made for either."""
    classes, size = len(description.classes), description.image_size
    try:
        with torch.device("meta"):
            network = build_network(description.model, classes=classes, image_size=size, pretrained=False)
    except (FerError, RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise UsageError(f"the network of its {DESCRIPTION} cannot be built: {error}", path=weights) from error
    expected = {name: list(value.shape) for name, value in network.state_dict().items()}
    with safe_open(weights, framework="pt") as file:  # pyright: ignore[reportUnknownVariableType]
        opened: Any = file
        found = {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118
    for name in {**expected, **found}:
        if expected.get(name) != found.get(name):
            here, there = (str(shapes.get(name, "none")) for shapes in (found, expected))
            raise UsageError(f"does not fit {DESCRIPTION}: {name} is {here} here, {there} by that", path=weights)


def describe(
    config: Config,
    *,
    classes: tuple[str, ...],
    normalisation: FoldNormalisation,
    people: Iterable[str],
    data_settings: Mapping[str, Any] | None = None,
) -> ModelDescription:
    """The description of a network trained with these settings on these people, in a file with ``data_settings``."""
    return ModelDescription(
        classes=classes,
        image_size=config.data.image_size,
        equalise_luma=config.data.equalise_luma,
        model=config.model,
        normalisation=normalisation,
        preparation=preparation_of(data_settings or {}),
        people=tuple(sorted(set(people))),
    )


def preparation_of(data_settings: Mapping[str, Any]) -> dict[str, Any]:
    """``framing``, ``mask`` and ``size`` of the prepared folders in a dataset; those that differ are left out."""
    inputs = [entry.get("settings", {}) for entry in data_settings.get("inputs", ())]
    found: dict[str, Any] = {}
    for name in ("framing", "mask", "size"):
        values = [settings.get(name) for settings in inputs]
        if values and values[0] is not None and values.count(values[0]) == len(values):
            found[name] = values[0]
    return found
