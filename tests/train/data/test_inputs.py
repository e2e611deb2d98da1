"""Inputs by name: what is legal, and how they are made of what is stored."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from fer_prep.errors import UsageError
from fer_train.data.batches import prepare_inputs
from fer_train.data.images import equalise_luma, images_of
from fer_train.data.inputs import modalities_of, parse_inputs
from fer_train.data.normalise import FoldNormalisation
from tests.dataset_factories import make_pixels


def stored() -> dict[str, np.ndarray]:
    rgb, depth = (np.stack(each) for each in zip(*(make_pixels(index) for index in range(3)), strict=True))
    return {"rgb": rgb, "depth": depth}


def test_names_are_parsed_and_wrong_ones_refused():
    assert parse_inputs("depth, rgb") == ("depth", "rgb")
    assert modalities_of(("depth", "rgb")) == ("rgb", "depth")
    assert modalities_of(("depth",)) == ("depth",)
    with pytest.raises(UsageError, match=r"model.inputs = 'rgb,dept': did you mean depth\?"):
        parse_inputs("rgb,dept")
    for text in ("", "rgb,rgb"):
        with pytest.raises(UsageError, match="expected different names"):
            parse_inputs(text)


def test_stored_arrays_become_images_in_0_to_1():
    arrays = stored()
    images = images_of(arrays, image_size=32, equalise=False, device="cpu")
    np.testing.assert_allclose(images["rgb"].numpy(), arrays["rgb"].transpose(0, 3, 1, 2) / 255, rtol=1e-6)
    np.testing.assert_allclose(images["depth"][:, 0].numpy(), arrays["depth"] / 65535, rtol=1e-6)


@pytest.mark.parametrize("value", [0, 1, 32_767, 32_768, 32_769, 65_534, 65_535])
def test_every_stored_depth_comes_through(value):
    depth = {"depth": np.full((1, 2, 2), value, np.uint16)}
    images = images_of(depth, image_size=2, equalise=False, device="cpu")
    assert (images["depth"].double() * 65535).round().unique().tolist() == [value]
    assert bool((images["depth"] > 0).all()) == (value > 0)


def test_a_network_is_fed_with_the_inputs_of_its_normalisation():
    normalisation = FoldNormalisation({"depth": ([0.25], [0.5])})
    inputs = prepare_inputs({"depth": stored()["depth"]}, normalisation=normalisation, image_size=16)
    assert {name: tuple(value.shape) for name, value in inputs.items()} == {"depth": (3, 1, 16, 16)}
    images = images_of({"depth": stored()["depth"]}, image_size=16, equalise=False, device="cpu")["depth"]
    torch.testing.assert_close(inputs["depth"], torch.where(images > 0, (images - 0.25) / 0.5, 0.0))


def face_like(size: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size] / size
    return np.stack([127 + 100 * np.sin(9 * x + c) * np.cos(7 * y - c) for c in range(3)], axis=-1).astype(np.uint8)


def test_luma_is_equalised_as_opencv_does():
    picture = (face_like(64) // 3 + 40).astype(np.uint8)
    ours = equalise_luma(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy().astype(float)
    weights = np.array([0.299, 0.587, 0.114])
    luma = np.rint((picture * weights).sum(axis=2)).astype(np.uint8)
    expected = cv2.equalizeHist(luma).astype(float)
    inside = ((ours > 0) & (ours < 255)).all(axis=2)  # where nothing was cut off
    assert inside.mean() > 0.5
    np.testing.assert_allclose((ours * weights).sum(axis=2)[inside], expected[inside], atol=1.6)


def test_a_uniform_image_stays_as_it_is():
    image = torch.full((1, 3, 8, 8), 90, dtype=torch.uint8)
    assert torch.equal(equalise_luma(image), image)
