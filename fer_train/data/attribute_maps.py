"""The twin of ``fer_prep.geometry.attribute_maps`` for tensors: what depth says of the surface, on the device.

Images are those of ``data.images``: ``depth`` (B, 1, S, S) in [0, 1], 0 where there is none, and ``pixel_mm``
(B, 1, 1, 1), the side of a pixel in millimetres. Where a camera is perspective that is its size at the face, so that
slopes toward the border are a little off, as those of a weak perspective are.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from fer_prep.geometry.attribute_maps import HEIGHT_MM, NEAREST_MM, RADIUS
from fer_train.data.images import FULL_DEPTH_MM, Images
from fer_train.data.inputs import PIXEL_MM

LARGEST_SIGMA_PX: Final = 8.0
"""Kernels as wide as that are enough for pixels of a quarter of a millimetre."""


class Derivatives(NamedTuple):
    """(B, 1, S, S) each: z by x, by y, and the second derivatives in 1/mm; anything where there is no depth."""

    x: Tensor
    y: Tensor
    xx: Tensor
    xy: Tensor
    yy: Tensor


def derivatives(images: Images, smoothing_mm: float) -> Derivatives:
    """Of the depth of some images."""
    depth, pixel_mm = images["depth"], images[PIXEL_MM]
    mask = (depth > 0).float()
    z = -depth * FULL_DEPTH_MM
    count = mask.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    z = (z - (z * mask).sum(dim=(2, 3), keepdim=True) / count) * mask  # small numbers lose less
    fit = _PlaneFit(mask, sigma_px=smoothing_mm / pixel_mm)

    def slopes(values: Tensor) -> tuple[Tensor, Tensor]:
        by_column, by_row = fit(values * mask)
        return by_column / pixel_mm, -by_row / pixel_mm

    x, y = slopes(z)
    xx, xy = slopes(x)
    yx, yy = slopes(y)
    return Derivatives(x, y, xx, (xy + yx) / 2, yy)


class _PlaneFit:
    """Planes through values (B, 1, S, S) by least squares under a Gaussian of its own for every sample."""

    def __init__(self, mask: Tensor, *, sigma_px: Tensor) -> None:
        sigma = sigma_px.clamp(0.5, LARGEST_SIGMA_PX)
        radius = math.ceil(RADIUS * float(sigma.max()))
        t = torch.arange(-radius, radius + 1, device=mask.device, dtype=mask.dtype)
        bell = torch.exp(-0.5 * (t / sigma.reshape(-1, 1)) ** 2)
        bell = bell * (t.abs() <= torch.ceil(RADIUS * sigma.reshape(-1, 1)))
        self._kernels = [bell, bell * t, bell * t**2]  # (B, T) each
        self._weight = self._moment(mask, 0, 0).clamp(min=1e-12)
        self._c, self._r = (self._moment(mask, *power) / self._weight for power in ((1, 0), (0, 1)))
        self._cc = self._moment(mask, 2, 0) / self._weight - self._c**2
        self._rr = self._moment(mask, 0, 2) / self._weight - self._r**2
        self._cr = self._moment(mask, 1, 1) / self._weight - self._c * self._r
        area = self._cc * self._rr - self._cr**2
        self._area = torch.where(area > 1e-6, area, math.inf)  # a lone pixel, or a line of them, has no slope

    def __call__(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Slopes by column and by row, a pixel."""
        mean = self._moment(values, 0, 0) / self._weight
        c = self._moment(values, 1, 0) / self._weight - self._c * mean
        r = self._moment(values, 0, 1) / self._weight - self._r * mean
        return (self._rr * c - self._cr * r) / self._area, (self._cc * r - self._cr * c) / self._area

    def _moment(self, values: Tensor, column: int, row: int) -> Tensor:
        together = values.transpose(0, 1)  # (1, B, S, S): a channel a sample, each with its own kernel
        samples, taps = self._kernels[0].shape
        across = self._kernels[column].reshape(samples, 1, 1, taps)
        down = self._kernels[row].reshape(samples, 1, taps, 1)
        found = functional.conv2d(together, across, padding=(0, taps // 2), groups=samples)
        return functional.conv2d(found, down, padding=(taps // 2, 0), groups=samples).transpose(0, 1)


def normals(images: Images, smoothing_mm: float) -> Tensor:
    """(B, 3, S, S) unit vectors: x right, y up, z toward the viewer."""
    return _normals(derivatives(images, smoothing_mm))


def mean_curvature(images: Images, smoothing_mm: float) -> Tensor:
    """(B, 1, S, S) in 1/mm."""
    return _curvatures(derivatives(images, smoothing_mm))[0]


def gaussian_curvature(images: Images, smoothing_mm: float) -> Tensor:
    """(B, 1, S, S) in 1/mm²."""
    return _curvatures(derivatives(images, smoothing_mm))[1]


def shape_index(images: Images, smoothing_mm: float) -> Tensor:
    """(B, 1, S, S) in [−1, 1]."""
    mean, _, half_difference = _curvatures(derivatives(images, smoothing_mm))
    return 2 / math.pi * torch.atan2(mean, half_difference)


def curvedness(images: Images, smoothing_mm: float) -> Tensor:
    """(B, 1, S, S) in 1/mm."""
    mean, _, half_difference = _curvatures(derivatives(images, smoothing_mm))
    return torch.sqrt(mean**2 + half_difference**2)


def hha(images: Images, smoothing_mm: float) -> Tensor:
    """(B, 3, S, S) in [0, 1]: horizontal disparity, height, angle with up."""
    depth, pixel_mm = images["depth"], images[PIXEL_MM]
    valid = depth > 0
    behind_mm = depth * FULL_DEPTH_MM
    nearest = torch.where(valid, behind_mm, math.inf).amin(dim=(2, 3), keepdim=True)
    disparity = NEAREST_MM / (NEAREST_MM + behind_mm - nearest)
    row = torch.arange(depth.shape[2], device=depth.device, dtype=depth.dtype).reshape(1, 1, -1, 1)
    lowest = torch.where(valid, row, -1.0).amax(dim=(2, 3), keepdim=True)
    height = ((lowest - row) * pixel_mm / HEIGHT_MM).clamp(0, 1).expand_as(depth)
    angle = torch.arccos(normals(images, smoothing_mm)[:, 1:2].clamp(-1, 1)) / math.pi
    return torch.cat([disparity, height, angle], dim=1)


def _normals(of: Derivatives) -> Tensor:
    length = torch.sqrt(1 + of.x**2 + of.y**2)
    return torch.cat([-of.x, -of.y, torch.ones_like(of.x)], dim=1) / length


def _curvatures(of: Derivatives) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and Gaussian curvature, and half the difference of the principal ones."""
    steep = 1 + of.x**2 + of.y**2
    mean = -((1 + of.y**2) * of.xx - 2 * of.x * of.y * of.xy + (1 + of.x**2) * of.yy) / (2 * steep**1.5)
    gaussian = (of.xx * of.yy - of.xy**2) / steep**2
    return mean, gaussian, torch.sqrt((mean**2 - gaussian).clamp(min=0))
