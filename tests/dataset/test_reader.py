"""The HDF5 contract: what is written is read back, bytes repeat, and everything that is no dataset is refused."""

from __future__ import annotations

import errno
import json
import os
import pickle
import resource
import subprocess
import sys

import h5py
import numpy as np
import pytest
from dataset_factories import make_landmarks, make_pixels, make_rows, write_dataset

from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.statistics import pixel_statistics, total_sums
from fer_prep.dataset.writer import DatasetWriter, measure
from fer_prep.digests import pixel_digest
from fer_prep.emotions import EIGHT, EMOTIONS
from fer_prep.errors import BusyError, DatasetFileError, UsageError

ROWS = make_rows({"bu3dfe": 2, "mend3s": 1})
N = len(ROWS)


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(
        tmp_path / "global.h5", ROWS, landmarks={"bu3dfe-83": make_landmarks(N, vertices=True)},
        soft_labels=np.eye(7, dtype=np.float32)[[row["label"] for row in ROWS]],
    )  # fmt: skip


def test_the_file_has_the_paths_types_and_attributes_of_the_contract(dataset):
    with h5py.File(dataset) as root:
        assert root["rgb"].shape == (N, 32, 32, 3)
        assert root["rgb"].dtype == np.uint8
        assert root["depth"].shape == (N, 32, 32)
        assert root["depth"].dtype == np.uint16
        assert list(root["samples/id"].asstr()[:]) == [row["id"] for row in ROWS]
        assert root["samples/label"].dtype == np.uint8
        assert root["samples/frame"].dtype == np.uint32
        for name in ("left_eye", "principal_px"):
            assert (root["samples"][name].shape, root["samples"][name].dtype) == ((N, 2), np.float32)
        points = root["landmarks/bu3dfe-83"]
        assert (points["points_px"].shape, points["points_px"].dtype) == ((N, 2, 2), np.float32)
        assert (points["points_mm"].shape, points["points_mm"].dtype) == ((N, 2, 3), np.float32)
        assert (points["vertex"].shape, points["vertex"].dtype) == ((N, 2), np.int32)
        assert list(points.attrs["names"]) == ["chin", "nose"]
        assert (root["labels/soft"].shape, root["labels/soft"].dtype) == ((N, 7), np.float32)
        assert root.attrs["format"] == "fer-rgbd"
        assert root.attrs["format_version"] == 2
        assert list(root.attrs["classes"]) == list(EMOTIONS)
        assert list(root.attrs["modalities"]) == ["rgb", "depth"]
        assert root.attrs["depth_unit_mm"] == 0.01
        assert json.loads(root.attrs["settings"]) == {"made_by": "tests"}
        assert root["samples/digest"].asstr()[3] == pixel_digest(root["rgb"][3], root["depth"][3])


def test_uncompressed_pixels_can_be_mapped_into_memory_by_any_program(dataset):
    with h5py.File(dataset) as root:
        places = {name: root[name].id.get_offset() for name in ("rgb", "depth")}
    rgb = np.memmap(dataset, np.uint8, "r", places["rgb"], (N, 32, 32, 3))
    depth = np.memmap(dataset, "<u2", "r", places["depth"], (N, 32, 32))
    np.testing.assert_array_equal(rgb[9], make_pixels(9)[0])
    np.testing.assert_array_equal(depth[9], make_pixels(9)[1])


def test_same_samples_give_the_same_bytes(tmp_path):
    first, second = (
        write_dataset(tmp_path / name, ROWS, landmarks={"a": make_landmarks(N)}) for name in ("a.h5", "b.h5")
    )
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("compression", [None, {"compression": "gzip"}], ids=["plain", "gzip"])
def test_rows_are_read_in_any_order_and_more_than_once(tmp_path, compression):
    rows = [7, 8, 9, 0, 3, 2, 2]
    with DatasetFile.open(write_dataset(tmp_path / "g.h5", ROWS, compression=compression)) as data:
        rgb, depth = data.read("rgb", rows), data.read("depth", rows)
    for position, row in enumerate(rows):
        expected_rgb, expected_depth = make_pixels(row)
        np.testing.assert_array_equal(rgb[position], expected_rgb)
        np.testing.assert_array_equal(depth[position], expected_depth)


def test_no_rows_is_an_empty_array(dataset):
    with DatasetFile.open(dataset) as data:
        assert data.read("rgb", []).shape == (0, 32, 32, 3)


@pytest.mark.parametrize("row", [N, -1])
def test_a_row_that_is_not_there_is_refused(dataset, row):
    with DatasetFile.open(dataset) as data, pytest.raises(IndexError, match=f"of a dataset of {N}"):
        data.read("depth", [row])


class TestOneModality:
    @pytest.mark.parametrize(("stored", "other"), [("rgb", "depth"), ("depth", "rgb")])
    def test_a_file_of_it_is_a_whole_file(self, tmp_path, stored, other):
        with DatasetFile.open(write_dataset(tmp_path / "g.h5", ROWS, modalities=(stored,))) as data:
            assert data.modalities == (stored,)
            np.testing.assert_array_equal(data.read(stored, [4])[0], make_pixels(4)[stored == "depth"])
            with pytest.raises(UsageError, match=f"no {other} is stored; there is: {stored}"):
                data.read(other, [4])
            sums = data.statistics(range(N))
            assert sums.rgb_valid is None
            assert (sums.rgb is None, sums.depth is None) == (stored == "depth", stored == "rgb")
            data.verify_tables()

    def test_its_digests_are_not_those_of_both(self, tmp_path):
        with DatasetFile.open(write_dataset(tmp_path / "g.h5", ROWS, modalities=("rgb",))) as data:
            assert data.column("digest")[2] == pixel_digest(make_pixels(2)[0], None) != pixel_digest(*make_pixels(2))


class TestStatistics:
    def test_they_equal_those_of_the_pixels(self, dataset):
        rows = [1, 4, 5, 11]
        with DatasetFile.open(dataset) as data:
            sums = data.statistics(rows)
            rgb, depth = data.read("rgb", rows).astype(np.float64), data.read("depth", rows).astype(np.float64)
        valid = depth > 0
        np.testing.assert_allclose(sums.rgb.mean, rgb.reshape(-1, 3).mean(axis=0), rtol=1e-14)
        np.testing.assert_allclose(sums.rgb.std, rgb.reshape(-1, 3).std(axis=0), rtol=1e-12)
        np.testing.assert_allclose(sums.rgb_valid.mean, rgb[valid].mean(axis=0), rtol=1e-14)
        np.testing.assert_allclose(sums.rgb_valid.std, rgb[valid].std(axis=0), rtol=1e-12)
        np.testing.assert_allclose(sums.depth.mean, depth[valid].mean(), rtol=1e-14)
        np.testing.assert_allclose(sums.depth.std, depth[valid].std(), rtol=1e-12)
        assert sums.depth.count == valid.sum()

    def test_sums_beyond_64_bits_are_exact(self):
        sums = total_sums(
            {"depth_sum": np.full(3, 2**64 - 1, np.uint64), "depth_sum_of_squares": np.zeros(3, np.uint64),
             "valid_pixels": np.ones(3, np.uint64)}, [0, 1, 2],
        )  # fmt: skip
        assert sums.depth.total == (3 * (2**64 - 1),)

    @pytest.mark.parametrize("size", [260, 1024])
    def test_those_of_a_large_sample_are_exact(self, size):
        rgb, depth = np.full((size, size, 3), 255, np.uint8), np.full((size, size), 65535, np.uint16)
        sums = pixel_statistics(rgb, depth)
        assert int(sums["depth_sum_of_squares"]) == 65535**2 * size * size
        assert sums["rgb_valid_sum_of_squares"].tolist() == [255**2 * size * size] * 3

    def test_a_sample_without_depth_has_no_mean(self, tmp_path):
        writer = DatasetWriter(tmp_path / "g.h5", n=1, size=8)
        writer.append(measure(ROWS[0], np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint16)))
        writer.finish(settings={})
        with DatasetFile.open(tmp_path / "g.h5") as data:
            assert np.isnan(data.statistics([0]).depth.mean).all()


class TestTables:
    def test_landmarks_come_back_as_they_were_written(self, tmp_path):
        written = {"bosphorus-24": make_landmarks(N), "mediapipe-468": make_landmarks(N, names="abc", metric=False)}
        with DatasetFile.open(write_dataset(tmp_path / "g.h5", ROWS, landmarks=written)) as data:
            assert data.landmark_schemes == ("bosphorus-24", "mediapipe-468")
            for scheme, expected in written.items():
                found = data.landmarks(scheme)
                assert found.names == expected.names
                for name in ("points_px", "points_mm", "vertex"):
                    np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
            with pytest.raises(UsageError, match="no landmarks 'bu3dfe-83'; there are: bosphorus-24, mediapipe-468"):
                data.landmarks("bu3dfe-83")

    def test_soft_labels_where_the_file_has_them(self, dataset, tmp_path):
        with DatasetFile.open(dataset) as data:
            assert data.soft_labels.sum(axis=1).tolist() == [1.0] * N
        with DatasetFile.open(write_dataset(tmp_path / "hard.h5", ROWS)) as data:
            assert data.soft_labels is None

    def test_any_list_of_classes(self, tmp_path):
        with DatasetFile.open(write_dataset(tmp_path / "g.h5", ROWS, classes=EIGHT)) as data:
            assert data.classes[7] == "contempt"

    def test_labels_within_a_subset_of_the_classes(self, dataset):
        with DatasetFile.open(dataset) as data:
            dense = data.labels_within(("anger", "sadness"))
        emotions = np.array([EMOTIONS[row["label"]] for row in ROWS])
        assert set(emotions[dense == 1]) == {"sadness"}
        assert set(emotions[dense == -1]) == set(EMOTIONS) - {"anger", "sadness"}

    def test_rows_of_ids_and_an_unknown_one(self, dataset):
        with DatasetFile.open(dataset) as data:
            assert data.rows_of([ROWS[5]["id"], ROWS[2]["id"]]).tolist() == [5, 2]
            with pytest.raises(DatasetFileError, match=r"1 ids are not.*zzz"):
                data.rows_of([ROWS[5]["id"], "zzz"])

    def test_an_unknown_column(self, dataset):
        with DatasetFile.open(dataset) as data, pytest.raises(DatasetFileError, match="no column 'age'; there are: "):
            data.column("age")

    def test_text_beyond_ascii_is_kept(self, tmp_path):
        row = {**ROWS[0], "source_file": "Überraschung/é_漢字.png"}
        with DatasetFile.open(write_dataset(tmp_path / "g.h5", [row])) as data:
            assert data.column("source_file")[0] == row["source_file"]


class TestDigests:
    @pytest.mark.parametrize(
        ("column", "value", "changes_splits"),
        [("subject", "bu3dfe:X", True), ("clip", "smile", True), ("label", 3, True), ("gender", "X", False),
         ("depth_offset_mm", 1.0, False)],
    )  # fmt: skip
    def test_the_digest_covers_every_column_and_the_data_digest_what_splits_depend_on(
        self, tmp_path, column, value, changes_splits
    ):
        changed = [{**ROWS[0], column: value}, *ROWS[1:]]
        with (
            DatasetFile.open(write_dataset(tmp_path / "a.h5", ROWS)) as one,
            DatasetFile.open(write_dataset(tmp_path / "b.h5", changed)) as other,
        ):
            assert one.digest != other.digest
            assert (one.data_digest != other.data_digest) == changes_splits

    def test_verify_finds_nothing_wrong_in_what_was_written(self, dataset):
        with DatasetFile.open(dataset) as data:
            data.verify_tables()

    @pytest.mark.parametrize(
        "place",
        ["samples/gender", "samples/subject", "samples/left_eye", "samples/digest", "statistics/rgb_sum",
         "landmarks/bu3dfe-83/points_mm", "landmarks/bu3dfe-83/vertex", "labels/soft"],
    )  # fmt: skip
    def test_verify_sees_one_flipped_bit_in_a_table(self, dataset, place):
        with h5py.File(dataset, "r") as root:
            offset = root[place].id.get_offset()
        content = bytearray(dataset.read_bytes())
        content[offset] ^= 1
        dataset.write_bytes(content)
        self.refused(dataset)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("depth_unit_mm", 0.02), ("settings", "{}"), ("created_by", "me"), ("classes", list("abcdefg"))],
    )
    def test_verify_sees_a_changed_attribute(self, dataset, name, value):
        with h5py.File(dataset, "r+") as root:
            root.attrs[name] = value
        self.refused(dataset)

    def test_verify_sees_other_names_of_landmarks(self, dataset):
        with h5py.File(dataset, "r+") as root:
            root["landmarks/bu3dfe-83"].attrs["names"] = ["nose", "chin"]
        self.refused(dataset)

    def refused(self, path):
        with DatasetFile.open(path) as data, pytest.raises(DatasetFileError, match="the digest does not fit"):
            data.verify_tables()


def test_an_open_file_can_be_sent_to_another_process(dataset):
    with DatasetFile.open(dataset) as data:
        twin = pickle.loads(pickle.dumps(data))
        np.testing.assert_array_equal(twin.read("rgb", [3]), data.read("rgb", [3]))
        twin.close()


def test_a_file_that_was_replaced_in_the_meantime_is_not_mixed_with_the_new_one(dataset, tmp_path):
    with DatasetFile.open(dataset) as data:
        write_dataset(tmp_path / "new.h5", ROWS[:5]).replace(dataset)
        np.testing.assert_array_equal(data.read("rgb", [9])[0], make_pixels(9)[0])
        with pytest.raises(DatasetFileError, match="the file was replaced while it was in use"):
            data.column("gender")


def test_a_file_that_is_cut_short_while_in_use_is_an_error_and_not_the_end_of_the_process(dataset):
    with DatasetFile.open(dataset) as data:
        dataset.write_bytes(b"not a dataset any more")
        with pytest.raises(DatasetFileError, match="was cut short while it was in use"):
            data.read("rgb", [3])


def test_an_announced_sample_that_never_came_is_an_error(tmp_path):
    writer = DatasetWriter(tmp_path / "g.h5", n=2, size=32)
    writer.append(measure(ROWS[0], *make_pixels(0)))
    with pytest.raises(UsageError, match="2 samples were announced, 1 written"):
        writer.finish(settings={})
    writer.abandon()
    assert not (tmp_path / "g.h5").exists()


class TestRefused:
    def refused(self, path, match, error=DatasetFileError):
        with pytest.raises(error, match=match) as caught:
            DatasetFile.open(path)
        assert str(path) in str(caught.value)
        return str(caught.value)

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

    def test_version_1_with_the_line_that_helps(self, dataset):
        with h5py.File(dataset, "r+") as root:
            root.attrs["format_version"] = 1
        said = self.refused(dataset, "expected format version 2; found version 1")
        assert "fer-prep merge --out global.h5" in said

    def test_a_later_version(self, dataset):
        with h5py.File(dataset, "r+") as root:
            root.attrs["format_version"] = 3
        assert "update fer-rgbd" in self.refused(dataset, "expected format version 2; found version 3")

    @pytest.mark.parametrize("name", ["samples/digest", "samples/clip", "statistics/depth_sum"])
    def test_a_missing_part(self, dataset, name):
        with h5py.File(dataset, "r+") as root:
            del root[name]
        self.refused(dataset, f"/{name}")

    def test_pixels_that_are_missing(self, dataset):
        with h5py.File(dataset, "r+") as root:
            del root["depth"]
        self.refused(dataset, "found rgb, depth; the file has rgb")

    @pytest.mark.parametrize("name", ["depth", "landmarks/bu3dfe-83/points_px", "labels/soft", "samples/nose_tip"])
    def test_a_wrong_shape(self, dataset, name):
        with h5py.File(dataset, "r+") as root:
            del root[name]
            root[name] = np.zeros((N, 8, 8), np.uint16)
        self.refused(dataset, rf"expected /{name} .*found .*8, 8")

    @pytest.mark.parametrize(
        ("name", "value", "match"),
        [
            ("settings", "{", "expected attribute settings: a JSON dict; found {"),
            ("settings", "[" * 100_000, "attribute settings: a JSON dict"),
            ("settings", "[]", "attribute settings: a JSON dict"),
            ("classes", ["anger", "../x"], "expected different plain names in classes; found '../x'"),
            ("classes", ["anger", "anger"], "different plain names in classes"),
            ("classes", [1.5, 2.5], "expected /labels/soft"),
            ("modalities", ["rgb"], "found rgb; the file has rgb, depth"),
            ("depth_unit_mm", -1.0, "depth_unit_mm above 0"),
            ("depth_unit_mm", "much", "damaged"),
            ("shards", '[["../precious.txt", 21, "0123"]]', "expected shards as"),
            ("shards", '[["a-00000-01234567.h5", 21, "76543210"]]', "expected shards as"),
            ("shards", "7", "attribute shards: a JSON list"),
        ],
    )
    def test_attributes_that_say_something_else(self, dataset, name, value, match):
        with h5py.File(dataset, "r+") as root:
            root.attrs[name] = value
        self.refused(dataset, match)

    def test_pixels_that_lie_in_another_file(self, dataset, tmp_path):
        (tmp_path / "other.bin").write_bytes(bytes(N * 32 * 32 * 3))
        with h5py.File(dataset, "r+") as root:
            del root["rgb"]
            root.create_dataset(
                "rgb", (N, 32, 32, 3), "u1", external=[(str(tmp_path / "other.bin"), 0, h5py.h5f.UNLIMITED)]
            )
        self.refused(dataset, "expected /rgb in this file; found a link to other files")

    def test_text_that_is_no_text(self, dataset):
        with h5py.File(dataset, "r") as root:
            offset = root["samples/gender"].id.get_offset()
        content = bytearray(dataset.read_bytes())
        content[offset] = 0xFF
        dataset.write_bytes(content)
        with DatasetFile.open(dataset) as data, pytest.raises(DatasetFileError, match="the file is damaged"):
            data.column("gender")

    def test_still_open_for_writing_elsewhere(self, dataset):
        hold = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"
        command = [sys.executable, "-c", hold, str(dataset)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            holder.stdout.readline()
            try:
                self.refused(dataset, "still open for writing in another program", BusyError)
            finally:
                holder.communicate()

    def test_a_damaged_beginning_is_not_called_busy(self, dataset):
        dataset.write_bytes(dataset.read_bytes()[:8] + b"superblock and lock are words that HDF5 uses for damage" * 9)
        self.refused(dataset, "HDF5 cannot open it")

    @pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
    def test_a_file_system_without_locks_is_read_without_them(self, dataset, monkeypatch, number):
        real = h5py.File

        def without_locks(path, mode, *, locking):
            if locking:
                raise OSError(f"unable to lock file, errno = {number}, error message = '{os.strerror(number)}'")
            return real(path, mode, locking=locking)

        monkeypatch.setattr(h5py, "File", without_locks)
        with DatasetFile.open(dataset) as data:
            assert data.read("rgb", [0]).any()


LIMITED = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[3])))
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FerError
try:
    with DatasetFile.open(Path(sys.argv[1])) as data:
        print(data.read("depth", range(data.n)).any(axis=(1, 2)).sum())
except FerError as error:
    print(error)
"""


class TestManyShards:
    """Memory maps keep a file descriptor each."""

    @pytest.fixture(scope="class")
    def sharded(self, tmp_path_factory):
        from dataset_factories import write_prepared

        from fer_prep.merge.merge_folders import merge

        folder = tmp_path_factory.mktemp("many")
        rows = make_rows({"bu3dfe": 12})
        merge([write_prepared(folder / "in", rows, size=8)], out=folder / "global.h5", size=8, shard_size=1)
        return folder / "global.h5"

    def open_with(self, path, *, soft, hard):
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, str(path), str(soft), str(hard)], capture_output=True, text=True, check=True
        )
        return done.stdout

    def test_the_limit_of_open_files_is_raised_as_far_as_it_goes(self, sharded):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        assert self.open_with(sharded, soft=100, hard=hard).strip() == "84"

    def test_beyond_that_the_dataset_is_refused_with_the_figure_and_what_helps(self, sharded):
        said = self.open_with(sharded, soft=100, hard=100)
        assert "its 84 shards must all be open at once; this process may open 100 files" in said
        assert "--shard-size 5" in said  # 17 files
