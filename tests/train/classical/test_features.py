"""Landmarks and histograms as features: what mirroring, holes and missing data make of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fer_train.classical.blocks import BLOCKS, features_of, without_holes
from fer_train.classical.landmarks import METRIC, PLACES, centred_and_scaled, mirrored, mirrored_order, relief_under

SIZE = 48


def a_batch(n: int = 3, *, seed: int = 0) -> dict[str, torch.Tensor]:
    """Noise with places of landmarks and a hole in the depth."""
    rng = torch.Generator().manual_seed(seed)
    depth = torch.rand(n, 1, SIZE, SIZE, generator=rng) / 10 + 0.1
    depth[:, :, :10, :7] = 0
    return {
        "rgb": torch.rand(n, 3, SIZE, SIZE, generator=rng),
        "depth": depth,
        PLACES: torch.rand(n, 468, 2, generator=rng),
    }


def test_mirroring_exchanges_the_known_pairs_of_the_face_mesh():
    order = mirrored_order()
    pairs = {
        33: 263,
        133: 362,
        61: 291,
        105: 334,
        145: 374,
        159: 386,
        50: 280,
        234: 454,
        1: 1,
        13: 13,
        152: 152,
        10: 10,
    }
    assert {right: int(order[right]) for right in pairs} == pairs
    assert (order[order] == np.arange(468)).all()


def test_the_mesh_knows_its_mirror_image():
    connections = pytest.importorskip("mediapipe.python.solutions.face_mesh_connections")
    edges = {frozenset(edge) for edge in connections.FACEMESH_TESSELATION}
    order = mirrored_order()
    kept = sum(frozenset(int(order[point]) for point in edge) in edges for edge in edges)
    assert kept / len(edges) > 0.99  # some quads are cut along the other diagonal


def test_a_batch_mirrored_twice_is_itself():
    batch = a_batch() | {METRIC: torch.rand(3, 468, 3)}
    again = mirrored(mirrored(batch))
    for name, values in batch.items():
        torch.testing.assert_close(again[name], values)


def test_the_second_features_are_those_of_the_mirror_image():
    batch = a_batch()
    found, other = features_of(batch, list(BLOCKS)), features_of(mirrored(batch), list(BLOCKS))
    for name, values in found.items():
        assert values.shape == (3, 2, BLOCKS[name].width)
        torch.testing.assert_close(values.flip(1), other[name], equal_nan=True)


def test_what_is_missing_is_nan_and_nothing_else_is():
    batch = a_batch()
    batch["depth"][1] = 0
    batch[PLACES][2] = torch.nan
    found = features_of({name: values for name, values in batch.items() if name != "rgb"}, list(BLOCKS))
    lost = {name: values.isnan().all(dim=2).all(dim=1).tolist() for name, values in found.items()}
    assert lost == {
        "landmarks-2d": [True, True, True],
        "landmarks-3d": [False, True, True],
        "hog": [True, True, True],
        "depth-hog": [False, True, False],
    }


def test_holes_take_the_nearest_depth():
    depth = np.zeros((5, 9), np.float32)
    depth[:, 0], depth[:, 8] = 0.2, 0.7
    assert (without_holes(depth) > 0).all()
    assert (without_holes(depth)[:, 1:4] == np.float32(0.2)).all()
    assert (without_holes(depth)[:, 5:8] == np.float32(0.7)).all()


def test_a_shape_does_not_depend_on_place_and_size():
    points = np.random.default_rng(0).normal(size=(2, 468, 2)).astype(np.float32)
    moved = points * 3 + np.array([5, -2], np.float32)
    np.testing.assert_allclose(centred_and_scaled(moved), centred_and_scaled(points), atol=1e-5)


def test_unknown_points_leave_the_shape_of_the_others():
    points = np.random.default_rng(0).normal(size=(1, 468, 3)).astype(np.float32)
    points[0, 7] = np.nan
    shape = centred_and_scaled(points).reshape(468, 3)
    known = np.delete(shape, 7, axis=0)
    assert np.isnan(shape[7]).all()
    assert np.sqrt((known**2).sum(axis=1).mean()) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(known.mean(axis=0), 0, atol=1e-5)


def test_relief_is_in_millimetres_by_the_distance_of_the_eyes():
    places = np.full((1, 468, 2), 0.5, np.float32)
    places[0, [33, 133]], places[0, [362, 263]] = (0.25, 0.5), (0.75, 0.5)  # half the picture apart
    depth = np.full((1, SIZE, SIZE), 1000 / 65535, np.float32)  # 1000 steps of 0.01 mm behind the nearest point
    depth[0, :, : SIZE // 3] = 0
    points = relief_under(places, depth)[0]
    assert points[362, 0] - points[33, 0] == pytest.approx(63)
    assert points[362, 2] == pytest.approx(-10, abs=1e-3)
    assert np.isnan(points[33, 2])
