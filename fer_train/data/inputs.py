"""What a network can look at, by name, and which stored modalities it is made of. Read without loading torch.

A new input is one entry of ``INPUTS``: nothing between the file and the network lists inputs by hand. ``images`` has
the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

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


Kind = Literal["pictures", "points", "voxels"]
"""What an input is for a network: (B, C, S, S), (B, C, P) in any order, or (B, C, V, V, V)."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """Something that a network can ask for."""

    stored: tuple[str, ...]
    """The modalities that it is computed from."""
    channels: int
    kind: Kind = "pictures"
    compute: str = ""
    """``module:function`` of images in [0, 1] by modality → (B, channels, …), imported when it is asked for; empty
    for the stored image itself, whose mean and deviation are those of the training samples."""
    is_metric: bool = False
    """Whether its function wants the size of a pixel (``PIXEL_MM``) among the images."""
    settings: tuple[str, ...] = ()
    """Settings of ``[data]`` that its function takes as keywords; a trained network keeps them."""
    typical: tuple[float | tuple[float, ...], float | tuple[float, ...]] = (0.0, 1.0)
    """Of what is computed: what is subtracted, and what it is divided by, to be about as large as other inputs; for all
    channels or one by one."""
    has_holes: bool = True
    """Whether a picture has no value where one of its modalities has a hole; what fills them has one everywhere."""


def _map(function: str, *, channels: int, typical: tuple[float, float]) -> Input:
    """An attribute map of depth."""
    compute, settings = f"fer_train.data.attribute_maps:{function}", ("smoothing_mm",)
    return Input(
        stored=("depth",), channels=channels, compute=compute, is_metric=True, settings=settings, typical=typical
    )


def _surface(function: str, *, stored: tuple[str, ...], channels: int, kind: Kind, **more: Any) -> Input:
    """Points or voxels of the surface that depth shows."""
    compute = f"fer_train.data.surface:{function}"
    return Input(stored=stored, channels=channels, kind=kind, compute=compute, is_metric=True, **more)


_OF_POINTS: Final = ("smoothing_mm", "points", "point_choice")
_FACE_MM: Final = 50.0
"""About how far from the nose the points of a face are."""

INPUTS: Final[dict[str, Input]] = {
    "rgb": Input(stored=("rgb",), channels=3),
    # how far a place lies behind the sample's own nearest point: where the head stands does not matter
    "depth": Input(stored=("depth",), channels=1),
    "normals": _map("normals", channels=3, typical=(0.0, 0.5)),
    "mean-curvature": _map("mean_curvature", channels=1, typical=(0.0, 0.03)),
    "gaussian-curvature": _map("gaussian_curvature", channels=1, typical=(0.0, 0.001)),
    "shape-index": _map("shape_index", channels=1, typical=(0.0, 0.5)),
    "curvedness": _map("curvedness", channels=1, typical=(0.03, 0.03)),
    "hha": _map("hha", channels=3, typical=(0.5, 0.25)),
    "points": _surface(
        "points",
        stored=("rgb", "depth"),
        channels=9,
        kind="points",
        settings=_OF_POINTS,
        typical=((0.0,) * 6 + (0.5,) * 3, (_FACE_MM,) * 3 + (0.5,) * 3 + (0.25,) * 3),
    ),
    "bare-points": _surface(
        "bare_points",
        stored=("depth",),
        channels=6,
        kind="points",
        settings=_OF_POINTS,
        typical=(0.0, (_FACE_MM,) * 3 + (0.5,) * 3),
    ),
    "voxels": _surface("voxels", stored=("depth",), channels=1, kind="voxels", settings=("voxels",)),
    "colour-voxels": _surface(
        "colour_voxels", stored=("rgb", "depth"), channels=4, kind="voxels", settings=("voxels",)
    ),
    "rgb-relief": Input(
        stored=("rgb", "depth"), channels=6, compute="fer_train.data.relief:colour_and_relief", has_holes=False
    ),
}

PIXEL_MM: Final = "pixel_mm"
"""Beside the modalities of a batch where an input is metric: (B, 1, 1, 1) float32, the side of a pixel in mm, in the
middle of the face's depth where rays are central."""
RAYS: Final = "rays"
"""Beside ``PIXEL_MM`` where rays may be central: (B, 4) float32, see ``fer_train.data.surface``."""
KEYS: Final = "keys"
"""Beside the modalities while training: (B,) int64, what random draws of a sample follow from in an epoch."""


def example_shape(name: str, *, image_size: int) -> tuple[int, ...]:
    """(C, …) of one sample of an input, points and voxels as many as by default."""
    channels = INPUTS[name].channels
    shapes = {"points": (channels, 1024), "voxels": (channels, 32, 32, 32)}
    return shapes.get(INPUTS[name].kind, (channels, image_size, image_size))


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
            possible = [each for each, kind in INPUTS.items() if set(kind.stored) <= set(file.modalities)]
            alike = [each for each in possible if INPUTS[each].kind == INPUTS[name].kind]
            raise UsageError(
                f"the input {name!r} is made of stored {absent[0]}, which this dataset does not have; it has: "
                f"{', '.join(file.modalities)}",
                path=file.path,
                hint=f"choose inputs that it has, for example --set model.inputs={','.join(alike or possible)}",
            )
