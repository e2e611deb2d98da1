"""Stored integers on their way to the network: resized, equalised, in [0, 1], and inputs computed from them.

*Images* are stored modalities, modality → (B, C, S, S); *inputs* are what is computed of them, name → tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fer_prep.depth_encoding import UNIT_MM
from fer_prep.errors import UsageError
from fer_train.data.inputs import INPUTS, PIXEL_MM, STORED
from fer_train.data.resample import resize_depth, resize_rgb

Images = Mapping[str, Tensor]
"""Modality → (B, C, S, S): as stored in integers, or in float32 in [0, 1]; and what is known beside them
(``PIXEL_MM``, ``RAYS``, ``KEYS``)."""
Inputs = Mapping[str, Tensor]
"""Name of an input → (B, …) float32, as the network takes it."""

FULL_DEPTH_MM: Final = STORED["depth"].maximum * UNIT_MM
"""How far behind the nearest point depth of 1 lies."""
LUMA: Final = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of R, G, B."""


def to_tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """Stored arrays (B, H, W) or (B, H, W, C) by modality → (B, H, W, C) tensors of the modality's type."""
    tensors: dict[str, Tensor] = {}
    for name, array in arrays.items():
        whole = array if array.ndim == 4 else array[..., None]
        tensors[name] = torch.from_numpy(whole.astype(STORED[name].dtype, copy=False))
    return tensors


def prepare_images(stored: Images, *, image_size: int, equalise: bool) -> dict[str, Tensor]:
    """(B, H, W, C) as stored → (B, C, S, S) integers at the network's size, the luma equalised if wanted."""
    images: dict[str, Tensor] = {}
    for name, whole in stored.items():
        kind = STORED[name]
        if kind.holes:
            resized = resize_depth(whole[..., 0], size=image_size)[..., None]
        else:
            resized = resize_rgb(whole, size=image_size)
        image = resized.permute(0, 3, 1, 2)  # (B, C, S, S)
        images[name] = equalise_luma(image) if equalise and kind.colour else image
    return images


def to_floats(images: Images) -> dict[str, Tensor]:
    """Integers → float32 in [0, 1]; 0 stays no data where there are holes."""
    return {
        name: image.to(torch.float32, memory_format=torch.contiguous_format) / STORED[name].maximum
        if name in STORED
        else image
        for name, image in images.items()
    }


def images_of(
    stored: Mapping[str, NDArray[Any]], *, image_size: int, equalise: bool, device: torch.device | str
) -> dict[str, Tensor]:
    """Stored arrays ``rgb`` (B, H, W, 3) u1, ``depth`` (B, H, W) u2 → images (B, C, S, S) in [0, 1] on the device."""
    there = {name: each.to(device) for name, each in to_tensors(stored).items()}
    return to_floats(prepare_images(there, image_size=image_size, equalise=equalise))


def compute_input(name: str, images: Images, *, settings: Mapping[str, Any]) -> Tensor:
    """(B, channels, …) of an input, from images in [0, 1]; ``settings`` are those of ``[data]``."""
    module, _, function = INPUTS[name].compute.partition(":")
    if not module:
        return images[INPUTS[name].stored[0]]
    compute: Callable[..., Tensor] = getattr(import_module(module), function)
    if INPUTS[name].is_metric and PIXEL_MM not in images:
        raise UsageError(
            f"{name} is computed from metric depth, and how large a pixel is, is not known here",
            hint="merge the pictures into a dataset, which knows it, or give pixel_mm beside depth",
        )
    return compute(images, **{each: settings[each] for each in INPUTS[name].settings})


def valid_of(name: str, images: Images) -> Tensor | None:
    """(B, 1, S, S) where the input ``name`` has a value; None where it has one everywhere, or is no picture."""
    if INPUTS[name].kind != "pictures" or not INPUTS[name].has_holes:
        return None
    masks = [images[modality] > 0 for modality in INPUTS[name].stored if STORED[modality].holes]
    return torch.stack(masks).all(dim=0) if masks else None


def neighbours(values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(B, C, S, S) → what is to the left, right, above and below of every pixel; beyond the border, the border."""
    padded = functional.pad(values, (1, 1, 1, 1), mode="replicate")
    return padded[..., 1:-1, :-2], padded[..., 1:-1, 2:], padded[..., :-2, 1:-1], padded[..., 2:, 1:-1]


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
