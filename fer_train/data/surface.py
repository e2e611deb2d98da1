"""The surface that depth shows, in millimetres around the nose: as points, or in voxels. On the device.

Images are those of ``data.images``. Axes are those of the stored raster: x right, y up, z toward the viewer. A pixel is
``PIXEL_MM`` wide where rays are parallel; where they are central, ``RAYS`` says how it grows with the distance and from
which pixel x and y count. ``RAYS`` (B, 4) is: millimetres that a pixel grows for each millimetre of distance, 1/f (0:
parallel rays), the principal point (column, row) in pixel centres, and how far in mm behind the nearest point a pixel
is ``PIXEL_MM`` wide. Formulas: ``docs/reference/hdf5.md``.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from fer_prep.depth_encoding import UNIT_MM
from fer_train.data.attribute_maps import normals
from fer_train.data.images import Images
from fer_train.data.inputs import KEYS, PIXEL_MM, RAYS, STORED
from fer_train.data.random_draws import uniforms

CUBE_MM: Final = 192.0
"""Side of the cube that voxels divide: a face fits into it from ear to ear and from hair to chin."""
BEFORE_NOSE: Final = 0.25
"""How much of the cube lies before the tip of the nose; to the sides, above and below lies half of it each."""
NEAREST_SHARE: Final = 0.01
"""Share of the picture's pixels, the nearest ones of its middle, in whose middle the nose is."""
PLAIN_KEY: Final = 0
"""Points of samples that have no key, as when they are judged, are drawn by this one."""


def behind_mm(images: Images) -> Tensor:
    """(B, 1, S, S) how far a pixel lies behind the nearest one; 0 where there is no depth."""
    steps = images["depth"] * STORED["depth"].maximum
    return (steps - 1).clamp(min=0) * UNIT_MM


def places_mm(images: Images) -> Tensor:
    """(B, 3, S, S) x, y, z from the nose; anything where there is no depth."""
    depth, pixel_mm = images["depth"], images[PIXEL_MM]
    behind, valid = behind_mm(images), depth > 0
    height, width = depth.shape[2:]
    column = torch.arange(width, device=depth.device, dtype=depth.dtype).reshape(1, 1, 1, -1)
    row = torch.arange(height, device=depth.device, dtype=depth.dtype).reshape(1, 1, -1, 1)
    if RAYS in images:
        growth, middle_column, middle_row, middle_mm = images[RAYS].reshape(-1, 4, 1, 1, 1).unbind(1)
        pixel_mm = pixel_mm + (behind - middle_mm) * growth
        column, row = column - middle_column, row - middle_row
    places = torch.cat([(column * pixel_mm).expand_as(depth), (-row * pixel_mm).expand_as(depth), -behind], dim=1)
    return places - _nose(places, behind, valid)


def _nose(places: Tensor, behind: Tensor, valid: Tensor) -> Tensor:
    """(B, 3, 1, 1) the median of the nearest places, which a few wrong pixels do not move.

    Of the middle half of rows and columns, where framing puts the nose: hair, hands and noise at the border are nearer
    in some recordings.
    """
    height, width = behind.shape[2:]
    middle = torch.zeros_like(valid)
    middle[..., height // 4 : -(height // 4) or None, width // 4 : -(width // 4) or None] = True
    there = valid & middle
    there = torch.where(there.flatten(1).any(dim=1).reshape(-1, 1, 1, 1), there, valid)
    count = max(1, round(NEAREST_SHARE * height * width))
    distance = torch.where(there, behind, math.inf).flatten(1)
    distance, nearest = distance.topk(count, largest=False, sorted=False)
    found = places.flatten(2).gather(2, nearest[:, None].expand(-1, 3, -1))  # (B, 3, count)
    found = torch.where(distance.isfinite()[:, None], found, math.nan)
    return found.nanmedian(dim=2).values.nan_to_num()[..., None, None]


def points(images: Images, *, smoothing_mm: float, points: int, point_choice: str) -> Tensor:
    """(B, 9, P): x, y, z in mm from the nose, the normal's x, y, z, and red, green, blue in [0, 1].

    They are pixels that have depth, drawn by the sample's key: any (``random``), or one after the other the one that is
    farthest from all before (``farthest``; Qi et al., PointNet++, NeurIPS 2017, §3.2). Where a sample has fewer than P,
    they repeat; where it has none, all are 0.
    """
    return _points(images, [images["rgb"]], smoothing_mm=smoothing_mm, count=points, choice=point_choice)


def bare_points(images: Images, *, smoothing_mm: float, points: int, point_choice: str) -> Tensor:
    """(B, 6, P): likewise without colour."""
    return _points(images, [], smoothing_mm=smoothing_mm, count=points, choice=point_choice)


def _points(images: Images, more: list[Tensor], *, smoothing_mm: float, count: int, choice: str) -> Tensor:
    places, valid = places_mm(images), (images["depth"] > 0).flatten(1)
    values = torch.cat([places, normals(images, smoothing_mm), *more], dim=1).flatten(2)  # (B, C, S·S)
    values = torch.where(valid[:, None], values, 0.0)
    keys = images[KEYS] if KEYS in images else torch.tensor([PLAIN_KEY], device=valid.device)
    luck = torch.where(valid, uniforms(keys, draws=valid.shape[1]).T, -1.0)
    chosen = _any(luck, valid, count) if choice == "random" else _far_apart(luck, values[:, :3], valid, count)
    return values.gather(2, chosen[:, None].expand(-1, values.shape[1], -1))


def _any(luck: Tensor, valid: Tensor, count: int) -> Tensor:
    """(B, count) the luckiest pixels of all (B, N)."""
    there = valid.sum(dim=1, keepdim=True).clamp(min=1)
    luckiest = luck.topk(min(count, luck.shape[1]), dim=1).indices
    turn = torch.arange(count, device=luck.device) % there.clamp(max=luckiest.shape[1])
    return luckiest.gather(1, turn)


def _far_apart(luck: Tensor, places: Tensor, valid: Tensor, count: int) -> Tensor:
    """(B, count) the luckiest pixel and those that are farthest from all before; ``places`` (B, 3, N)."""
    last = luck.argmax(dim=1)
    nearest = torch.where(valid, math.inf, -1.0)
    chosen = [last]
    for _ in range(count - 1):
        here = places.gather(2, last[:, None, None].expand(-1, 3, 1))
        nearest = torch.minimum(nearest, (places - here).square().sum(dim=1))
        last = nearest.argmax(dim=1)
        chosen.append(last)
    return torch.stack(chosen, dim=1)


def voxels(images: Images, *, voxels: int) -> Tensor:
    """(B, 1, V, V, V) 1 where the surface goes through, else 0; from front to back, top to bottom, left to right."""
    return (_sums(images, [], side=voxels) > 0).float()


def colour_voxels(images: Images, *, voxels: int) -> Tensor:
    """(B, 4, V, V, V): likewise, and the mean red, green, blue in [0, 1] of what lies in a voxel, 0 in empty ones."""
    sums = _sums(images, [images["rgb"]], side=voxels)
    counts = sums[:, :1]
    return torch.cat([(counts > 0).float(), sums[:, 1:] / counts.clamp(min=1)], dim=1)


def _sums(images: Images, values: list[Tensor], *, side: int) -> Tensor:
    """(B, 1 + C, V, V, V) how many pixels fall into a voxel of the cube, and the sums of their values."""
    x, y, z = places_mm(images).flatten(2).unbind(1)  # (B, S·S) each
    share = torch.stack([BEFORE_NOSE - z / CUBE_MM, 0.5 - y / CUBE_MM, 0.5 + x / CUBE_MM], dim=1)
    cell = (share * side).floor().long()  # (B, 3, S·S)
    within = ((cell >= 0) & (cell < side)).all(dim=1) & (images["depth"] > 0).flatten(1)
    place = (cell[:, 0] * side + cell[:, 1]) * side + cell[:, 2]
    place = torch.where(within, place, side**3)  # one more, for what lies outside
    ones = torch.ones_like(images["depth"])
    weights = torch.cat([ones, *values], dim=1).flatten(2)  # (B, 1 + C, S·S)
    channels = weights.shape[1]
    sums = weights.new_zeros(len(place) * channels * (side**3 + 1))
    each = torch.arange(len(place) * channels, device=place.device).reshape(-1, channels, 1) * (side**3 + 1)
    sums.index_add_(0, (each + place[:, None]).flatten(), weights.flatten())
    return sums.reshape(len(place), channels, -1)[..., :-1].reshape(-1, channels, side, side, side)
