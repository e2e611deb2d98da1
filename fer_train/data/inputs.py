"""What a network can look at, by name, and how it is made of what the dataset stores.

*Images* are stored modalities on their way, modality → (B, C, S, S); *inputs* are what is computed of them, name →
tensor. A new input is one entry of ``INPUTS``: nothing between the file and the network lists inputs by hand.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_train.data.resample import resize_depth, resize_rgb

Images = Mapping[str, Tensor]
"""Modality → (B, C, S, S): as stored in integers, or in float32 in [0, 1]."""
Inputs = Mapping[str, Tensor]
"""Name of an input → (B, …) float32, as the network takes it."""

LUMA: Final = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of R, G, B."""


@dataclass(frozen=True, kw_only=True)
class Modality:
    """Something that a dataset stores for every sample."""

    channels: int
    maximum: int
    """Largest storable value."""
    dtype: torch.dtype
    """Of its integers in memory."""
    colour: bool = False
    """Whether brightness, contrast, saturation and equalised luma mean anything for it."""
    holes: bool = False
    """Whether 0 is no data."""
    resize: Callable[[Tensor, int], Tensor]
    """(B, H, W, C) integers → (B, S, S, C)."""


STORED: Final[dict[str, Modality]] = {
    "rgb": Modality(
        channels=3, maximum=255, dtype=torch.uint8, colour=True, resize=lambda rgb, size: resize_rgb(rgb, size=size)
    ),
    "depth": Modality(
        channels=1,
        maximum=65535,
        dtype=torch.int32,  # holds every u16, and unlike uint16 every device can compute with it
        holes=True,
        resize=lambda depth, size: resize_depth(depth[..., 0], size=size)[..., None],
    ),
}


@dataclass(frozen=True, kw_only=True)
class Input:
    """Something that a network can ask for."""

    stored: tuple[str, ...]
    """The modalities that it is computed from; it has no value where one of them has a hole."""
    channels: int
    compute: Callable[[Images], Tensor]
    """Images in [0, 1] → (B, channels, S, S)."""
    statistics: str
    """The modality whose mean and deviation over the training samples are its own."""


INPUTS: Final[dict[str, Input]] = {
    "rgb": Input(stored=("rgb",), channels=3, compute=lambda images: images["rgb"], statistics="rgb"),
    # how far a place lies behind the sample's own nearest point: where the head stands does not matter
    "depth": Input(stored=("depth",), channels=1, compute=lambda images: images["depth"], statistics="depth"),
}


def parse_inputs(text: str) -> tuple[str, ...]:
    """``rgb,depth`` → the names; unknown, repeated or no names are a UsageError.

    >>> parse_inputs("rgb,depth")
    ('rgb', 'depth')
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in INPUTS:
            near = difflib.get_close_matches(name, INPUTS, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise UsageError(f"no input called {name!r}; legal: {', '.join(INPUTS)}{hint}")
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
            raise UsageError(
                f"the input {name!r} is made of stored {absent[0]}, which this dataset does not have; it has: "
                f"{', '.join(file.modalities)}",
                path=file.path,
                hint="choose inputs that it has, for example --set model.inputs="
                + ",".join(each for each in INPUTS if set(INPUTS[each].stored) <= set(file.modalities)),
            )


def to_tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """Stored arrays (B, H, W) or (B, H, W, C) by modality → (B, H, W, C) tensors of the modality's type."""
    tensors: dict[str, Tensor] = {}
    for name, array in arrays.items():
        whole = array if array.ndim == 4 else array[..., None]
        if STORED[name].dtype == torch.int32:
            whole = whole.astype("i4")
        tensors[name] = torch.from_numpy(whole)
    return tensors


def prepare_images(stored: Images, *, image_size: int, equalise: bool) -> dict[str, Tensor]:
    """(B, H, W, C) as stored → (B, C, S, S) integers at the network's size, the luma equalised if wanted."""
    images: dict[str, Tensor] = {}
    for name, whole in stored.items():
        kind = STORED[name]
        image = kind.resize(whole, image_size).permute(0, 3, 1, 2)  # (B, C, S, S)
        images[name] = equalise_luma(image) if equalise and kind.colour else image
    return images


def to_floats(images: Images) -> dict[str, Tensor]:
    """Integers → float32 in [0, 1]; 0 stays no data where there are holes."""
    return {
        name: image.to(torch.float32, memory_format=torch.contiguous_format) / STORED[name].maximum
        for name, image in images.items()
    }


def images_of(
    stored: Mapping[str, NDArray[Any]], *, image_size: int, equalise: bool, device: torch.device | str
) -> dict[str, Tensor]:
    """Stored arrays ``rgb`` (B, H, W, 3) u1, ``depth`` (B, H, W) u2 → images (B, C, S, S) in [0, 1] on the device."""
    there = {name: each.to(device) for name, each in to_tensors(stored).items()}
    return to_floats(prepare_images(there, image_size=image_size, equalise=equalise))


def valid_of(name: str, images: Images) -> Tensor | None:
    """(B, 1, S, S) where the input ``name`` has a value; None where it has one everywhere."""
    masks = [images[modality] > 0 for modality in INPUTS[name].stored if STORED[modality].holes]
    return torch.stack(masks).all(dim=0) if masks else None


def luma_of(rgb: Tensor) -> Tensor:
    """(B, 3, S, S) → (B, 1, S, S)."""
    red, green, blue = LUMA
    return rgb[:, :1] * red + rgb[:, 1:2] * green + rgb[:, 2:] * blue


def equalise_luma(rgb: Tensor) -> Tensor:
    """(B, 3, S, S) u8 → the same with the histogram of each image's luma made flat; the chroma stays.

    Gonzalez and Woods, "Digital image processing", §3.3.1, with the darkest level kept at 0. A uniform image stays.
    """
    colours = rgb.float()
    luma = luma_of(colours).round().long().flatten(1)  # (B, S·S)
    histogram = torch.zeros(len(rgb), 256, dtype=torch.long, device=rgb.device)
    cumulative = histogram.scatter_add_(1, luma, torch.ones_like(luma)).cumsum(dim=1)  # (B, 256)
    darkest = cumulative.gather(1, luma.amin(dim=1, keepdim=True))  # pixels of the darkest level
    spread = luma.shape[1] - darkest
    target = ((cumulative - darkest).clamp(min=0) * 255 / spread.clamp(min=1)).round()
    change = torch.where(spread > 0, target.gather(1, luma) - luma, 0.0)
    return (colours + change.reshape(len(rgb), 1, *rgb.shape[2:])).clamp(0, 255).round().to(torch.uint8)
