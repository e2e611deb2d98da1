"""Paired augmentation of whole batches on the device: RGB and depth of a sample go through the same geometry.

Every sample's parameters are functions of its key (``random_draws``), so they do not depend on the batch it is in, the
order of batches, or the device. For training only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, final

import torch
from torch import Tensor
from torch.nn import functional

from fer_prep.errors import UsageError
from fer_train.data.normalise import FoldNormalisation
from fer_train.data.pixels import LUMA, channels_last, constant
from fer_train.data.random_draws import uniforms

# which draw of a key decides what: numbers are never reused, so switching one augmentation off changes no other
_ROTATE, _FLIP, _BRIGHTNESS, _CONTRAST, _SATURATION, _ERASE, _AREA, _ASPECT, _TOP, _LEFT = range(10)
_DRAWS: Final = 10
_COLUMNS: Final = (4, 3, 4)
"""Of a matrix, of shares and of edges in what is drawn."""


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """How strong each augmentation is; 0 switches it off."""

    rotation_degrees: float = 10.0
    """Largest rotation about the picture's centre, either way, uniform."""
    flip: float = 0.5
    """Probability of a left-right flip."""
    brightness: float = 0.2
    """RGB is multiplied by 1 ± this, uniform."""
    contrast: float = 0.2
    """Distance from the picture's mean luma is multiplied by 1 ± this, uniform."""
    saturation: float = 0.2
    """Distance from each pixel's luma is multiplied by 1 ± this, uniform."""
    erase: float = 0.25
    """Probability that a rectangle is erased, from RGB and depth alike (a hand hides both)."""
    erase_area: tuple[float, float] = (0.02, 0.15)
    """Share of the picture that the rectangle covers, uniform between the two."""
    erase_aspect: tuple[float, float] = (0.3, 3.3)
    """Height over width of the rectangle, uniform in the logarithm between the two."""

    def __post_init__(self) -> None:
        for name in ("flip", "erase", "brightness", "contrast", "saturation"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UsageError(f"augmentation {name} must be in [0, 1]; found {getattr(self, name)}")
        if not 0.0 <= self.rotation_degrees <= 180.0:
            raise UsageError(f"augmentation rotation_degrees must be in [0, 180]; found {self.rotation_degrees}")
        if not 0.0 < self.erase_area[0] <= self.erase_area[1] <= 1.0:
            raise UsageError(f"augmentation erase_area must be two rising shares in (0, 1]; found {self.erase_area}")
        if not 0.0 < self.erase_aspect[0] <= self.erase_aspect[1]:
            raise UsageError(f"augmentation erase_aspect must be two rising ratios; found {self.erase_aspect}")


NO_AUGMENTATION: Final = AugmentationSettings(
    rotation_degrees=0.0, flip=0.0, brightness=0.0, contrast=0.0, saturation=0.0, erase=0.0
)


@final
class PairedAugmentation:
    """Rotation and flip, colour jitter (RGB only), normalisation, random erasing, in this order.

    What is erased becomes 0 after normalisation: the training mean in RGB, *no data* in depth.
    """

    def __init__(
        self, settings: AugmentationSettings, *, normalisation: FoldNormalisation, depth_channels: int = 1
    ) -> None:
        self.settings, self.normalisation, self.depth_channels = settings, normalisation, depth_channels

    def draw(self, keys: Tensor, *, height: int, width: int) -> Tensor:
        """What happens to each sample's picture of ``height`` × ``width`` pixels: keys (B,) from ``sample_keys`` →
        (B, 11) float32.

        Columns: the matrix of ``matrices``, row by row; the shares of ``mix_colours``; top, bottom, left and right
        edge of the erased rectangle. It takes as many calls as all of ``apply``: draw for many samples at once.
        """
        draws = uniforms(keys, draws=_DRAWS)  # (10, B)
        parts = self.matrices(draws).flatten(1), self._shares(draws), self._edges(draws, height=height, width=width)
        return torch.cat(parts, dim=1)

    def apply(self, planes: Tensor, *, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """``planes`` (B, 5, H, W) as in a ``Batch``, ``drawn`` (B, 11) from ``draw`` → normalised RGB (B, 3, H, W)
        and depth (B, depth channels, H, W), channels last in memory; depth is 0 where there is none.
        """
        chosen, (matrices, shares, edges) = self.settings, drawn.split(_COLUMNS, dim=1)
        if chosen.rotation_degrees:
            planes = rotate_and_flip(planes, matrices=matrices.reshape(-1, 2, 2))
        elif chosen.flip:
            planes = torch.where((matrices[:, 0] < 0).reshape(-1, 1, 1, 1), planes.flip(3), planes)
        rgb, depth, valid = planes[:, :3], planes[:, 3:4], planes[:, 4:]
        if chosen.brightness or chosen.contrast or chosen.saturation:
            rgb = mix_colours(rgb, shares=shares)
        rgb = self.normalisation.rgb(rgb)
        if chosen.erase:
            kept = _outside(edges, height=rgb.shape[2], width=rgb.shape[3])
            rgb, valid = rgb.mul_(kept), valid * kept
        depth = self.normalisation.depth(depth, valid, channels=self.depth_channels)
        return channels_last(rgb), channels_last(depth)

    def matrices(self, draws: Tensor) -> Tensor:
        """(B, 2, 2) from output to input, both relative to the picture's centre in pixels, x before y."""
        limit = math.radians(self.settings.rotation_degrees)
        angle = (2 * draws[_ROTATE] - 1) * limit
        mirror = 1 - 2 * (draws[_FLIP] < self.settings.flip).float()
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([mirror * cos, -mirror * sin, sin, cos], dim=1).reshape(-1, 2, 2)

    def _shares(self, draws: Tensor) -> Tensor:
        """(B, 3) for ``mix_colours``: factors of brightness, contrast and saturation, in this order, taken together."""
        strengths = (self.settings.brightness, self.settings.contrast, self.settings.saturation)
        spread = 2 * draws[_BRIGHTNESS : _SATURATION + 1] - 1  # (3, B)
        brightness, contrast, saturation = 1 + spread * constant(strengths, device=draws.device)[:, None]
        strength = brightness * contrast
        own, offset = strength * saturation, (1 - contrast) * brightness
        return torch.stack([own, strength - own, offset], dim=1)

    def _edges(self, draws: Tensor, *, height: int, width: int) -> Tensor:
        """(B, 4) top, bottom, left and right of the erased rectangle in pixels; as high as nothing where none is."""
        area = _between(draws[_AREA], self.settings.erase_area) * height * width
        low, high = self.settings.erase_aspect
        aspect = _between(draws[_ASPECT], (math.log(low), math.log(high))).exp()
        tall, wide = (area * aspect).sqrt().clamp(max=height), (area / aspect).sqrt().clamp(max=width)
        top, left = draws[_TOP] * (height - tall), draws[_LEFT] * (width - wide)
        tall = torch.where(draws[_ERASE] < self.settings.erase, tall, 0.0)
        return torch.stack([top, top + tall, left, left + wide], dim=1)


def rotate_and_flip(planes: Tensor, *, matrices: Tensor) -> Tensor:
    """Look at every pixel's place in the input, bilinearly: ``planes`` (B, 5, H, W) as in a ``Batch``, ``matrices``
    (B, 2, 2) → planes likewise.

    RGB beyond the border is its mirror image. Depth is the weighted mean of the *valid* pixels around the place, and
    valid where they have at least half of the weight; beyond the border there is none. What is not valid means nothing.
    No place may lie farther from the border than the picture is wide or high.
    """
    height, width = planes.shape[2:]
    # the places with the opposite sign, so that mirroring them takes one addition less
    opposite = _places(-matrices, height=height, width=width)  # (B, 2, H, W)
    # mirrored here once, which is exact within: grid_sample's own reflection takes a quarter longer on a CPU
    mirrored = torch.sub(opposite, opposite.clamp(-1, 1), alpha=2)
    grid = mirrored.permute(0, 2, 3, 1)
    planes = functional.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)
    depth, weight = planes[:, 3:4], planes[:, 4:]
    # truth as numbers: comparisons that write bool and fills by a mask are several times slower on a CPU
    within = torch.le(opposite.abs_(), 1, out=mirrored)
    depth.div_(weight.clamp(min=0.5))
    torch.ge(weight, 0.5, out=weight).mul_(within[:, :1]).mul_(within[:, 1:])
    return planes


def _places(matrices: Tensor, *, height: int, width: int) -> Tensor:
    """(B, 2, H, W): where every pixel is looked up, x and y, in ``grid_sample``'s units: −1 to 1 along either side."""
    stretch = constant(((1.0, height / width), (width / height, 1.0)), device=matrices.device)
    from_x, from_y = (matrices * stretch)[..., None, None].unbind(dim=2)  # (B, 2, 1, 1)
    x, y = (2 / count * _centres(count, device=matrices.device) - 1 for count in (width, height))
    return from_x * x + from_y * y[:, None]


def mix_colours(rgb: Tensor, *, shares: Tensor) -> Tensor:
    """``rgb`` (B, 3, H, W) in [0, 1] → the same, cut to [0, 1]: of each pixel's own value, of its luma, and of the
    picture's mean luma the shares (B, 3) say how much.

    Brightness, contrast and saturation at once: all but the cut is linear. Sums of planes: as products of small
    matrices they take two to three times as long on some processors.
    """
    red, green, blue = LUMA
    own, common, offset = shares.reshape(-1, 3, 1, 1, 1).unbind(dim=1)  # (B, 1, 1, 1)
    grey = torch.mul(rgb[:, :1], red).add_(rgb[:, 1:2], alpha=green).add_(rgb[:, 2:], alpha=blue)
    offset = offset * grey.mean(dim=(2, 3), keepdim=True)
    return torch.mul(rgb, own).add_(grey.mul_(common).add_(offset)).clamp_(0, 1)


def _outside(edges: Tensor, *, height: int, width: int) -> Tensor:
    """(B, 1, H, W) float32: 0 at pixels whose centre lies in [top, bottom) and [left, right), else 1."""
    top, bottom, left, right = edges[:, :, None].unbind(dim=1)  # (B, 1)
    y, x = _centres(height, device=edges.device), _centres(width, device=edges.device)
    rows, columns = (top <= y) & (y < bottom), (left <= x) & (x < right)
    return 1 - rows.float()[:, None, :, None] * columns.float()[:, None, None, :]


def _between(share: Tensor, limits: tuple[float, float]) -> Tensor:
    return limits[0] + share * (limits[1] - limits[0])


@lru_cache(maxsize=64)
def _centres(count: int, *, device: torch.device) -> Tensor:
    """(count,) float32: the centres of ``count`` pixels, of which the first spans [0, 1)."""
    return torch.arange(count, dtype=torch.float32, device=device) + 0.5
