"""Augmentation against one-sample-at-a-time float64 references, each alone and all together."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fer_prep.errors import UsageError
from fer_train.config import AugmentationSettings
from fer_train.data import augment
from fer_train.data.augment import NO_AUGMENTATION, PairedAugmentation, places_of, turn_
from fer_train.data.batch import Pixels
from fer_train.data.normalise import FoldNormalisation
from fer_train.data.random_draws import sample_keys, uniforms

H = W = 24
B = 12
RGB_MEAN, RGB_STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
DEPTH_MEAN, DEPTH_STD = 0.15, 0.25
DEPTH_LOW, DEPTH_HIGH = 0.3, 0.7
LUMA = np.array([0.299, 0.587, 0.114])

ALONE = {
    "rotation": {"rotation_degrees": 10.0},
    "flip": {"flip": 0.5},
    "brightness": {"brightness": 0.3},
    "contrast": {"contrast": 0.3},
    "saturation": {"saturation": 0.5},
    "erase": {"erase": 0.6},
}
TOGETHER = {key: value for one in ALONE.values() for key, value in one.items()}


def settings_of(changes: dict[str, float]) -> AugmentationSettings:
    strengths = {name: getattr(NO_AUGMENTATION, name) for name in NO_AUGMENTATION.__dataclass_fields__}
    return AugmentationSettings(**{**strengths, **changes})


def augmentation_of(changes: dict[str, float], *, depth_channels: int = 1) -> PairedAugmentation:
    normalisation = FoldNormalisation(rgb_mean=RGB_MEAN, rgb_std=RGB_STD, depth_mean=DEPTH_MEAN, depth_std=DEPTH_STD)
    return PairedAugmentation(settings_of(changes), normalisation=normalisation, depth_channels=depth_channels)


def normalised(pixels: Pixels) -> tuple[torch.Tensor, torch.Tensor]:
    """What is expected of pictures that nothing has changed."""
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (RGB_MEAN, RGB_STD))
    depth = torch.where(pixels.valid > 0, (pixels.depth - DEPTH_MEAN) / DEPTH_STD, 0.0)
    return (pixels.rgb - mean) / std, depth


def make_pixels(*, seed: int = 0) -> Pixels:
    """Smooth pictures, a hole in the depth for interpolation to get wrong, depth on both sides of 2¹⁵."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:H, :W] / H
    waves = rng.uniform(1, 6, size=(B, 4, 2))
    planes = 0.5 + 0.45 * np.sin(waves[..., :1, None] * x * 3 + waves[..., 1:, None] * y * 3)
    depths = np.rint((DEPTH_LOW + (DEPTH_HIGH - DEPTH_LOW) * planes[:, 3]) * 65535).astype(np.uint16)
    depths[:, :3] = 0
    depths[:, 10:15, 8:12] = 0
    pictures = torch.from_numpy(np.rint(planes[:, :3] * 255).astype(np.uint8))
    return Pixels(pictures=pictures, depths=torch.from_numpy(depths.view(np.int16)))


def augmented(augmentation: PairedAugmentation, pixels: Pixels, *, keys: torch.Tensor):
    return augmentation.apply(pixels, drawn=augmentation.draw(keys, side=H))


KEYS = sample_keys(torch.arange(B) + 100, seed=5, epoch=1)


def draw(index: int, number: int) -> float:
    return uniforms(KEYS[index : index + 1], draws=number + 1)[number].double().item()


# ---- the reference: plain float64, one sample, one pixel at a time ----


def reflect(position: float, count: int) -> float:
    """Position (pixel centres at integers) mirrored at the edges −½ and count − ½, constant in the outer halves."""
    position = (position + 0.5) % (2 * count)
    return min(max(min(position, 2 * count - position) - 0.5, 0.0), count - 1.0)


def look_up(plane: np.ndarray, x: float, y: float) -> float:
    """Bilinear value at a place whose integers are pixel centres; beyond the border, the mirror image."""
    x, y = reflect(x, W), reflect(y, H)
    left, top = math.floor(x), math.floor(y)
    total = 0.0
    for row, weight_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, weight_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            if 0 <= row < H and 0 <= column < W:
                total += weight_y * weight_x * plane[row, column]
    return total


def move(rgb, depth, valid, *, degrees: float, mirrored: bool):
    """Rotate by ``degrees`` about the centre, then mirror what is looked up."""
    out_rgb, out_depth, weight_out = np.zeros_like(rgb), np.zeros_like(depth), np.zeros_like(depth)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    for row in range(H):
        for column in range(W):
            dx, dy = column + 0.5 - W / 2, row + 0.5 - H / 2
            from_x, from_y = cos * dx - sin * dy, sin * dx + cos * dy
            from_x = -from_x if mirrored else from_x
            x, y = from_x + W / 2 - 0.5, from_y + H / 2 - 0.5
            for channel in range(3):
                out_rgb[channel, row, column] = look_up(rgb[channel], x, y)
            if abs(from_x) <= W / 2 and abs(from_y) <= H / 2:
                weight = look_up(valid.astype(float), x, y)
                weight_out[row, column] = weight
                if weight >= 0.5:
                    out_depth[row, column] = look_up(depth * valid, x, y) / weight
    return out_rgb, out_depth, weight_out


def jitter(rgb, *, brightness: float, contrast: float, saturation: float):
    luma = lambda picture: np.tensordot(LUMA, picture, axes=1)  # noqa: E731
    rgb = brightness * rgb
    mean = luma(rgb).mean()
    rgb = mean + contrast * (rgb - mean)
    return np.clip(luma(rgb) + saturation * (rgb - luma(rgb)), 0, 1)


def rectangle(index: int, settings: AugmentationSettings) -> np.ndarray:
    hidden = np.zeros((H, W), bool)
    if draw(index, 5) >= settings.erase:
        return hidden
    low, high = settings.erase_area
    area = (low + draw(index, 6) * (high - low)) * H * W
    low, high = (math.log(ratio) for ratio in settings.erase_aspect)
    aspect = math.exp(low + draw(index, 7) * (high - low))
    tall, wide = min(math.sqrt(area * aspect), H), min(math.sqrt(area / aspect), W)
    top, left = draw(index, 8) * (H - tall), draw(index, 9) * (W - wide)
    for row in range(H):
        for column in range(W):
            hidden[row, column] = top <= row + 0.5 < top + tall and left <= column + 0.5 < left + wide
    return hidden


def reference(index: int, pixels: Pixels, settings: AugmentationSettings):
    """Expected rgb (3, H, W) and depth (H, W), normalised, and the weight of valid pixels (H, W)."""
    rgb = pixels.pictures[index].numpy() / 255
    depth = pixels.depths[index].numpy().view(np.uint16) / 65535
    valid = depth > 0
    degrees = (2 * draw(index, 0) - 1) * settings.rotation_degrees
    rgb, depth, weight = move(rgb, depth, valid, degrees=degrees, mirrored=draw(index, 1) < settings.flip)
    factors = [
        1 + (2 * draw(index, number) - 1) * strength
        for number, strength in ((2, settings.brightness), (3, settings.contrast), (4, settings.saturation))
    ]
    rgb = jitter(rgb, brightness=factors[0], contrast=factors[1], saturation=factors[2])
    hidden = rectangle(index, settings)
    rgb = (rgb - np.array(RGB_MEAN)[:, None, None]) / np.array(RGB_STD)[:, None, None]
    depth = np.where(weight >= 0.5, (depth - DEPTH_MEAN) / DEPTH_STD, 0.0)
    return np.where(hidden, 0.0, rgb), np.where(hidden, 0.0, depth), weight


@pytest.mark.parametrize("changes", [*ALONE.values(), TOGETHER], ids=[*ALONE, "together"])
def test_augmentation_equals_the_reference(changes):
    pixels = make_pixels()
    rgb, depth = augmented(augmentation_of(changes), pixels, keys=KEYS)
    for index in range(B):
        expected_rgb, expected_depth, weight = reference(index, pixels, settings_of(changes))
        np.testing.assert_allclose(rgb[index].numpy(), expected_rgb, atol=1e-4)
        # float32 and float64 may round to either side of the border of validity itself
        clear = np.abs(weight - 0.5) > 1e-4
        # no valid depth here is the mean, which alone becomes 0
        np.testing.assert_array_equal(depth[index, 0].numpy()[clear] != 0, expected_depth[clear] != 0)
        np.testing.assert_allclose(depth[index, 0].numpy()[clear], expected_depth[clear], atol=8e-6)


def test_each_augmentation_changes_something():
    pixels = make_pixels()
    rgb_before, depth_before = augmented(augmentation_of({}), pixels, keys=KEYS)
    for name, changes in ALONE.items():
        rgb, depth = augmented(augmentation_of(changes), pixels, keys=KEYS)
        assert not torch.allclose(rgb, rgb_before, atol=1e-3), name
        colour_only = name in ("brightness", "contrast", "saturation")
        assert torch.allclose(depth, depth_before, atol=1e-3) == colour_only, name
        assert torch.equal(depth, depth_before) == torch.equal(depth != 0, depth_before != 0) == colour_only, name


def test_without_augmentation_only_the_scale_changes():
    pixels = make_pixels()
    for found, expected in zip(augmented(augmentation_of({}), pixels, keys=KEYS), normalised(pixels), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("changes", [{}, *ALONE.values(), TOGETHER], ids=["none", *ALONE, "together"])
def test_the_output_is_as_convolutions_want_it(changes):
    rgb, depth = augmented(augmentation_of(changes, depth_channels=3), make_pixels(), keys=KEYS)
    assert rgb.shape == depth.shape == (B, 3, H, W)
    assert rgb.is_contiguous(memory_format=torch.channels_last)
    assert depth.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(depth, depth[:, :1].expand(-1, 3, -1, -1))


def test_draws_do_not_depend_on_the_batch():
    pixels = make_pixels()
    augmentation = augmentation_of(TOGETHER)
    whole = augmented(augmentation, pixels, keys=KEYS)
    order = torch.tensor([7, 2, 9])
    chosen = Pixels(pictures=pixels.pictures[order], depths=pixels.depths[order])
    some = augmented(augmentation, chosen, keys=KEYS[order])
    for part, all_of_them in zip(some, whole, strict=True):
        torch.testing.assert_close(part, all_of_them[order], atol=5e-6, rtol=0)


@pytest.mark.parametrize("changes", [{}, {"flip": 0.5}, TOGETHER], ids=["none", "flip", "together"])
def test_it_does_not_matter_how_many_go_together(changes, monkeypatch):
    whole = augmented(augmentation_of(changes), make_pixels(), keys=KEYS)
    monkeypatch.setattr(augment, "_PIXELS_A_THREAD", H * W)  # a sample for every thread
    for part, all_of_them in zip(augmented(augmentation_of(changes), make_pixels(), keys=KEYS), whole, strict=True):
        torch.testing.assert_close(part, all_of_them, atol=5e-6, rtol=0)


@pytest.mark.parametrize("changes", [{}, *ALONE.values(), TOGETHER], ids=["none", *ALONE, "together"])
def test_the_input_is_left_alone(changes):
    pixels = make_pixels()
    before = [each.clone() for each in (pixels.pictures, pixels.depths, pixels.planes)]
    augmented(augmentation_of(changes), pixels, keys=KEYS)
    for now, then in zip((pixels.pictures, pixels.depths, pixels.planes), before, strict=True):
        assert torch.equal(now, then)


def moved(planes: torch.Tensor, *, rotation_degrees: float) -> torch.Tensor:
    """Rotated by up to so much and half of them flipped, not yet normalised."""
    changes = {"rotation_degrees": rotation_degrees, "flip": 0.5}
    across, down = places_of(augmentation_of(changes).matrices(uniforms(KEYS, draws=10)), side=H)
    return turn_(planes, across=across, down=down)


def test_depth_is_never_mixed_with_no_data():
    """Depth around holes of 0: whatever is valid afterwards lies between the least and the most there was."""
    before = make_pixels().planes
    measured = before[:, 3][before[:, 4] > 0]
    low, high, share = measured.min().item(), measured.max().item(), before[:, 4].mean()
    after = moved(before, rotation_degrees=45.0)
    depth, valid = after[:, 3], after[:, 4] > 0
    assert DEPTH_LOW < low - 1e-6 <= depth[valid].min().item() <= depth[valid].max().item() <= high + 1e-6 < DEPTH_HIGH
    assert 0.5 < valid.float().mean() < share


def test_both_modalities_get_the_same_geometry():
    planes = make_pixels().planes
    planes[:, 3], planes[:, 4] = planes[:, 0], 1
    after = moved(planes, rotation_degrees=10.0)
    red, depth, valid = after[:, 0], after[:, 3], after[:, 4] > 0
    assert bool(valid.float().mean() > 0.9)
    torch.testing.assert_close(depth[valid], red[valid], atol=1e-6, rtol=0)


def test_a_quarter_turn_moves_every_pixel_to_its_place():
    planes = make_pixels().planes
    quarter = torch.tensor([[[0.0, -1.0], [1.0, 0.0]]]).expand(B, -1, -1)
    across, down = places_of(quarter, side=H)
    expected = planes[:, :3].transpose(2, 3).flip(2)
    torch.testing.assert_close(turn_(planes, across=across, down=down)[:, :3], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"flip": 1.5},
        {"brightness": -0.1},
        {"rotation_degrees": 200.0},
        {"erase_area": (0.3, 0.1)},
        {"erase_aspect": (0.0, 1.0)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        AugmentationSettings(**wrong)
