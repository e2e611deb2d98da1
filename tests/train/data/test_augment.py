"""Augmentation against one-sample-at-a-time float64 references, each alone and all together."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fer_prep.errors import UsageError
from fer_train.data.augment import NO_AUGMENTATION, AugmentationSettings, PairedAugmentation, rotate_and_flip
from fer_train.data.normalise import FoldNormalisation
from fer_train.data.random_draws import sample_keys, uniform, uniforms

H = W = 24
B = 12
RGB_MEAN, RGB_STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
DEPTH_MEAN, DEPTH_STD = 0.15, 0.25
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


def normalised(planes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What is expected of planes that nothing has changed."""
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (RGB_MEAN, RGB_STD))
    depth = torch.where(planes[:, 4:] > 0, (planes[:, 3:4] - DEPTH_MEAN) / DEPTH_STD, 0.0)
    return (planes[:, :3] - mean) / std, depth


def make_planes(*, seed: int = 0) -> torch.Tensor:
    """(B, 5, H, W) as in a ``Batch``: smooth pictures, a hole in the depth for interpolation to get wrong."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:H, :W] / H
    waves = rng.uniform(1, 6, size=(B, 4, 2))
    planes = 0.5 + 0.45 * np.sin(waves[..., :1, None] * x * 3 + waves[..., 1:, None] * y * 3)
    rgb = torch.from_numpy(planes[:, :3].astype(np.float32))
    depth = torch.from_numpy((0.2 + 0.2 * planes[:, 3:]).astype(np.float32))
    valid = torch.ones(B, 1, H, W)
    valid[:, :, :3] = 0
    valid[:, :, 10:15, 8:12] = 0
    return torch.cat([rgb, depth * valid, valid], dim=1)


def augmented(augmentation: PairedAugmentation, planes: torch.Tensor, *, keys: torch.Tensor):
    return augmentation.apply(planes, drawn=augmentation.draw(keys, height=planes.shape[2], width=planes.shape[3]))


KEYS = sample_keys(torch.arange(B) + 100, seed=5, epoch=1)


def draw(index: int, number: int) -> float:
    return uniform(KEYS[index : index + 1], draw=number).double().item()


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


def reference(index: int, planes: torch.Tensor, settings: AugmentationSettings):
    """Expected rgb (3, H, W) and depth (H, W), normalised, and the weight of valid pixels (H, W)."""
    *rgb, depth, valid = planes[index].double().numpy()
    rgb, valid = np.stack(rgb), valid > 0
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
    planes = make_planes()
    rgb, depth = augmented(augmentation_of(changes), planes, keys=KEYS)
    for index in range(B):
        expected_rgb, expected_depth, weight = reference(index, planes, settings_of(changes))
        np.testing.assert_allclose(rgb[index].numpy(), expected_rgb, atol=1e-4)
        # float32 and float64 may round to either side of the border of validity itself
        clear = np.abs(weight - 0.5) > 1e-4
        # no valid depth here is the mean, which alone becomes 0
        np.testing.assert_array_equal(depth[index, 0].numpy()[clear] != 0, expected_depth[clear] != 0)
        np.testing.assert_allclose(depth[index, 0].numpy()[clear], expected_depth[clear], atol=8e-6)


def test_each_augmentation_changes_something():
    planes = make_planes()
    rgb_before, depth_before = augmented(augmentation_of({}), planes, keys=KEYS)
    for name, changes in ALONE.items():
        rgb, depth = augmented(augmentation_of(changes), planes, keys=KEYS)
        assert not torch.allclose(rgb, rgb_before, atol=1e-3), name
        colour_only = name in ("brightness", "contrast", "saturation")
        assert torch.allclose(depth, depth_before, atol=1e-3) == colour_only, name
        assert torch.equal(depth, depth_before) == torch.equal(depth != 0, depth_before != 0) == colour_only, name


def test_without_augmentation_only_the_scale_changes():
    planes = make_planes()
    for found, expected in zip(augmented(augmentation_of({}), planes, keys=KEYS), normalised(planes), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("changes", [{}, *ALONE.values(), TOGETHER], ids=["none", *ALONE, "together"])
def test_the_output_is_as_convolutions_want_it(changes):
    rgb, depth = augmented(augmentation_of(changes, depth_channels=3), make_planes(), keys=KEYS)
    assert rgb.shape == depth.shape == (B, 3, H, W)
    assert rgb.is_contiguous(memory_format=torch.channels_last)
    assert depth.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(depth, depth[:, :1].expand(-1, 3, -1, -1))


def test_draws_do_not_depend_on_the_batch():
    planes = make_planes()
    augmentation = augmentation_of(TOGETHER)
    whole = augmented(augmentation, planes, keys=KEYS)
    order = torch.tensor([7, 2, 9])
    some = augmented(augmentation, planes[order], keys=KEYS[order])
    for part, all_of_them in zip(some, whole, strict=True):
        torch.testing.assert_close(part, all_of_them[order], atol=5e-6, rtol=0)


@pytest.mark.parametrize("changes", [{}, *ALONE.values(), TOGETHER], ids=["none", *ALONE, "together"])
def test_the_input_is_left_alone(changes):
    planes = make_planes()
    before = planes.clone()
    augmented(augmentation_of(changes), planes, keys=KEYS)
    assert torch.equal(before, planes)


def moved(planes: torch.Tensor, *, rotation_degrees: float) -> torch.Tensor:
    """Rotated by up to so much and half of them flipped, not yet normalised."""
    changes = {"rotation_degrees": rotation_degrees, "flip": 0.5}
    return rotate_and_flip(planes, matrices=augmentation_of(changes).matrices(uniforms(KEYS, draws=10)))


def test_depth_is_never_mixed_with_no_data():
    """Depth between 0.2 and 0.4 around holes of 0: whatever is valid afterwards is still between 0.2 and 0.4."""
    planes = make_planes()
    after = moved(planes, rotation_degrees=45.0)
    depth, valid = after[:, 3], after[:, 4] > 0
    assert 0.2 - 1e-6 <= depth[valid].min().item() <= depth[valid].max().item() <= 0.4 + 1e-6
    assert 0.5 < valid.float().mean() < planes[:, 4].mean()


def test_both_modalities_get_the_same_geometry():
    planes = make_planes()
    planes[:, 3], planes[:, 4] = planes[:, 0], 1
    after = moved(planes, rotation_degrees=10.0)
    red, depth, valid = after[:, 0], after[:, 3], after[:, 4] > 0
    assert bool(valid.float().mean() > 0.9)
    torch.testing.assert_close(depth[valid], red[valid], atol=1e-6, rtol=0)


def test_pictures_need_not_be_square():
    planes = make_planes()[..., :18]
    quarter = torch.tensor([[[0.0, -1.0], [1.0, 0.0]]]).expand(B, -1, -1)
    turned = rotate_and_flip(planes, matrices=quarter)[:, :3]
    middle = planes[:, :3, 3:-3]  # an 18 × 18 square about the centre
    torch.testing.assert_close(turned[:, :, 3:-3], middle.transpose(2, 3).flip(2), atol=1e-5, rtol=0)


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
