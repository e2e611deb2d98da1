"""Attribute maps on the device are those of NumPy, and reach networks by name."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny_training import TINY, as_options, write_telling_data
from typer.testing import CliRunner

from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import UsageError
from fer_prep.folds.splits import make_folds, write_folds
from fer_prep.geometry import attribute_maps as reference
from fer_train.cli.app import app
from fer_train.data import attribute_maps as twin
from fer_train.data.image_dataset import ImageDataset
from fer_train.data.images import to_floats
from fer_train.data.inputs import INPUTS, PIXEL_MM
from fer_train.data.normalise import FoldNormalisation
from fer_train.inference.predictor import Predictor
from fer_train.training.run_folder import RunFolder

MAPS = {name: kind for name, kind in INPUTS.items() if "attribute_maps" in kind.compute}
SIZES_MM = (0.7, 1.4, 3.0)


def faces(size: int = 64) -> np.ndarray:
    """(3, size, size) stored depth of smooth shapes with holes."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size - 0.5
    depth = []
    for k in range(3):
        z = 4000 * (x**2 + y**2) + 500 * np.sin(9 * x + k) * np.cos(7 * y) + rng.normal(0, 3, x.shape)
        one = (z - z.min() + 1).round()
        one[np.hypot(x, y) > 0.45] = 0
        one[20:25, 30:33] = 0
        depth.append(one)
    return np.stack(depth).astype(np.uint16)


def by_numpy(name: str, depth: np.ndarray, pixel_mm: float, smoothing_mm: float) -> np.ndarray:
    z = np.where(depth > 0, -(depth.astype(np.float64) - 1) * 0.01, np.nan)
    of = reference.derivatives(z, mm_per_pixel=pixel_mm, smoothing_mm=smoothing_mm)
    if name == "hha":
        return reference.hha(z, of, mm_per_pixel=pixel_mm)
    found = getattr(reference, name.replace("-", "_"))(of)
    return found if found.ndim == 3 else found[..., None]


def images(depth: np.ndarray) -> dict[str, torch.Tensor]:
    stored = torch.from_numpy(depth.astype(np.int32))[:, None]
    return {**to_floats({"depth": stored}), PIXEL_MM: torch.tensor(SIZES_MM).reshape(-1, 1, 1, 1)}


@pytest.mark.parametrize("smoothing_mm", [1.5, 3.0])
@pytest.mark.parametrize("name", MAPS)
def test_tensors_give_what_numpy_gives(name, smoothing_mm):
    depth = faces()
    found = getattr(twin, name.replace("-", "_"))(images(depth), smoothing_mm)
    assert found.shape == (3, MAPS[name].channels, 64, 64)
    for sample, pixel_mm in enumerate(SIZES_MM):
        expected = by_numpy(name, depth[sample], pixel_mm, smoothing_mm)
        seen = np.isfinite(expected).all(axis=-1)
        np.testing.assert_array_equal(seen, depth[sample] > 0)
        ours = found[sample].permute(1, 2, 0).numpy()[seen]
        difference = np.abs(ours - expected[seen]) / MAPS[name].typical[1]
        assert np.quantile(difference, 0.999) < 2e-3
        assert np.median(difference) < 1e-4


def test_a_network_gets_them_by_name_with_holes_at_0():
    depth = faces()
    moments = {name: [[value] * kind.channels for value in kind.typical] for name, kind in MAPS.items()}
    normalise = FoldNormalisation(moments, settings={"smoothing_mm": 3.5, "points": 7})
    assert FoldNormalisation.from_dict(normalise.to_dict()).settings == {"smoothing_mm": 3.5}
    inputs = normalise(images(depth))
    for name, kind in MAPS.items():
        assert inputs[name].shape == (3, kind.channels, 64, 64)
        assert torch.isfinite(inputs[name]).all()
        assert not inputs[name].permute(0, 2, 3, 1)[torch.from_numpy(depth == 0)].any()
        assert inputs[name].abs().mean() < 5


def test_without_the_size_of_a_pixel_there_is_no_slope():
    normalise = FoldNormalisation({"normals": ([0.0] * 3, [1.0] * 3)})
    only_depth = {name: image for name, image in images(faces()).items() if name == "depth"}
    with pytest.raises(UsageError, match="how large a pixel is"):
        normalise(only_depth)


def test_turning_a_face_turns_its_normals():
    """Maps are computed of what augmentation has moved, so that they fit the picture that is shown."""
    depth = faces()[:1]
    some = {**images(depth), PIXEL_MM: torch.full((1, 1, 1, 1), 1.4)}
    mirrored = {**some, "depth": some["depth"].flip(3)}
    there, back = twin.normals(some, 2.0), twin.normals(mirrored, 2.0).flip(3)
    valid = (some["depth"] > 0).expand_as(there)
    torch.testing.assert_close(there[valid], (back * torch.tensor([-1.0, 1, 1]).reshape(1, 3, 1, 1))[valid], atol=1e-4,
                               rtol=0)  # fmt: skip
    assert math.isclose(float(there.norm(dim=1)[valid[:, 0]].mean()), 1, abs_tol=1e-5)


@pytest.mark.parametrize(
    "looks_at",
    [
        {"model.inputs": "rgb,normals"},
        {"model.network": "pointnet", "data.points": 100, "augmentation.depth_noise": 1.0},
        {"model.network": "voxnet", "data.voxels": 16, "augmentation.depth_holes": 0.5},
    ],
    ids=["normals", "points", "voxels"],
)
def test_a_run_judges_alike_in_memory_and_streamed(tmp_path, looks_at):
    data = write_telling_data(tmp_path / "global.h5", subjects=4)
    words = ["fit", "--data", data, "--out", tmp_path / "run", "--fold", 0, "--manifest", folds_of(data)]
    settings = TINY | looks_at | {"training.epochs": 1, "loss.name": "cross-entropy"}
    words += as_options(settings)
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, (done.output, done.exception)
    run = RunFolder.open(tmp_path / "run")
    predictor = Predictor.load(run.fold(0), device=torch.device("cpu"))
    said = run.read_predictions()
    for memory in ("auto", "0"):
        images = ImageDataset(data, inputs=run.config.model.input_names, memory=memory)
        found = predictor.judge(images, images.file.rows_of(said.ids))
        np.testing.assert_allclose(found, said.probabilities, atol=1e-4)


def folds_of(data):
    path = data.with_suffix(".json")
    with DatasetFile.open(data) as file:
        write_folds(make_folds(file, folds=2), path, data=file)
    return path
