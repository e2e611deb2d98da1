"""Augmentation of whole batches on the device: the same geometry for every modality of a sample. For training only.

In this order: the images turned, flipped, enlarged and shifted, colour jitter of those that have colour, a depth
camera's noise and holes (``depth_sensor``), random erasing of depth, normalisation (elsewhere), random erasing of the
network's other inputs, mixup (in ``batches``). Every sample's numbers are functions of its key (``random_draws``), so
they do not depend on the batch it is in, on the order of batches, or on the device; mixup takes the neighbour in the
batch.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from fer_train.config import AugmentationSettings
from fer_train.data.depth_sensor import as_a_sensor_sees
from fer_train.data.images import Images, Inputs, luma_of
from fer_train.data.inputs import INPUTS, PIXEL_MM, RAYS, STORED
from fer_train.data.random_draws import uniforms


class Draws(NamedTuple):
    """One uniform number in [0, 1) a sample for each decision, (B,) each; switching one off changes no other."""

    rotation: Tensor
    flip: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    erase: Tensor
    area: Tensor
    aspect: Tensor
    top: Tensor
    left: Tensor
    scale: Tensor
    shift_x: Tensor
    shift_y: Tensor
    mixup: Tensor

    @classmethod
    def of(cls, keys: Tensor) -> Draws:
        """Those of the keys (B,) of some samples in one epoch."""
        return cls(*uniforms(keys, draws=len(cls._fields)))


def augment_images(images: Images, draws: Draws, *, settings: AugmentationSettings) -> dict[str, Tensor]:
    """Modality → (B, C, S, S) in [0, 1], moved and jittered, depth also with noise and holes."""
    moved = dict(images)
    if settings.rotation_degrees or settings.flip or settings.scale or settings.shift:
        angle = math.radians(settings.rotation_degrees) * (2 * draws.rotation - 1)
        mirror = torch.where(draws.flip < settings.flip, -1.0, 1.0)
        zoom = (1 + settings.scale) ** (2 * draws.scale - 1)
        shift = settings.shift * (2 * torch.stack([draws.shift_x, draws.shift_y], dim=1) - 1)
        moved = move(images, angle=angle, mirror=mirror, zoom=zoom, shift=shift)
    if settings.brightness or settings.contrast or settings.saturation:
        brightness = 1 + settings.brightness * (2 * draws.brightness - 1)
        contrast = 1 + settings.contrast * (2 * draws.contrast - 1)
        saturation = 1 + settings.saturation * (2 * draws.saturation - 1)
        for name in moved:
            if name in STORED and STORED[name].colour:
                moved[name] = jitter(moved[name], brightness=brightness, contrast=contrast, saturation=saturation)
    if settings.depth_noise or settings.depth_holes:
        moved = as_a_sensor_sees(moved, noise_mm=settings.depth_noise, holes=settings.depth_holes)
    if settings.erase:
        there = [name for name in moved if name in STORED and STORED[name].holes]
        moved |= {name: moved[name] * kept(moved[name], draws, settings=settings) for name in there}
    return moved


def move(images: Images, *, angle: Tensor, mirror: Tensor, zoom: Tensor, shift: Tensor) -> dict[str, Tensor]:
    """Enlarge by ``zoom`` (B,), turn by ``angle`` (B,) radians about the centre, flip where ``mirror`` (B,) is −1, and
    look ``shift`` (B, 2), right and down in shares of the side, beside it; bilinear.

    Colour beyond the border is its mirror image. Where there are holes, a value is the weighted mean of the valid
    pixels around the place, and valid where these have at least half of the weight; beyond the border there is none.
    """
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    right, down = 2 * shift.T  # the grid goes from −1 to 1
    rows = torch.stack([mirror * cos, -mirror * sin, right]), torch.stack([sin, cos, down])
    matrices = torch.stack(rows).permute(2, 0, 1)  # (B, 2, 3), from output to input
    size = next(iter(images.values())).shape
    grid = functional.affine_grid(matrices, [size[0], 1, size[2], size[3]], align_corners=False)  # (B, S, S, 2)
    moved = dict(images)
    for name, image in images.items():
        if name not in STORED:
            continue
        if STORED[name].holes:
            both = torch.cat([image, (image > 0).float()], dim=1)  # (B, 2 C, S, S)
            values, weight = functional.grid_sample(both, grid, padding_mode="zeros", align_corners=False).chunk(2, 1)
            moved[name] = torch.where(weight >= 0.5, values / weight.clamp(min=0.5), 0.0)
        else:
            moved[name] = functional.grid_sample(image, grid, padding_mode="reflection", align_corners=False)
    return moved | moved_cameras(images, matrices, side=size[3])


def moved_cameras(images: Images, matrices: Tensor, *, side: int) -> dict[str, Tensor]:
    """``PIXEL_MM`` and ``RAYS`` of pictures whose pixels were fetched from where ``matrices`` (B, 2, 3) say, in shares
    of half a side from the centre.
    """
    found: dict[str, Tensor] = {}
    turn = matrices[:, :, :2]
    scale = torch.linalg.det(turn).abs().sqrt()  # pixels that one of the moved picture was
    if PIXEL_MM in images:
        found[PIXEL_MM] = images[PIXEL_MM] * scale.reshape(-1, 1, 1, 1)
    if RAYS in images:
        growth, principal, middle = images[RAYS].split([1, 2, 1], dim=1)
        place = (principal + 0.5) * (2 / side) - 1 - matrices[:, :, 2]
        principal = (torch.linalg.solve_ex(turn, place).result + 1) * (side / 2) - 0.5
        found[RAYS] = torch.cat([growth * scale[:, None], principal, middle], dim=1)
    return found


def jitter(rgb: Tensor, *, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """(B, 3, S, S) in [0, 1] → likewise; each factor (B,), 1 changes nothing."""
    brightness, contrast, saturation = (factor.reshape(-1, 1, 1, 1) for factor in (brightness, contrast, saturation))
    grey = luma_of(rgb)  # (B, 1, S, S)
    mean = grey.mean(dim=(2, 3), keepdim=True)
    # contrast moves a pixel and its luma alike, and the luma stays under saturation
    grey_after = mean + contrast * (grey - mean)
    return (brightness * (grey_after + contrast * saturation * (rgb - grey))).clamp(0, 1)


def erase(inputs: Inputs, draws: Draws, *, settings: AugmentationSettings) -> dict[str, Tensor]:
    """Normalised inputs, in pictures (B, C, S, S) a rectangle of 0 in some samples: the training mean, or no data."""
    if not settings.erase:
        return dict(inputs)
    return {
        name: values * kept(values, draws, settings=settings) if INPUTS[name].kind == "pictures" else values
        for name, values in inputs.items()
    }


def kept(pictures: Tensor, draws: Draws, *, settings: AugmentationSettings) -> Tensor:
    """(B, 1, S, S) False in the rectangle that is erased from ``pictures`` (B, C, S, S)."""
    side = pictures.shape[-1]
    area = side**2 * between(draws.area, settings.erase_area)
    low, high = settings.erase_aspect
    aspect = between(draws.aspect, (math.log(low), math.log(high))).exp()
    tall, wide = (area * aspect).sqrt().clamp(max=side), (area / aspect).sqrt().clamp(max=side)
    tall = torch.where(draws.erase < settings.erase, tall, 0.0)
    rows = within(draws.top * (side - tall), tall, side=side)[:, None, :, None]
    columns = within(draws.left * (side - wide), wide, side=side)[:, None, None, :]
    return ~(rows & columns)


def within(start: Tensor, length: Tensor, *, side: int) -> Tensor:
    """(B, side) whether the centre of a pixel lies in [start, start + length), both (B,) in pixels."""
    centres = torch.arange(side, device=start.device) + 0.5
    return (centres >= start[:, None]) & (centres < (start + length)[:, None])


def between(share: Tensor, limits: tuple[float, float]) -> Tensor:
    """0 → the first limit, 1 → the second."""
    return limits[0] + share * (limits[1] - limits[0])
