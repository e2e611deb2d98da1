"""A depth camera's faults, for training on meshes what shall meet such a camera: noise, and holes. Training only.

The random error of a structured-light or stereo camera grows with the square of the distance, for the first Kinect as
1.425e-6 z² mm, which is 0.5 mm at 600 mm (Khoshelham and Oude Elberink, "Accuracy and resolution of Kinect depth data",
Sensors 12, 2012). It hardly depends on the angle up to 60° and grows steeply beyond (Nguyen, Izadi and Lovell,
"Modeling Kinect sensor noise for improved 3D reconstruction and tracking", 3DIMPVT 2012), where such cameras soon see
nothing. At which angles depth is lost here, and how wide the ragged band around hair and outline is, are choices, not
measurements.

Like all augmentation these are functions of a sample's key: see ``random_draws``.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from fer_prep.geometry.attribute_maps import NEAREST_MM
from fer_train.data.images import FULL_DEPTH_MM, Images, neighbours
from fer_train.data.inputs import KEYS, PIXEL_MM, STORED
from fer_train.data.random_draws import uniforms

GRAZING_DEGREES: Final = (60.0, 80.0)
"""Between a surface's normal and the viewer: from the first on some is lost, from the second on all."""
BAND_MM: Final = 15.0
"""How wide the ragged band around the outline is at most."""
PATCH: Final = 4
"""Pixels along each side of the patches that are lost together."""
_NOISE, _HOLES = 0x6E6F697365, 0x686F6C6573
"""What makes keys of other draws out of a sample's key."""


def as_a_sensor_sees(images: Images, *, noise_mm: float, holes: float) -> dict[str, Tensor]:
    """Images with another ``depth``; ``noise_mm`` at the nearest point, ``holes`` the probability of a sample."""
    if "depth" not in images:
        return dict(images)
    depth = images["depth"]
    if holes:
        depth = torch.where(lost(images, holes), 0.0, depth)
    if noise_mm:
        depth = torch.where(depth > 0, noisy(depth, images[KEYS], noise_mm).clamp(min=1 / STORED["depth"].maximum), 0)
    return {**images, "depth": depth}


def noisy(depth: Tensor, keys: Tensor, noise_mm: float) -> Tensor:
    """(B, 1, S, S) in [0, 1] with Gaussian noise; its nearest point is taken to be ``NEAREST_MM`` before the camera."""
    count = depth[0].numel()
    radius, angle = uniforms(keys ^ _NOISE, draws=2 * count).T.reshape(-1, 2, *depth.shape[1:]).unbind(1)
    normal = torch.sqrt(-2 * torch.log1p(-radius)) * torch.cos(2 * math.pi * angle)  # Box and Muller 1958
    return depth + normal * (noise_mm / FULL_DEPTH_MM) * (1 + depth * (FULL_DEPTH_MM / NEAREST_MM)).square()


def lost(images: Images, holes: float) -> Tensor:
    """(B, 1, S, S) where a camera would not have had depth; everywhere False in samples that are not drawn."""
    depth, pixel_mm = images["depth"], images[PIXEL_MM]
    size, side = -(-depth.shape[-1] // PATCH), depth.shape[-1]
    draws = uniforms(images[KEYS] ^ _HOLES, draws=2 + size**2).T
    is_drawn, width_mm = draws[:, 0] < holes, BAND_MM * draws[:, 1]
    patches = draws[:, 2:].reshape(-1, 1, size, size)
    luck = functional.interpolate(patches, size=(side, side), mode="bilinear", align_corners=False)
    low, high = GRAZING_DEGREES
    grazing = ((_angle_degrees(depth, pixel_mm) - low) / (high - low)).clamp(0, 1)
    band = (1 - _from_outline_px(depth) * pixel_mm / width_mm.reshape(-1, 1, 1, 1).clamp(min=1e-3)).clamp(0, 1)
    return (luck < torch.maximum(grazing, band)) & is_drawn.reshape(-1, 1, 1, 1)


def _angle_degrees(depth: Tensor, pixel_mm: Tensor) -> Tensor:
    """(B, 1, S, S) between the surface's normal and the viewer; 0 where a neighbour has no depth."""
    left, right, above, below = neighbours(depth * FULL_DEPTH_MM)
    there = (left > 0) & (right > 0) & (above > 0) & (below > 0)
    slope = torch.hypot(right - left, below - above) / (2 * pixel_mm)
    return torch.where(there, torch.rad2deg(torch.atan(slope)), 0.0)


def _from_outline_px(depth: Tensor) -> Tensor:
    """(B, 1, S, S) how many pixels away the nearest one without depth is, as far as a band may reach.

    In steps to the side and straight on in turn, so that what is equally far is nearly round.
    """
    missing, distance = (depth == 0).float(), torch.zeros_like(depth)
    for step in range(depth.shape[-1] // 8):
        distance = distance + (1 - missing)
        if step % 2:
            missing = functional.max_pool2d(missing, 3, stride=1, padding=1)
        else:
            across = functional.max_pool2d(missing, (1, 3), stride=1, padding=(0, 1))
            missing = torch.maximum(across, functional.max_pool2d(missing, (3, 1), stride=1, padding=(1, 0)))
    return distance
