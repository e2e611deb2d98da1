"""Where a network begins: backbone weights from a file, or everything from a fold that was trained before.

A trained fold is a head start for small data (learn on one dataset, go on with another), and the easiest way to leak:
whoever was seen then must not be judged now. So its people are noted beside the new fold and refused among the judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_train.config import Config, ModelSettings
from fer_train.models.model_file import (
    DESCRIPTION,
    NOT_ARCHITECTURE,
    WEIGHTS,
    ModelDescription,
    build_network,
    load_model,
    start_description,
)
from fer_train.models.network import ExpressionNetwork
from fer_train.models.pretrained import load_backbone_weights
from fer_train.models.starts import is_ours, start_path
from fer_train.models.trained_people import people_trained_on

BESIDE: Final = ("blocks", "components", "shrinkage", "with_classical", "mirror_average")
"""Model settings of the discriminants beside a network, which are fitted anew, and of how it answers."""
FREE: Final = (*NOT_ARCHITECTURE, *BESIDE, "dropout", "drop_path")
"""Model settings in which a trained fold may differ: no weight depends on them."""


def try_network(
    config: Config,
    file: DatasetFile,
    *,
    classes: tuple[str, ...],
    judged: NDArray[np.int64],
    say: Callable[[str], None],
) -> None:
    """Build the network and give it its weights once, so that what cannot be is refused before anything is written."""
    size = config.data.image_size
    network = build_network(config.model, classes=len(classes), image_size=size, pretrained=False)
    if config.model.weights and not network.fitted:
        set_initial_weights(network, config.model, classes=classes, file=file, judged=judged, say=say)


def set_initial_weights(
    network: ExpressionNetwork,
    settings: ModelSettings,
    *,
    classes: tuple[str, ...],
    file: DatasetFile,
    judged: NDArray[np.int64],
    say: Callable[[str], None] = lambda text: None,
) -> set[str]:
    """Put ``settings.weights`` into a fresh network: a file into its backbones, or a trained fold into all of it.

    ``file`` and ``judged`` (n,), rows of it, say who is going to be judged; a trained fold that knows one of them by
    name is a UsageError unless ``settings.same_names`` says that those are strangers, and so is one of another
    architecture. Where it told another number of classes apart, the classifying layer stays fresh. Returns the people
    that the weights have learned from; nobody where a file does not say.
    """
    folder = _trained_fold(settings)
    if folder is None:
        doubt = ""
        for stream in network.backbones:
            path = Path(settings.weights).expanduser()
            doubt = load_backbone_weights(network.backbone(stream), path)
        if doubt:
            say(doubt)
        return set()
    refuse_known_people(settings, file, judged)
    trained, description = load_model(folder, device=torch.device("cpu"))
    if different := _differences(settings, network.image_size, there=description):
        if is_ours(settings.weights):
            say(f"beginning from nothing: {settings.weights} is another network ({'; '.join(different)})")
            return set()
        raise UsageError(
            f"is another network: {'; '.join(different)}",
            path=folder,
            hint="train with the settings of its config.toml, or start from weights of this network",
        )
    own = network.state_dict()
    taken = {
        name: value
        for name, value in trained.state_dict().items()
        if not name.startswith("classical.") and value.shape == own[name].shape
    }
    network.load_state_dict(own | taken)
    return set(description.people)


def refuse_known_people(settings: ModelSettings, file: DatasetFile, judged: NDArray[np.int64]) -> None:
    """Raise UsageError where the trained fold in ``settings.weights`` knows the people of rows ``judged`` (n,)."""
    folder = _trained_fold(settings)
    if folder is None or settings.same_names == "strangers":
        return
    both = sorted(people_trained_on(folder).intersection(file.column("subject")[judged].tolist()))
    if both:
        raise UsageError(
            f"was trained on {len(both)} of the people who are to be judged here ({', '.join(both[:3])}"
            f"{' …' if len(both) > 3 else ''})",
            path=folder,
            hint="start from a network that was trained on other people; if they only share names, as people of sample "
            "data do: --set model.same_names=strangers",
        )


def _trained_fold(settings: ModelSettings) -> Path | None:
    """The folder, or the one file of ``fer-train pretrain``, that ``settings.weights`` means; None where it is a file
    of another program, or nothing.
    """
    path = start_path(settings.weights)
    folder = path.parent if path.name == WEIGHTS and (path.parent / DESCRIPTION).is_file() else path
    return folder if settings.weights and (folder.is_dir() or start_description(folder) is not None) else None


def _differences(here: ModelSettings, image_size: int, *, there: ModelDescription) -> list[str]:
    """In what a network of ``here`` is another than the trained one, in words."""
    mine, its = (
        {f"model.{name}": value for name, value in asdict(each).items() if name not in FREE}
        for each in (here, there.model)
    )
    mine["data.image_size"], its["data.image_size"] = image_size, there.image_size
    return [f"{name} {its[name]!r} there, {mine[name]!r} here" for name in mine if mine[name] != its[name]]


def begun_in_words(config: Config) -> str:
    """Where the network of these settings began, in a sentence for the report; empty where it learned from nothing."""
    path = start_path(config.model.weights)
    description = start_description(path)
    if description is None or _differences(config.model, config.data.image_size, there=description):
        return ""
    whom = "generated people, as those of sample data are" if is_ours(config.model.weights) else "other people"
    return f"The network began from {path.stem}, which had learned from {len(description.people)} {whom}."
