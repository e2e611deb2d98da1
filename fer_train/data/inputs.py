"""What a network can look at, by name, and which stored modalities it is made of. Read without loading torch.

A new input is one entry of ``INPUTS``: nothing between the file and the network lists inputs by hand. ``images`` has
the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fer_prep.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from fer_prep.dataset.reader import DatasetFile


@dataclass(frozen=True, kw_only=True)
class Modality:
    """Something that a dataset stores for every sample."""

    channels: int
    maximum: int
    """Largest storable value."""
    dtype: str
    """PyTorch's type of its integers in memory."""
    colour: bool = False
    """Whether brightness, contrast, saturation and equalised luma mean anything for it."""
    holes: bool = False
    """Whether 0 is no data."""


STORED: Final[dict[str, Modality]] = {
    "rgb": Modality(channels=3, maximum=255, dtype="uint8", colour=True),
    # int32 holds every u16, and unlike uint16 every device can compute with it
    "depth": Modality(channels=1, maximum=65535, dtype="int32", holes=True),
}


@dataclass(frozen=True, kw_only=True)
class Input:
    """Something that a network can ask for."""

    stored: tuple[str, ...]
    """The modalities that it is computed from."""
    channels: int
    compute: str = ""
    """``module:function`` of images in [0, 1] by modality → (B, channels, S, S), imported when it is asked for; empty
    for the stored image itself, whose mean and deviation are those of the training samples."""
    is_metric: bool = False
    """Whether its function wants the size of a pixel (``PIXEL_MM``) among the images, and the smoothing in mm."""
    typical: tuple[float, float] = (0.0, 1.0)
    """Of what is computed: what is subtracted, and what it is divided by, to be about as large as other inputs."""
    has_holes: bool = True
    """Whether it has no value where one of its modalities has a hole; what fills them has one everywhere."""


_MAPS: Final = "fer_train.data.attribute_maps"

INPUTS: Final[dict[str, Input]] = {
    "rgb": Input(stored=("rgb",), channels=3),
    # how far a place lies behind the sample's own nearest point: where the head stands does not matter
    "depth": Input(stored=("depth",), channels=1),
    "normals": Input(stored=("depth",), channels=3, is_metric=True, compute=f"{_MAPS}:normals", typical=(0.0, 0.5)),
    "mean-curvature": Input(
        stored=("depth",), channels=1, is_metric=True, compute=f"{_MAPS}:mean_curvature", typical=(0.0, 0.03)
    ),
    "gaussian-curvature": Input(
        stored=("depth",), channels=1, is_metric=True, compute=f"{_MAPS}:gaussian_curvature", typical=(0.0, 0.001)
    ),
    "shape-index": Input(
        stored=("depth",), channels=1, is_metric=True, compute=f"{_MAPS}:shape_index", typical=(0.0, 0.5)
    ),
    "curvedness": Input(
        stored=("depth",), channels=1, is_metric=True, compute=f"{_MAPS}:curvedness", typical=(0.03, 0.03)
    ),
    "hha": Input(stored=("depth",), channels=3, is_metric=True, compute=f"{_MAPS}:hha", typical=(0.5, 0.25)),
    "rgb-relief": Input(
        stored=("rgb", "depth"), channels=6, compute="fer_train.data.relief:colour_and_relief", has_holes=False
    ),
}

PIXEL_MM: Final = "pixel_mm"
"""Beside the modalities of a batch where an input is metric: (B, 1, 1, 1) float32, the side of a pixel in mm."""


def parse_inputs(text: str) -> tuple[str, ...]:
    """``rgb,depth`` → the names; unknown, repeated or no names are a UsageError.

    >>> parse_inputs("rgb,depth")
    ('rgb', 'depth')
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in INPUTS:
            raise UsageError(f"model.inputs = {text!r}: {did_you_mean(name, INPUTS)}")
    if not names or len(set(names)) < len(names):
        raise UsageError(f"model.inputs = {text!r}: expected different names out of {', '.join(INPUTS)}")
    return names


def modalities_of(inputs: Sequence[str]) -> tuple[str, ...]:
    """The stored modalities that these inputs are computed from."""
    return tuple(name for name in STORED if any(name in INPUTS[each].stored for each in inputs))


def refuse_absent_modalities(inputs: Sequence[str], file: DatasetFile) -> None:
    """Raise UsageError that names the first input which cannot be computed from what the file stores."""
    for name in inputs:
        absent = [modality for modality in INPUTS[name].stored if modality not in file.modalities]
        if absent:
            possible = ",".join(each for each in INPUTS if set(INPUTS[each].stored) <= set(file.modalities))
            raise UsageError(
                f"the input {name!r} is made of stored {absent[0]}, which this dataset does not have; it has: "
                f"{', '.join(file.modalities)}",
                path=file.path,
                hint=f"choose inputs that it has, for example --set model.inputs={possible}",
            )
