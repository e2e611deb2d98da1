"""Paired augmentation of whole batches on the device: RGB and depth of a sample go through the same geometry.

Every sample's parameters are functions of its key (``random_draws``), so they do not depend on the batch it is in, the
order of batches, or the device. For training only.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple, final

import torch
from torch import Tensor
from torch.nn import functional

from fer_train.config import AugmentationSettings
from fer_train.data.batch import Pixels, to_planes
from fer_train.data.normalise import FoldNormalisation
from fer_train.data.pixels import LUMA, channels_last, constant
from fer_train.data.random_draws import uniforms

# which draw of a key decides what: numbers are never reused, so switching one augmentation off changes no other
_ROTATE, _FLIP, _BRIGHTNESS, _CONTRAST, _SATURATION, _ERASE, _AREA, _ASPECT, _TOP, _LEFT = range(10)
_DRAWS: Final = 10
_COLUMNS: Final = (4, 3, 2, 2)
"""Of a matrix, of shares, and of middle and half size of a rectangle in what is drawn."""

_PIXELS_A_THREAD: Final = 2**16
"""In floats 1.3 MB of planes."""

NO_AUGMENTATION: Final = AugmentationSettings(
    rotation_degrees=0.0, flip=0.0, brightness=0.0, contrast=0.0, saturation=0.0, erase=0.0
)


class _Changes(NamedTuple):
    """What is done to each sample of a batch of pictures with sides of S pixels."""

    across: Tensor
    """(B, 2, 1, S): what a pixel's column adds to the place, x and y, at which it is looked up, with opposite sign."""
    down: Tensor
    """(B, 2, S, 1): what its row adds."""
    shares: Tensor
    """(B, 3) for ``mix_colours_``."""
    kept: Tensor
    """(B, 2, S): 0 for rows, and for columns, that the erased rectangle crosses, else 1."""


@final
class PairedAugmentation:
    """Rotation and flip, colour jitter (RGB only), normalisation, random erasing, in this order.

    What is erased becomes 0 after normalisation: the training mean in RGB, *no data* in depth.
    """

    def __init__(
        self, settings: AugmentationSettings, *, normalisation: FoldNormalisation, depth_channels: int = 1
    ) -> None:
        self.settings, self.depth_channels = settings, depth_channels
        self._rgb_scaling, self._depth_scaling = normalisation.rgb_scaling(), normalisation.depth_scaling()

    def draw(self, keys: Tensor, *, side: int) -> Tensor:
        """What happens to each sample's picture of ``side``² pixels: keys (B,) from ``sample_keys`` → (B, 11) float32.

        Columns: the matrix of ``matrices``, row by row; the shares of ``mix_colours_``; of the erased rectangle the
        middle (y, x), half the height and half the width. It takes as many calls as all of ``apply``: draw for many
        samples at once.
        """
        draws = uniforms(keys, draws=_DRAWS)  # (10, B)
        parts = self.matrices(draws).flatten(1), self._shares(draws), self._rectangles(draws, side=side)
        return torch.cat(parts, dim=1)

    def apply(self, pixels: Pixels, *, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """``drawn`` (B, 11) from ``draw`` → normalised RGB (B, 3, S, S) and depth (B, depth channels, S, S), channels
        last in memory; depth is 0 where there is none.
        """
        count, _, side, _ = pixels.pictures.shape
        rgb = torch.empty(count, 3, side, side, device=drawn.device, memory_format=torch.channels_last)
        depth = torch.empty(count, 1, side, side, device=drawn.device)
        changes = _changes(drawn, side=side)
        every = (pixels.pictures, pixels.depths, rgb, depth, *changes)
        at_once = _samples_at_once(count, side=side, device=drawn.device)
        for pictures, depths, its_rgb, its_depth, *its_changes in zip(*(t.split(at_once) for t in every), strict=True):
            self._change_(to_planes(pictures, depths), _Changes(*its_changes), rgb=its_rgb, depth=its_depth)
        return rgb, channels_last(depth.expand(-1, self.depth_channels, -1, -1))

    def _change_(self, planes: Tensor, changes: _Changes, *, rgb: Tensor, depth: Tensor) -> None:
        """Write what becomes of ``planes`` (b, 5, S, S), which is used up, into ``rgb`` and ``depth``."""
        chosen = self.settings
        if chosen.rotation_degrees:
            planes = turn_(planes, across=changes.across, down=changes.down)
        elif chosen.flip:
            planes = torch.where(changes.across[:, :1, :, :1] < 0, planes.flip(3), planes)
        colours, distance, valid = planes[:, :3], planes[:, 3:4], planes[:, 4:]
        if chosen.brightness or chosen.contrast or chosen.saturation:
            mix_colours_(colours, shares=changes.shares)
        factor, shift = self._rgb_scaling
        colours.mul_(factor).sub_(shift)
        if chosen.erase:
            rows, columns = changes.kept.unbind(dim=1)
            kept = torch.maximum(rows[:, None, :, None], columns[:, None, None, :])
            colours.mul_(kept)
            valid.mul_(kept)
        rgb.copy_(colours)
        factor, shift = self._depth_scaling
        torch.mul(distance.mul_(factor).sub_(shift), valid, out=depth)

    def matrices(self, draws: Tensor) -> Tensor:
        """(B, 2, 2) from output to input, both relative to the picture's centre in pixels, x before y."""
        limit = math.radians(self.settings.rotation_degrees)
        angle = (2 * draws[_ROTATE] - 1) * limit
        mirror = 1 - 2 * (draws[_FLIP] < self.settings.flip).float()
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([mirror * cos, -mirror * sin, sin, cos], dim=1).reshape(-1, 2, 2)

    def _shares(self, draws: Tensor) -> Tensor:
        """(B, 3) for ``mix_colours_``: brightness, contrast and saturation, in this order, taken together."""
        strengths = (self.settings.brightness, self.settings.contrast, self.settings.saturation)
        spread = 2 * draws[_BRIGHTNESS : _SATURATION + 1] - 1  # (3, B)
        brightness, contrast, saturation = 1 + spread * constant(strengths, device=draws.device)[:, None]
        strength = brightness * contrast
        own, offset = strength * saturation, (1 - contrast) * brightness
        return torch.stack([own, strength - own, offset], dim=1)

    def _rectangles(self, draws: Tensor, *, side: int) -> Tensor:
        """(B, 4) middle (y, x), half height and half width in pixels of what is erased; no height if nothing is."""
        area = _between(draws[_AREA], self.settings.erase_area) * side**2
        low, high = self.settings.erase_aspect
        aspect = _between(draws[_ASPECT], (math.log(low), math.log(high))).exp()
        tall, wide = (area * aspect).sqrt().clamp(max=side), (area / aspect).sqrt().clamp(max=side)
        y, x = draws[_TOP] * (side - tall) + tall / 2, draws[_LEFT] * (side - wide) + wide / 2
        tall = torch.where(draws[_ERASE] < self.settings.erase, tall, 0.0)
        return torch.stack([y, x, tall / 2, wide / 2], dim=1)


def _changes(drawn: Tensor, *, side: int) -> _Changes:
    """Of what ``draw`` gives, (B, 11): all that takes small tensors, for the whole batch in a few calls."""
    matrices, shares, middle, half = drawn.split(_COLUMNS, dim=1)
    centres = _centres(side, device=drawn.device)
    across, down = places_of(matrices.reshape(-1, 2, 2), side=side)
    distance = (centres - middle[..., None]).abs_()  # (B, 2, S)
    return _Changes(across, down, shares, kept=torch.ge(distance, half[..., None], out=distance))


def places_of(matrices: Tensor, *, side: int) -> tuple[Tensor, Tensor]:
    """``across`` (B, 2, 1, S) and ``down`` (B, 2, S, 1) of ``_Changes``, by ``matrices`` (B, 2, 2): in
    ``grid_sample``'s units, −1 to 1 along either side.
    """
    opposite = 1 - 2 / side * _centres(side, device=matrices.device)
    across, down = (matrices[..., None] * opposite).unbind(dim=2)  # (B, 2, S)
    return across[:, :, None, :], down[:, :, :, None]


def turn_(planes: Tensor, *, across: Tensor, down: Tensor) -> Tensor:
    """Rotated and flipped: ``planes`` (B, 5, S, S), which may be used up, places from ``places_of`` → planes likewise.

    Every pixel is looked up bilinearly. RGB beyond the border is its mirror image. Depth is the weighted mean of the
    *valid* pixels around the place, and valid where they have at least half of the weight; beyond the border there is
    none. What is not valid means nothing. No place may lie farther from the border than the picture is wide.
    """
    # the opposite of the places, so that mirroring them takes one addition less
    opposite = across + down  # (B, 2, S, S)
    clamped = opposite.clamp(-1, 1)
    # mirrored here once, which is exact within: grid_sample's own reflection takes a quarter longer on a CPU
    grid = torch.sub(opposite, clamped, alpha=2).permute(0, 2, 3, 1)
    planes = functional.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)
    depth, weight = planes[:, 3:4], planes[:, 4:]
    depth.div_(weight.clamp(min=0.5))
    # truth as numbers: comparisons that write bool and fills by a mask are several times slower on a CPU
    within = torch.eq(clamped, opposite, out=clamped)
    torch.ge(weight, 0.5, out=weight).mul_(within[:, :1]).mul_(within[:, 1:])
    return planes


def mix_colours_(rgb: Tensor, *, shares: Tensor) -> Tensor:
    """In place: ``rgb`` (B, 3, H, W) in [0, 1] becomes a mixture, cut to [0, 1]: of each pixel's own value, of its
    luma, and of the picture's mean luma the shares (B, 3) say how much.

    Brightness, contrast and saturation at once: all but the cut is linear. Sums of planes: as products of small
    matrices they take two to three times as long on some processors.
    """
    red, green, blue = LUMA
    own, common, offset = shares.reshape(-1, 3, 1, 1, 1).unbind(dim=1)  # (B, 1, 1, 1)
    grey = torch.mul(rgb[:, :1], red).add_(rgb[:, 1:2], alpha=green).add_(rgb[:, 2:], alpha=blue)
    offset = offset * grey.mean(dim=(2, 3), keepdim=True)
    return rgb.mul_(own).add_(grey.mul_(common).add_(offset)).clamp_(0, 1)


def _samples_at_once(count: int, *, side: int, device: torch.device) -> int:
    """How many of ``count`` samples go through the operations together: on a GPU all, on a CPU as many as its threads
    can keep in their own caches from one operation to the next.
    """
    if device.type != "cpu":
        return count
    return torch.get_num_threads() * max(1, _PIXELS_A_THREAD // side**2)


def _between(share: Tensor, limits: tuple[float, float]) -> Tensor:
    return limits[0] + share * (limits[1] - limits[0])


@lru_cache(maxsize=64)
def _centres(count: int, *, device: torch.device) -> Tensor:
    """(count,) float32: the centres of ``count`` pixels, of which the first spans [0, 1)."""
    return torch.arange(count, dtype=torch.float32, device=device) + 0.5
