"""The HDF5 contract: what is written is read back, bytes repeat, and everything that is no dataset is refused."""

from __future__ import annotations

import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest
from dataset_factories import make_pixels, make_rows, write_global

from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.writer import GlobalWriter, measure, pixel_statistics
from fer_prep.digests import data_digest, pixel_digest
from fer_prep.emotions import EMOTIONS
from fer_prep.errors import DatasetFileError, UsageError

ROWS = make_rows({"bu3dfe": 2, "mend3s": 1})


@pytest.fixture
def dataset(tmp_path):
    return write_global(tmp_path / "global.h5", ROWS)


def test_the_file_has_the_paths_types_and_attributes_of_the_contract(dataset):
    with h5py.File(dataset) as root:
        assert root["rgb"].shape == (len(ROWS), 32, 32, 3)
        assert root["rgb"].dtype == np.uint8
        assert root["rgb"].chunks == (1, 32, 32, 3)
        assert root["rgb"].compression is None
        assert root["depth"].shape == (len(ROWS), 32, 32)
        assert root["depth"].dtype == np.uint16
        assert list(root["samples/id"].asstr()[:]) == [row["id"] for row in ROWS]
        assert root["samples/label"].dtype == np.uint8
        assert root["samples/left_eye"].shape == (len(ROWS), 2)
        assert root["samples/left_eye"].dtype == np.float32
        assert root.attrs["format"] == "fer-rgbd"
        assert root.attrs["format_version"] == 1
        assert list(root.attrs["classes"]) == list(EMOTIONS)
        assert root.attrs["depth_unit_mm"] == 0.01
        digests, labels = root["samples/digest"].asstr()[:], root["samples/label"][:]
        assert root.attrs["digest"] == data_digest(digests, labels)
        assert digests[3] == pixel_digest(root["rgb"][3], root["depth"][3])


def test_same_samples_give_the_same_bytes(tmp_path):
    first, second = (write_global(tmp_path / name, ROWS) for name in ("a.h5", "b.h5"))
    assert first.read_bytes() == second.read_bytes()


def test_rows_are_read_in_any_order_and_more_than_once(dataset):
    rows = [7, 8, 9, 0, 3, 2, 2]
    with DatasetFile.open(dataset) as data:
        rgb, depth = data.read_rgb(rows), data.read_depth(rows)
    for position, row in enumerate(rows):
        expected_rgb, expected_depth = make_pixels(row)
        np.testing.assert_array_equal(rgb[position], expected_rgb)
        np.testing.assert_array_equal(depth[position], expected_depth)


def test_no_rows_is_an_empty_array(dataset):
    with DatasetFile.open(dataset) as data:
        assert data.read_rgb([]).shape == (0, 32, 32, 3)


def test_a_row_beyond_the_end_is_refused(dataset):
    with DatasetFile.open(dataset) as data, pytest.raises(IndexError):
        data.read_depth([len(ROWS)])


def test_statistics_equal_those_of_the_pixels(dataset):
    rows = [1, 4, 5, 11]
    with DatasetFile.open(dataset) as data:
        sums = data.statistics(rows)
        rgb, depth = data.read_rgb(rows).astype(np.float64), data.read_depth(rows).astype(np.float64)
    valid = depth > 0
    np.testing.assert_allclose(sums.rgb.mean, rgb.reshape(-1, 3).mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(sums.rgb.std, rgb.reshape(-1, 3).std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(sums.rgb_valid.mean, rgb[valid].mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(sums.rgb_valid.std, rgb[valid].std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(sums.depth.mean, depth[valid].mean(), rtol=1e-14)
    np.testing.assert_allclose(sums.depth.std, depth[valid].std(), rtol=1e-12)
    assert sums.depth.count == valid.sum()


def test_sums_beyond_64_bits_are_exact():
    from fer_prep.dataset.reader import _exact_sum

    assert _exact_sum(np.full(3, 2**64 - 1, np.uint64)) == (3 * (2**64 - 1),)


def test_statistics_of_a_full_size_sample_are_exact():
    rgb, depth = np.full((260, 260, 3), 255, np.uint8), np.full((260, 260), 65535, np.uint16)
    sums = pixel_statistics(rgb, depth)
    assert int(sums["depth_sum_of_squares"]) == 65535**2 * 260 * 260
    assert sums["rgb_valid_sum_of_squares"].tolist() == [255**2 * 260 * 260] * 3


def test_a_sample_without_depth_has_no_mean(tmp_path):
    writer = GlobalWriter(tmp_path / "g.h5", n=1, size=8, classes=EMOTIONS)
    writer.append(measure(ROWS[0], np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint16)))
    writer.finish(settings={})
    with DatasetFile.open(tmp_path / "g.h5") as data:
        assert np.isnan(data.statistics([0]).depth.mean).all()


def test_labels_within_a_subset_of_the_classes(dataset):
    with DatasetFile.open(dataset) as data:
        dense = data.labels_within(("anger", "sadness"))
    emotions = np.array([EMOTIONS[row["label"]] for row in ROWS])
    assert set(emotions[dense == 1]) == {"sadness"}
    assert set(emotions[dense == -1]) == set(EMOTIONS) - {"anger", "sadness"}


def test_rows_of_ids_and_an_unknown_one(dataset):
    with DatasetFile.open(dataset) as data:
        assert data.rows_of([ROWS[5]["id"], ROWS[2]["id"]]).tolist() == [5, 2]
        with pytest.raises(DatasetFileError, match=r"1 ids are not.*zzz"):
            data.rows_of([ROWS[5]["id"], "zzz"])


def test_text_beyond_ascii_is_kept(tmp_path):
    row = {**ROWS[0], "source_file": "Überraschung/é_漢字.png"}
    with DatasetFile.open(write_global(tmp_path / "g.h5", [row])) as data:
        assert data.column("source_file")[0] == row["source_file"]


def test_an_open_file_can_be_sent_to_another_process(dataset):
    with DatasetFile.open(dataset) as data:
        twin = pickle.loads(pickle.dumps(data))
        np.testing.assert_array_equal(twin.read_rgb([3]), data.read_rgb([3]))
        twin.close()


def test_an_announced_sample_that_never_came_is_an_error(tmp_path):
    writer = GlobalWriter(tmp_path / "g.h5", n=2, size=32, classes=EMOTIONS)
    writer.append(measure(ROWS[0], *make_pixels(0)))
    with pytest.raises(UsageError, match="2 samples were announced, 1 written"):
        writer.finish(settings={})
    writer.abandon()
    assert not (tmp_path / "g.h5").exists()


class TestRefused:
    def refused(self, path, match):
        with pytest.raises(DatasetFileError, match=match) as caught:
            DatasetFile.open(path)
        assert str(path) in str(caught.value)

    def test_absent(self, tmp_path):
        self.refused(tmp_path / "none.h5", "no such file")

    def test_not_hdf5(self, tmp_path):
        (tmp_path / "a.h5").write_bytes(b"\x89PNG\r\n\x1a\n rest")
        self.refused(tmp_path / "a.h5", r"expected an HDF5 file; found first bytes b'\\x89PNG")

    def test_empty(self, tmp_path):
        (tmp_path / "a.h5").touch()
        self.refused(tmp_path / "a.h5", "expected an HDF5 file")

    def test_truncated(self, dataset):
        dataset.write_bytes(dataset.read_bytes()[:50_000])
        self.refused(dataset, "truncated")

    def test_another_kind_of_hdf5(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as root:
            root["weights"] = [1.0]
        self.refused(tmp_path / "a.h5", "expected a fer-rgbd dataset; found an HDF5 file with weights")

    def test_a_later_version(self, dataset):
        with h5py.File(dataset, "r+") as root:
            root.attrs["format_version"] = 2
        self.refused(dataset, "expected format version 1; found version 2")

    @pytest.mark.parametrize("name", ["depth", "samples/digest", "statistics/depth_sum"])
    def test_a_missing_part(self, dataset, name):
        with h5py.File(dataset, "r+") as root:
            del root[name]
        self.refused(dataset, f"/{name}")

    def test_a_wrong_shape(self, dataset):
        with h5py.File(dataset, "r+") as root:
            del root["depth"]
            root["depth"] = np.zeros((len(ROWS), 8, 8), np.uint16)
        self.refused(dataset, r"expected /depth .*found .*8, 8")

    def test_still_open_for_writing_elsewhere(self, dataset):
        hold = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"
        command = [sys.executable, "-c", hold, str(dataset)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            holder.stdout.readline()
            try:
                self.refused(dataset, "still open for writing in another program")
            finally:
                holder.communicate()
