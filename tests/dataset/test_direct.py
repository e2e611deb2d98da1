"""Pixels read past HDF5 are those that HDF5 reads, from one file and from shards."""

from __future__ import annotations

import numpy as np
import pytest

from fer_prep.dataset.direct import DirectPixels
from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.shards import Shard, write_index
from fer_prep.errors import DatasetFileError
from tests.dataset_factories import EMOTIONS, make_rows, write_global

ROWS = np.array([9, 0, 27, 3, 3, 26])


@pytest.fixture(params=["one file", "shards"])
def dataset(tmp_path, request):
    """28 samples of 32²; in shards of 10 and 18."""
    rows = make_rows({"bu3dfe": 2, "cald3r": 2})
    if request.param == "one file":
        return write_global(tmp_path / "global.h5", rows)
    shards = []
    for number, part in enumerate((rows[:10], rows[10:])):
        path = write_global(tmp_path / f"global-{number:05d}.h5", part)
        with DatasetFile.open(path) as data:
            shards.append(Shard(name=path.name, staged=path, n=len(part), digest=data.digest))
    index = tmp_path / "global.h5"
    write_index(index, shards=shards, size=32, rows=rows, classes=EMOTIONS, settings={})
    return index


def read(pixels: DirectPixels, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rgb, depth = np.empty((len(rows), 32, 32, 3), np.uint8), np.empty((len(rows), 32, 32), np.int16)
    pixels.read_into(rows, rgb=rgb, depth=depth)
    return rgb, depth.view(np.uint16)


def test_pixels_are_those_of_hdf5(dataset):
    with DatasetFile.open(dataset) as data:
        pixels = DirectPixels.of(data)
        assert pixels is not None
        rgb, depth = read(pixels, ROWS)
        np.testing.assert_array_equal(rgb, data.read_rgb(ROWS))
        np.testing.assert_array_equal(depth, data.read_depth(ROWS))
        pixels.close()
        np.testing.assert_array_equal(read(pixels, ROWS)[0], rgb)
        with pytest.raises(IndexError, match="of a dataset of 28"):
            read(pixels, np.array([28]))
        pixels.close()


def test_compressed_pixels_are_left_to_hdf5(tmp_path):
    path = write_global(tmp_path / "global.h5", make_rows({"bu3dfe": 1}), compression={"compression": "gzip"})
    with DatasetFile.open(path) as data:
        assert DirectPixels.of(data) is None


def test_a_file_cut_short_is_named(tmp_path):
    path = write_global(tmp_path / "global.h5", make_rows({"bu3dfe": 1}))
    with DatasetFile.open(path) as data:
        pixels = DirectPixels.of(data)
    assert pixels is not None
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DatasetFileError, match="end of the file"):
        read(pixels, np.array([6]))
    pixels.close()
