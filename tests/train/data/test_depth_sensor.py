"""Noise and holes as a depth camera makes them, against what was asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny_training import SIZE, write_telling_data

from fer_prep.geometry.attribute_maps import NEAREST_MM
from fer_train.config import AugmentationSettings
from fer_train.data.batches import Batches
from fer_train.data.depth_sensor import BAND_MM, as_a_sensor_sees, lost
from fer_train.data.image_dataset import ImageDataset
from fer_train.data.images import to_floats
from fer_train.data.inputs import KEYS, PIXEL_MM
from fer_train.data.normalise import FoldNormalisation
from fer_train.data.random_draws import sample_keys

B, S, PIXEL, RADIUS_MM = 24, 96, 1.5, 60.0
OFF = {"rotation_degrees": 0.0, "flip": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "erase": 0.0}


def images_of(behind_mm: np.ndarray, *, epoch: int = 0) -> dict[str, torch.Tensor]:
    """B samples of one surface (S, S) in mm behind the nearest point, NaN where there is none."""
    steps = np.where(np.isnan(behind_mm), 0, 1 + np.rint(np.nan_to_num(behind_mm) * 100)).astype(np.int32)
    depth = torch.from_numpy(steps).expand(B, 1, S, S)
    keys = sample_keys(torch.arange(B), seed=3, epoch=epoch)
    return to_floats({"depth": depth, PIXEL_MM: torch.full((B, 1, 1, 1), PIXEL), KEYS: keys})


def in_mm(images: dict[str, torch.Tensor]) -> np.ndarray:
    depth = images["depth"][:, 0].double().numpy() * 65535
    return np.where(depth > 0, (depth - 1) / 100, np.nan)


def ball() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(S, S) mm behind the nearest point, the angle to the viewer in degrees, and mm from the outline; NaN beside."""
    row, column = (np.mgrid[:S, :S] - (S - 1) / 2) * PIXEL
    across = np.hypot(row, column)
    with np.errstate(invalid="ignore"):
        return (RADIUS_MM - np.sqrt(RADIUS_MM**2 - across**2), np.degrees(np.arcsin(across / RADIUS_MM)),
                np.where(across < RADIUS_MM, RADIUS_MM - across, np.nan))  # fmt: skip


@pytest.mark.parametrize("noise_mm", [0.5, 2.0])
@pytest.mark.parametrize("behind_mm", [50.0, 300.0, 600.0])
def test_noise_grows_with_the_square_of_the_distance(noise_mm, behind_mm):
    images = images_of(np.full((S, S), behind_mm))
    error = in_mm(as_a_sensor_sees(images, noise_mm=noise_mm, holes=0)) - behind_mm
    expected = noise_mm * ((NEAREST_MM + behind_mm) / NEAREST_MM) ** 2
    assert error.std() == pytest.approx(expected, rel=0.02)
    assert abs(error.mean()) < 4 * expected / math.sqrt(error.size)
    together = np.abs(np.corrcoef(error.reshape(B, -1)) - np.eye(B)).max()
    assert together < 5 / S  # no two samples have the same


def test_noise_makes_no_holes_and_fills_none():
    surface = ball()[0]
    found = in_mm(as_a_sensor_sees(images_of(surface), noise_mm=3.0, holes=0))
    np.testing.assert_array_equal(np.isnan(found), np.broadcast_to(np.isnan(surface), found.shape))


def test_holes_are_where_the_surface_is_seen_at_a_grazing_angle():
    surface, angle, outline_mm = ball()
    gone = lost(images_of(surface), 1.0)[:, 0].numpy()
    there = np.isfinite(surface)
    assert not gone[:, there & (angle < 55) & (outline_mm > BAND_MM + 2 * PIXEL)].any()
    # a ball's band is grazing as well: a slope alone, without an outline near it
    row = np.arange(S)[:, None] * PIXEL * np.ones((1, S))
    for degrees, low, high in ((50, 0, 0), (65, 0.05, 0.5), (75, 0.5, 0.95), (84, 1, 1)):
        slope = np.clip(row * math.tan(math.radians(degrees)), 0, 600)
        inside = (slope > 0) & (slope < 590)
        inside[[0, -1]] = False
        share = lost(images_of(slope), 1.0)[:, 0].numpy()[:, inside].mean()
        assert low <= share <= high


def test_a_band_of_holes_is_ragged_and_no_wider_than_said():
    disc = np.where(np.hypot(*(np.mgrid[:S, :S] - S / 2)) * PIXEL < RADIUS_MM, 10.0, np.nan)
    inward_mm = RADIUS_MM - np.hypot(*(np.mgrid[:S, :S] - S / 2)) * PIXEL
    gone = lost(images_of(disc), 1.0)[:, 0].numpy()
    assert not gone[:, inward_mm > BAND_MM + 2 * PIXEL].any()
    near = gone[:, (inward_mm > 0) & (inward_mm < 3)].mean(axis=1)
    assert ((near > 0.1) & (near < 0.95)).sum() > B / 3
    assert near.std() > 0.05  # wider in some samples than in others


def test_so_many_samples_have_holes_as_asked_for():
    surface = ball()[0]
    shares = [lost(images_of(surface, epoch=epoch), 0.3).flatten(1).any(dim=1) for epoch in range(20)]
    assert torch.cat(shares).float().mean().item() == pytest.approx(0.3, abs=0.08)


def test_faults_follow_from_the_sample_and_the_epoch_alone():
    images = images_of(ball()[0])
    whole = as_a_sensor_sees(images, noise_mm=1.0, holes=0.7)["depth"]
    some = {name: values[5:9] for name, values in images.items()}
    assert torch.equal(as_a_sensor_sees(some, noise_mm=1.0, holes=0.7)["depth"], whole[5:9])
    later = as_a_sensor_sees(images_of(ball()[0], epoch=1), noise_mm=1.0, holes=0.7)["depth"]
    assert not torch.equal(later, whole)


def test_training_meets_them_when_asked_to_and_not_otherwise(tmp_path):
    data = ImageDataset(write_telling_data(tmp_path / "global.h5"), inputs=("depth",), metric=True)
    normalisation = FoldNormalisation.fit(data, torch.arange(len(data)), inputs=("depth",))
    rows = torch.arange(12)
    found = {}
    for name, more in {"off": {}, "noise": {"depth_noise": 3.0}, "holes": {"depth_holes": 1.0}}.items():
        settings = AugmentationSettings(**OFF, **more)
        batches = Batches(data, normalisation=normalisation, augmentation=settings, seed=1)
        found[name] = next(iter(batches.training([(0, rows)]))).inputs["depth"]
        plain = next(iter(batches.validation([rows]))).inputs["depth"]
        assert torch.equal(found[name], plain) == (name == "off")
    holes = [(found[name] == 0).sum().item() for name in ("off", "noise", "holes")]
    assert holes[0] == holes[1] == 2 * SIZE * 12
    assert holes[2] > holes[0]
