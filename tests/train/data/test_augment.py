"""Augmentation against one-sample-at-a-time float64 references, each alone and all together."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fer_prep.errors import UsageError
from fer_train.config import AugmentationSettings
from fer_train.data.augment import Draws, augment_images, erase, move
from fer_train.data.images import to_floats
from fer_train.data.inputs import PIXEL_MM
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
    "scale": {"scale": 0.3},
    "shift": {"shift": 0.2},
    "brightness": {"brightness": 0.3},
    "contrast": {"contrast": 0.3},
    "saturation": {"saturation": 0.5},
    "erase": {"erase": 0.6},
}
TOGETHER = {key: value for one in ALONE.values() for key, value in one.items()}


OFF = {
    "rotation_degrees": 0.0,
    "flip": 0.0,
    "scale": 0.0,
    "shift": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "erase": 0.0,
}
NORMALISATION = FoldNormalisation({"rgb": (RGB_MEAN, RGB_STD), "depth": ([DEPTH_MEAN], [DEPTH_STD])})


def settings_of(changes: dict[str, float]) -> AugmentationSettings:
    return AugmentationSettings(**{**OFF, **changes})


def make_images(*, seed: int = 0) -> dict[str, torch.Tensor]:
    """Smooth images of integers, a hole in the depth for interpolation to get wrong, depth on both sides of 2¹⁵."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:H, :W] / H
    waves = rng.uniform(1, 6, size=(B, 4, 2))
    planes = 0.5 + 0.45 * np.sin(waves[..., :1, None] * x * 3 + waves[..., 1:, None] * y * 3)
    depths = np.rint((DEPTH_LOW + (DEPTH_HIGH - DEPTH_LOW) * planes[:, 3:]) * 65535).astype(np.int32)
    depths[:, :, :3] = 0
    depths[:, :, 10:15, 8:12] = 0
    return {"rgb": torch.from_numpy(np.rint(planes[:, :3] * 255).astype(np.uint8)), "depth": torch.from_numpy(depths)}


def augmented(changes: dict[str, float], images: dict[str, torch.Tensor], *, keys: torch.Tensor):
    """All of it, in the order of training."""
    settings, draws = settings_of(changes), Draws.of(keys)
    return erase(NORMALISATION(augment_images(to_floats(images), draws, settings=settings)), draws, settings=settings)


KEYS = sample_keys(torch.arange(B) + 100, seed=5, epoch=1)


def draw(index: int, number: int) -> float:
    return uniforms(KEYS[index : index + 1], draws=number + 1)[number].double().item()


# ---- the reference: plain float64, one sample, one pixel at a time ----


def reflect(position: float, count: int) -> float:
    """Position (pixel centres at integers) mirrored at the edges −½ and count − ½, constant in the outer halves."""
    position = (position + 0.5) % (2 * count)
    return min(max(min(position, 2 * count - position) - 0.5, 0.0), count - 1.0)


def look_up(plane: np.ndarray, x: float, y: float, *, mirrored: bool) -> float:
    """Bilinear value at a place whose integers are pixel centres; beyond the border, the mirror image or 0."""
    if mirrored:
        x, y = reflect(x, W), reflect(y, H)
    left, top = math.floor(x), math.floor(y)
    total = 0.0
    for row, weight_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, weight_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            if 0 <= row < H and 0 <= column < W:
                total += weight_y * weight_x * plane[row, column]
    return total


def move_slowly(rgb, depth, valid, *, degrees: float, mirrored: bool, zoom: float, shift: tuple[float, float]):
    """Enlarge and rotate by ``degrees`` about the centre, mirror what is looked up, and look beside it."""
    out_rgb, out_depth, weight_out = np.zeros_like(rgb), np.zeros_like(depth), np.zeros_like(depth)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    for row in range(H):
        for column in range(W):
            dx, dy = (column + 0.5 - W / 2) / zoom, (row + 0.5 - H / 2) / zoom
            from_x, from_y = cos * dx - sin * dy, sin * dx + cos * dy
            from_x = -from_x if mirrored else from_x
            x, y = from_x + (shift[0] + 0.5) * W - 0.5, from_y + (shift[1] + 0.5) * H - 0.5
            for channel in range(3):
                out_rgb[channel, row, column] = look_up(rgb[channel], x, y, mirrored=True)
            weight = weight_out[row, column] = look_up(valid.astype(float), x, y, mirrored=False)
            if weight >= 0.5:
                out_depth[row, column] = look_up(depth * valid, x, y, mirrored=False) / weight
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


def reference(index: int, images: dict[str, torch.Tensor], settings: AugmentationSettings):
    """Expected rgb (3, H, W) and depth (H, W), normalised, and the weight of valid pixels (H, W)."""
    rgb = images["rgb"][index].numpy() / 255
    depth = images["depth"][index, 0].numpy() / 65535
    valid = depth > 0
    degrees = (2 * draw(index, 0) - 1) * settings.rotation_degrees
    zoom = math.exp((2 * draw(index, 10) - 1) * math.log(1 + settings.scale))
    right, down = ((2 * draw(index, number) - 1) * settings.shift for number in (11, 12))
    flipped = draw(index, 1) < settings.flip
    rgb, depth, weight = move_slowly(
        rgb, depth, valid, degrees=degrees, mirrored=flipped, zoom=zoom, shift=(right, down)
    )
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
    images = make_images()
    inputs = augmented(changes, images, keys=KEYS)
    for index in range(B):
        expected_rgb, expected_depth, weight = reference(index, images, settings_of(changes))
        np.testing.assert_allclose(inputs["rgb"][index].numpy(), expected_rgb, atol=1e-4)
        # float32 and float64 may round to either side of the border of validity itself
        clear, depth = np.abs(weight - 0.5) > 1e-4, inputs["depth"][index, 0].numpy()
        # no valid depth here is the mean, which alone becomes 0
        np.testing.assert_array_equal(depth[clear] != 0, expected_depth[clear] != 0)
        np.testing.assert_allclose(depth[clear], expected_depth[clear], atol=2e-5)


def test_each_augmentation_changes_something():
    images = make_images()
    before = augmented({}, images, keys=KEYS)
    for name, changes in ALONE.items():
        after = augmented(changes, images, keys=KEYS)
        assert not torch.allclose(after["rgb"], before["rgb"], atol=1e-3), name
        colour_only = name in ("brightness", "contrast", "saturation")
        assert torch.equal(after["depth"], before["depth"]) == colour_only, name


def test_without_augmentation_only_the_scale_changes():
    images = make_images()
    expected = NORMALISATION(to_floats(images))
    for name, found in augmented({}, images, keys=KEYS).items():
        assert torch.equal(found, expected[name])


def test_draws_do_not_depend_on_the_batch():
    images = make_images()
    whole = augmented(TOGETHER, images, keys=KEYS)
    order = torch.tensor([7, 2, 9])
    some = augmented(TOGETHER, {name: image[order] for name, image in images.items()}, keys=KEYS[order])
    for name, part in some.items():
        torch.testing.assert_close(part, whole[name][order], atol=5e-6, rtol=0)


@pytest.mark.parametrize("changes", [{}, *ALONE.values(), TOGETHER], ids=["none", *ALONE, "together"])
def test_the_input_is_left_alone(changes):
    images = make_images()
    before = {name: image.clone() for name, image in images.items()}
    augmented(changes, images, keys=KEYS)
    assert all(torch.equal(images[name], before[name]) for name in images)


def moved(images: dict[str, torch.Tensor], *, degrees: float) -> dict[str, torch.Tensor]:
    """Rotated by up to so much and half of them flipped."""
    draws = Draws.of(KEYS)
    mirror = torch.where(draws.flip < 0.5, -1.0, 1.0)
    angle = math.radians(degrees) * (2 * draws.rotation - 1)
    return move(images, angle=angle, mirror=mirror, zoom=torch.ones(B), shift=torch.zeros(B, 2))


def test_depth_is_never_mixed_with_no_data():
    """Depth around holes of 0: whatever is valid afterwards lies between the least and the most there was."""
    before = to_floats(make_images())["depth"]
    measured = before[before > 0]
    after = moved({"depth": before}, degrees=45.0)["depth"]
    valid = after > 0
    assert measured.min() - 1e-6 <= after[valid].min()
    assert after[valid].max() <= measured.max() + 1e-6
    assert 0.5 < valid.float().mean() < (before > 0).float().mean()


def test_all_modalities_get_the_same_geometry():
    images = to_floats(make_images())
    images["depth"] = images["rgb"][:, :1]
    after = moved(images, degrees=10.0)
    valid = after["depth"] > 0
    assert bool(valid.float().mean() > 0.9)
    # beyond the border there is no depth, so that at the border itself its mean is of fewer pixels
    inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    torch.testing.assert_close(after["depth"][inner], after["rgb"][:, :1][inner], atol=1e-5, rtol=0)


def test_a_quarter_turn_moves_every_pixel_to_its_place():
    images = to_floats(make_images())
    angle = torch.full((B,), math.pi / 2)
    after = move(images, angle=angle, mirror=torch.ones(B), zoom=torch.ones(B), shift=torch.zeros(B, 2))
    for name, image in images.items():
        torch.testing.assert_close(after[name], image.transpose(2, 3).flip(2), atol=1e-5, rtol=0)


def test_of_an_enlarged_picture_a_pixel_is_smaller():
    images = {**to_floats(make_images()), PIXEL_MM: torch.full((B, 1, 1, 1), 2.0)}
    zoom = torch.full((B,), 1.25)
    after = move(images, angle=torch.zeros(B), mirror=torch.ones(B), zoom=zoom, shift=torch.zeros(B, 2))
    torch.testing.assert_close(after[PIXEL_MM], torch.full((B, 1, 1, 1), 1.6))


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
