"""Colour and relief as one picture without holes."""

from __future__ import annotations

import pytest
import torch

from fer_prep.depth_encoding import UNIT_MM
from fer_train.data.inputs import STORED
from fer_train.data.relief import RELIEF_MM, SLOPE_MM, colour_and_relief, without_holes

SIDE = 48
MM = STORED["depth"].maximum * UNIT_MM


def plane(right_mm: float, down_mm: float) -> torch.Tensor:
    """(1, 1, S, S) a depth in [0, 1] that grows by so much a pixel, 60 mm in the middle."""
    steps = torch.arange(SIDE) - (SIDE - 1) / 2
    return ((60 + right_mm * steps[None, :] + down_mm * steps[:, None]) / MM)[None, None]


def test_depth_is_told_about_its_middle_and_slopes_a_pixel_of_96():
    relief = colour_and_relief({"rgb": torch.full((1, 3, SIDE, SIDE), 0.45), "depth": plane(0.5, -1.0)})
    inner = relief[..., 1:-1, 1:-1]
    assert torch.equal(relief[:, :3], torch.zeros(1, 3, SIDE, SIDE))
    expected = ((plane(0.5, -1.0) * MM - 60) / RELIEF_MM)[..., 1:-1, 1:-1]
    torch.testing.assert_close(inner[:, 3:4], expected.clamp(-3, 3), atol=1e-3, rtol=0)
    for channel, slope_mm in ((4, 0.5), (5, -1.0)):
        there = torch.full_like(inner[:, channel], slope_mm * SIDE / 96 / SLOPE_MM)
        torch.testing.assert_close(inner[:, channel], there, atol=1e-3, rtol=0)


@pytest.mark.parametrize("side", [48, 33])
def test_a_hole_takes_what_is_around_and_the_rest_stays(side):
    depth = plane(0.2, 0.1)[..., :side, :side].clone()
    hole = torch.zeros(1, 1, side, side, dtype=torch.bool)
    hole[..., 10:14, 20:23], hole[..., :, :3] = True, True
    filled = without_holes(torch.where(hole, 0.0, depth))
    assert torch.equal(filled[~hole], depth[~hole])
    assert (filled - depth).abs().max() * MM < 2  # of a surface that rises 0.2 mm a pixel
    alone = without_holes(torch.zeros(1, 1, side, side))
    assert torch.equal(alone, torch.zeros_like(alone))


def test_a_mirrored_sample_is_the_mirror_image_with_the_slope_turned():
    generator = torch.Generator().manual_seed(0)
    images = {
        "rgb": torch.rand(2, 3, 64, 64, generator=generator),
        "depth": torch.rand(2, 1, 64, 64, generator=generator) * 0.01 + 0.01,
    }
    images["depth"][..., 20:30, 20:40] = 0
    expected = colour_and_relief(images).flip(-1)
    expected[:, 4] *= -1
    torch.testing.assert_close(colour_and_relief({name: image.flip(-1) for name, image in images.items()}), expected)
