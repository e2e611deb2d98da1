"""Prepared folders become one dataset: whole or not at all, and every bad input has an error of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
from dataset_factories import make_landmarks, make_pixels, make_row, make_rows, write_prepared

from fer_prep.dataset.reader import DatasetFile
from fer_prep.digests import pixel_digest
from fer_prep.emotions import CLASS_SETS, EIGHT, EMOTIONS
from fer_prep.errors import BusyError, DatasetFileError, FoldsError, PreparedFolderError, UsageError
from fer_prep.folds.default import folds_path, write_default_folds
from fer_prep.folds.selection import Selection
from fer_prep.folds.splits import read_folds
from fer_prep.merge.merge_folders import merge
from fer_prep.merge.plan import find_prepared
from fer_prep.prepare.folder import SAMPLES, SUMMARY


@pytest.fixture
def folders(tmp_path):
    """Two prepared folders of different raster sizes."""
    return [
        write_prepared(tmp_path / "in" / "mend3s", make_rows({"mend3s": 6})),
        write_prepared(tmp_path / "in" / "bu3dfe", make_rows({"bu3dfe": 5}, repeats=2), size=48),
    ]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "global.h5"


def test_rows_are_sorted_and_digests_are_those_of_the_stored_pixels(folders, out):
    summary = merge(folders, out=out, size=32)
    with DatasetFile.open(out) as data:
        assert data.n == summary.n == 6 * 7 + 5 * 14
        assert data.ids.tolist() == sorted(data.ids.tolist())
        assert data.digest == summary.digest
        data.verify_tables()
        for row in (0, 40, 70, 111):
            assert data.column("digest")[row] == pixel_digest(data.read("rgb", [row])[0], data.read("depth", [row])[0])
        assert {entry["dataset"] for entry in data.settings["inputs"]} == {"bu3dfe", "mend3s"}
        assert ((data.column("dataset") == "bu3dfe") & (data.labels == 0)).sum() == 10


def test_samples_of_the_right_size_keep_their_pixels(folders, out):
    merge(folders[:1], out=out, size=32)
    row = make_row("mend3s", "F000", "anger")
    with DatasetFile.open(out) as data:
        place = data.rows_of([row["id"]])
        rgb, depth = make_pixels(int(row["digest"][:6], 16))
        np.testing.assert_array_equal(data.read("rgb", place)[0], rgb)
        np.testing.assert_array_equal(data.read("depth", place)[0], depth)


def test_the_order_and_place_of_the_folders_do_not_matter(folders, out, tmp_path):
    merge(folders, out=out, size=32)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "in", elsewhere)
    merge([elsewhere / "bu3dfe", elsewhere / "mend3s"], out=tmp_path / "again.h5", size=32, workers=1)
    assert out.read_bytes() == (tmp_path / "again.h5").read_bytes()


def test_nothing_is_left_beside_the_dataset(folders, out):
    merge(folders, out=out, size=32)
    assert [path.name for path in out.parent.iterdir() if path.is_file()] == [out.name]


def test_coordinates_follow_the_size(folders, out):
    merge(folders[1:], out=out, size=24)  # 48 → 24
    with DatasetFile.open(out) as data:
        np.testing.assert_allclose(data.column("left_eye")[0], [9.75, 5.75])  # in pixel centres
        np.testing.assert_allclose(data.column("mm_per_pixel")[0], 10)
        # the centre of the new first pixel is half an old pixel (2.5 mm) further in, along axes turned by 1.5°
        np.testing.assert_allclose(data.column("origin_mm")[0], [-77.566, 77.435], atol=1e-3)


def test_labels_of_a_class_set_are_dense(folders, out):
    classes = CLASS_SETS["six-without-neutral"]
    summary = merge(folders, out=out, size=32, selection=Selection(classes=classes))
    with DatasetFile.open(out) as data:
        assert data.classes == classes
        emotion = [sample_id.split("_")[1] for sample_id in data.ids]
        assert [classes[label] for label in data.labels] == emotion
        assert data.settings["selection"] == {"classes": list(classes)}
    assert summary.left_out == 6 + 10


def test_find_prepared_takes_every_folder_of_the_workspace(folders, tmp_path):
    assert [path.name for path in find_prepared(tmp_path / "in")] == ["bu3dfe", "mend3s"]
    with pytest.raises(UsageError, match="no prepared folder"):
        find_prepared(tmp_path / "nowhere")


def test_different_framing_is_a_warning(tmp_path, out):
    one = write_prepared(tmp_path / "a", make_rows({"mend3s": 1}))
    two = write_prepared(tmp_path / "b", make_rows({"cald3r": 1}), framing="rotate")
    assert "different framing: cald3r rotate, mend3s eyes" in merge([one, two], out=out, size=32).warnings[0]


@pytest.mark.parametrize("method", ["gzip", "lz4", "zstd"])
def test_compressed_files_hold_the_same_data(folders, out, tmp_path, method):
    if method != "gzip":
        pytest.importorskip("hdf5plugin")
    plain = merge(folders[:1], out=out, size=32)
    packed = merge(folders[:1], out=tmp_path / "packed.h5", size=32, compression=method)
    assert packed.n == plain.n
    with DatasetFile.open(tmp_path / "packed.h5") as data, DatasetFile.open(out) as reference:
        assert data.data_digest == reference.data_digest
        np.testing.assert_array_equal(data.read("rgb", range(data.n)), reference.read("rgb", range(data.n)))


class TestShards:
    def test_an_index_reads_like_one_file(self, folders, out, tmp_path):
        merge(folders, out=out, size=32)
        sharded = tmp_path / "sharded" / "global.h5"
        summary = merge(folders, out=sharded, size=32, shard_size=50)
        assert summary.shards == 3
        with DatasetFile.open(sharded) as data:
            names = data.shard_names
        assert sorted(p.name for p in sharded.parent.iterdir()) == [*names, "global.h5"]
        for number, name in enumerate(names):
            with DatasetFile.open(sharded.with_name(name)) as shard:
                assert name == f"global-{number:05d}-{shard.digest[:8]}.h5"
        assert sharded.stat().st_size < 200_000
        with DatasetFile.open(out) as whole, DatasetFile.open(sharded) as data:
            assert data.data_digest == whole.data_digest
            data.verify_tables()
            rows = [0, 49, 50, 51, 111, 3]
            np.testing.assert_array_equal(data.read("rgb", rows), whole.read("rgb", rows))
            np.testing.assert_array_equal(data.read("depth", range(data.n)), whole.read("depth", range(data.n)))
            assert data.statistics(rows) == whole.statistics(rows)

    def shards(self, out):
        return sorted(out.parent.glob("global-*.h5"))

    def test_other_programs_read_the_index_too(self, folders, out):
        merge(folders, out=out, size=32, shard_size=50)
        with DatasetFile.open(out) as data, h5py.File(out) as root:
            np.testing.assert_array_equal(root["rgb"][48:52], data.read("rgb", range(48, 52)))

    def test_they_can_be_moved_together_and_each_is_a_dataset(self, folders, tmp_path):
        merge(folders, out=tmp_path / "a" / "global.h5", size=32, shard_size=60)
        (tmp_path / "a").rename(tmp_path / "b")
        with DatasetFile.open(tmp_path / "b" / "global.h5") as data:
            assert data.read("depth", [111]).any()
        with DatasetFile.open(self.shards(tmp_path / "b" / "global.h5")[1]) as data:
            assert data.n == 52
            data.verify_tables()

    def test_a_missing_shard_is_an_error_and_not_zeros(self, folders, out):
        merge(folders, out=out, size=32, shard_size=60)
        self.shards(out)[1].unlink()
        with pytest.raises(DatasetFileError, match=r"global-00001-[0-9a-f]{8}\.h5: no such file") as caught:
            DatasetFile.open(out)
        assert "keep the shards beside the index" in str(caught.value)

    def test_a_shard_of_another_merge_is_an_error(self, folders, out, tmp_path):
        merge(folders, out=out, size=32, shard_size=60)
        merge(folders, out=tmp_path / "x" / "global.h5", size=32, shard_size=30)
        shutil.copy(self.shards(tmp_path / "x" / "global.h5")[0], self.shards(out)[0])
        with pytest.raises(DatasetFileError, match="belongs to another dataset"):
            DatasetFile.open(out)

    def test_a_changed_table_in_a_shard_is_seen(self, folders, out):
        merge(folders, out=out, size=32, shard_size=60)
        with h5py.File(self.shards(out)[1], "r+") as root:
            root["samples/label"][0] += 1
        with DatasetFile.open(out) as data, pytest.raises(DatasetFileError, match="the digest does not fit") as caught:
            data.verify_tables()
        assert self.shards(out)[1].name in str(caught.value)

    def test_a_reader_of_the_old_dataset_never_sees_pixels_of_the_new_one(self, folders, out):
        merge(folders, out=out, size=32, shard_size=30)
        with DatasetFile.open(out) as data:
            before = data.read("rgb", range(data.n))
            merge(folders[1:], out=out, size=32, shard_size=30)
            np.testing.assert_array_equal(data.read("rgb", range(data.n)), before)

    def test_a_reader_that_comes_back_to_a_shard_that_is_gone_is_told(self, folders, out):
        merge(folders, out=out, size=32, shard_size=60)
        with DatasetFile.open(out) as data:
            data.close()
            self.shards(out)[0].unlink()
            with pytest.raises(DatasetFileError, match="no such file"):
                data.read("rgb", [0])

    @pytest.mark.parametrize("shard_size", [0, 40])
    def test_merging_again_removes_shards_that_are_no_longer_used(self, folders, out, shard_size):
        merge(folders, out=out, size=32, shard_size=30)
        merge(folders, out=out, size=32, shard_size=shard_size)
        with DatasetFile.open(out) as data:
            assert [path.name for path in self.shards(out)] == list(data.shard_names)
        assert not list(out.parent.glob(".global*"))

    def test_files_that_are_not_its_own_shards_stay(self, folders, out):
        merge(folders, out=out, size=32, shard_size=60)
        mine = [
            out.with_name(name) for name in ("global-00007-0123abcd.h5", "global-notes.h5", "other-00000-0123abcd.h5")
        ]
        for path in mine:
            path.write_bytes(b"precious")
        with h5py.File(out, "r+") as root:
            listed = json.loads(root.attrs["shards"])
            listed[0] = ["other-00000-0123abcd.h5", listed[0][1], "0123abcd" * 4]
            root.attrs["shards"] = json.dumps(listed)
        merge(folders, out=out, size=32)
        assert [path.read_bytes() for path in mine] == [b"precious"] * 3

    @pytest.mark.parametrize("moment", range(6))
    def test_a_merge_killed_while_files_get_their_names_leaves_a_whole_dataset_and_no_waste(
        self, folders, out, tmp_path, moment
    ):
        merge(folders, out=out, size=32, shard_size=60)
        code = KILLED_AT_A_RENAME + "merge([Path(sys.argv[2])], out=Path(sys.argv[1]), size=32, shard_size=30)"
        done = subprocess.run([sys.executable, "-c", code, str(out), str(folders[1]), str(moment)], check=False)
        assert done.returncode in (0, -signal.SIGKILL)
        with DatasetFile.open(out) as data:
            data.verify_tables()
            assert data.n in (112, 70)
            digests = [pixel_digest(data.read("rgb", [row])[0], data.read("depth", [row])[0]) for row in range(data.n)]
            assert digests == data.column("digest").tolist()
        merge(folders, out=out, size=32, shard_size=60)
        with DatasetFile.open(out) as data:
            assert [path.name for path in self.shards(out)] == list(data.shard_names)
        assert not list(out.parent.glob(".global*"))

    def test_the_same_bytes_again(self, folders, tmp_path):
        outs = [tmp_path / name / "global.h5" for name in "ab"]
        for out in outs:
            merge(folders, out=out, size=32, shard_size=60)
        one, other = ({path.name: path.read_bytes() for path in out.parent.iterdir()} for out in outs)
        assert one == other
        assert len(one) == 3


KILLED_AT_A_RENAME = """
import os, signal, sys
from pathlib import Path
from fer_prep.merge.merge_folders import merge
left, rename = int(sys.argv[3]), Path.replace
def replace(self, target):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return rename(self, target)
Path.replace = replace
"""


class TestModalities:
    def folder(self, path, name, modalities):
        return write_prepared(path / name, make_rows({name: 2}), modalities=modalities)

    @pytest.mark.parametrize("stored", ["rgb", "depth"])
    def test_folders_of_one_modality_make_a_dataset_of_it(self, tmp_path, out, stored):
        merge([self.folder(tmp_path, "mine", (stored,))], out=out, size=24)
        with DatasetFile.open(out) as data:
            assert data.modalities == (stored,)
            data.verify_tables()

    def test_different_ones_are_refused_and_a_common_one_can_be_chosen(self, tmp_path, out):
        folders = [self.folder(tmp_path, "mine", ("rgb",)), self.folder(tmp_path, "bu3dfe", ("rgb", "depth"))]
        with pytest.raises(PreparedFolderError, match="mine: expected rgb and depth, as other folders have; found no"):
            merge(folders, out=out, size=32)
        merge(folders, out=out, size=32, modalities=("rgb",))
        with DatasetFile.open(out) as data:
            assert data.modalities == ("rgb",)
            assert data.column("digest")[0] == pixel_digest(data.read("rgb", [0])[0], None)

    def test_folders_with_nothing_in_common(self, tmp_path, out):
        folders = [self.folder(tmp_path, "mine", ("rgb",)), self.folder(tmp_path, "other", ("depth",))]
        with pytest.raises(PreparedFolderError, match="leave it out"):
            merge(folders, out=out, size=32)

    def test_an_unknown_one(self, tmp_path, out):
        with pytest.raises(UsageError, match="--modalities sound: expected rgb, depth"):
            merge([self.folder(tmp_path, "mine", ("rgb",))], out=out, modalities=("sound",))


class TestClasses:
    def test_the_seven_are_the_default(self, tmp_path, out):
        merge([write_prepared(tmp_path / "a", make_rows({"mine": 2}, emotions=EMOTIONS[:3]))], out=out, size=32)
        with DatasetFile.open(out) as data:
            assert data.classes == EMOTIONS

    def test_a_folder_of_other_classes_keeps_its_own(self, tmp_path, out):
        rows = [make_row("mine", "F001", "anger"), make_row("mine", "F002", "disgust")]
        merge([write_prepared(tmp_path / "a", rows, classes=("bored", "awake"))], out=out, size=32)
        with DatasetFile.open(out) as data:
            assert data.classes == ("bored", "awake")

    def test_folders_of_different_lists_are_joined_by_name(self, tmp_path, out):
        eight = ("contempt", "anger")
        rows = [make_row("ck", "F001", "anger"), make_row("ck", "F002", "disgust")]
        folders = [
            write_prepared(tmp_path / "a", rows, classes=eight),
            write_prepared(tmp_path / "b", make_rows({"x": 1})),
        ]
        merge(folders, out=out, size=32)
        with DatasetFile.open(out) as data:
            assert data.classes == EIGHT
            named = dict(zip(data.ids.tolist(), (data.classes[label] for label in data.labels), strict=True))
        assert named["ck/F001_anger_0"] == "contempt"
        assert named["ck/F002_disgust_0"] == "anger"
        assert named["x/F000_fear_0"] == "fear"

    def test_a_named_set_may_have_a_class_without_samples_and_a_slip_is_refused(self, folders, out):
        merge(folders, out=out, size=32, selection=Selection(classes=EIGHT))
        with DatasetFile.open(out) as data:
            assert data.classes == EIGHT
        with pytest.raises(UsageError, match="no class joy; there are: anger"):
            merge(folders, out=out, size=32, selection=Selection(classes=("anger", "joy")))

    def test_soft_labels_are_gathered_and_certain_where_nobody_voted(self, tmp_path, out):
        votes = {"soft_anger": 0.2, "soft_fear": 0.6, "soft_sadness": 0.2}
        rows = [{**row, **votes} for row in make_rows({"mine": 1})]
        folders = [
            write_prepared(tmp_path / "a", rows, soft=EMOTIONS),
            write_prepared(tmp_path / "b", make_rows({"x": 1})),
        ]
        merge(folders, out=out, size=32, selection=Selection(classes=("anger", "fear", "surprise")))
        with DatasetFile.open(out) as data:
            soft = data.soft_labels
            np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)
            mine = data.column("dataset") == "mine"
            np.testing.assert_allclose(soft[mine], [[0.25, 0.75, 0]] * 3, rtol=1e-6)
            np.testing.assert_array_equal(soft[~mine].argmax(axis=1), data.labels[~mine])


class TestLandmarks:
    def test_those_of_all_folders_are_gathered_in_the_order_and_pixels_of_the_output(self, tmp_path, out):
        rows, others = make_rows({"x": 2}), make_rows({"a": 1})
        landmarks = {
            "bu3dfe-83": make_landmarks(len(rows), vertices=True),
            "m": make_landmarks(len(rows), metric=False),
        }
        folders = [
            write_prepared(tmp_path / "1", rows, landmarks=landmarks),
            write_prepared(tmp_path / "2", others, landmarks={"m": make_landmarks(len(others), metric=False)}),
        ]
        merge(folders, out=out, size=64)
        with DatasetFile.open(out) as data:
            assert data.landmark_schemes == ("bu3dfe-83", "m")
            found = data.landmarks("bu3dfe-83").take(data.rows_of([row["id"] for row in rows]))
            expected = landmarks["bu3dfe-83"]
            np.testing.assert_allclose(found.points_px, expected.points_px * 2 + 0.5, rtol=1e-6)
            np.testing.assert_array_equal(found.points_mm, expected.points_mm)
            np.testing.assert_array_equal(found.vertex, expected.vertex)
            absent = data.landmarks("bu3dfe-83").take(data.rows_of([row["id"] for row in others]))
            assert np.isnan(absent.points_px).all()
            assert (absent.vertex == -1).all()

    def test_a_scheme_whose_points_have_other_names_is_refused(self, tmp_path, out):
        folders = [
            write_prepared(tmp_path / name, make_rows({name: 1}), landmarks={"m": make_landmarks(7, names=points)})
            for name, points in (("a", "pq"), ("b", "qp"))
        ]
        with pytest.raises(PreparedFolderError, match="the points of m named as in"):
            merge(folders, out=out, size=32)


class TestRefused:
    def refused(self, folders, out, match, error=PreparedFolderError, **settings):
        before = out.read_bytes() if out.is_file() else None
        with pytest.raises(error, match=match) as caught:
            merge(folders, out=out, size=32, **settings)
        assert (out.read_bytes() if out.is_file() else None) == before
        assert not list(out.parent.glob(".global*")), "no unfinished file is left"
        return str(caught.value)

    def test_a_folder_that_is_none(self, out, tmp_path):
        (tmp_path / "empty").mkdir()
        self.refused([tmp_path / "empty"], out, "expected a prepared folder")

    def test_half_done(self, folders, out):
        (folders[0] / SUMMARY).rename(folders[0] / ".records.jsonl")
        self.refused(folders, out, "half done")

    def test_another_version(self, folders, out):
        self.edit(folders[0], format_version=0)
        self.refused(folders, out, "expected fer-prepared version 2; found fer-prepared version 0")

    def test_another_depth_unit(self, folders, out):
        self.edit(folders[0], depth_unit_mm=0.1)
        self.refused(folders, out, "expected depth in units of 0.01 mm; found 0.1 mm")

    def edit(self, folder, **changes):
        summary = json.loads((folder / SUMMARY).read_text())
        (folder / SUMMARY).write_text(json.dumps({**summary, **changes}))

    @pytest.mark.parametrize("key", ["dataset", "settings", "tables", "digest", "depth_unit_mm", "modalities"])
    def test_a_description_that_lacks_something(self, folders, out, key):
        summary = json.loads((folders[0] / SUMMARY).read_text())
        del summary[key]
        (folders[0] / SUMMARY).write_text(json.dumps(summary))
        self.refused(folders, out, f"prepared.json: expected {key}; found none")

    def test_a_description_without_the_size(self, folders, out):
        self.edit(folders[0], settings={})
        self.refused(folders, out, "prepared.json: expected settings.size; found none")

    def test_a_table_with_another_subject(self, folders, out):
        table = folders[0] / SAMPLES
        table.write_text(table.read_text().replace("mend3s:F000", "mend3s:F777"))
        self.refused(folders, out, "samples.csv is not the table that was prepared")

    def test_a_lost_table(self, folders, out):
        (folders[0] / SAMPLES).unlink()
        self.refused(folders, out, "samples.csv is missing")

    def test_one_folder_twice(self, folders, out):
        again = folders[0].parent / "." / ".." / folders[0].parent.name / folders[0].name
        self.refused([*folders, again], out, "this folder is named more than once", UsageError)

    def test_a_truncated_output_is_not_replaced_in_silence(self, folders, out):
        merge(folders, out=out, size=32)
        out.write_bytes(out.read_bytes()[:5000])
        said = self.refused(folders, out, "is no whole fer-rgbd dataset .the file is truncated", UsageError)
        assert "remove it, choose another --out, or add --force" in said

    def test_an_edited_table(self, folders, out):
        table = folders[0] / SAMPLES
        text = table.read_text()
        line = next(line for line in text.splitlines() if "_anger_" in line)
        table.write_text(text.replace(line, line.replace(",0,", ",1,", 1)))
        self.refused(folders, out, "digest does not fit prepared.json")

    def test_two_folders_with_one_sample(self, folders, out, tmp_path):
        copy = write_prepared(tmp_path / "copy", [make_row("mend3s", "F000", "anger")])
        said = self.refused([*folders, copy], out, "sample mend3s/F000_anger_0 is also in")
        assert str(folders[0]) in said
        assert str(copy) in said

    def some_rgb(self, folder):
        return sorted((folder / "rgb").iterdir())[20]

    def test_a_picture_of_another_size(self, folders, out):
        shutil.copy(self.some_rgb(folders[1]), self.some_rgb(folders[0]))
        self.refused(folders, out, r"expected 32 × 32 pixels as prepared.json says; found 48 × 48")

    def test_other_pixels_than_were_prepared(self, folders, out):
        shutil.copy(sorted((folders[0] / "rgb").iterdir())[3], self.some_rgb(folders[0]))
        said = self.refused(folders, out, "expected the pixels that were prepared")
        assert said.startswith(f"{folders[0]}: sample mend3s/{self.some_rgb(folders[0]).stem}: ")

    def test_a_missing_picture(self, folders, out):
        self.some_rgb(folders[0]).unlink()
        self.refused(folders, out, "found no file")

    def test_a_truncated_picture_and_the_old_dataset_stays(self, folders, out):
        merge(folders, out=out, size=32)
        path = self.some_rgb(folders[1])
        path.write_bytes(path.read_bytes()[:200])
        self.refused(folders, out, "PNG")

    def test_an_output_that_is_something_else(self, folders, out):
        with h5py.File(out, "w") as root:
            root["weights"] = [1.0]
        self.refused(folders, out, "exists and is not a fer-rgbd dataset", UsageError)

    def test_no_sample_selected(self, folders, out):
        self.refused(folders, out, "no samples of bosphorus; there are: bu3dfe, mend3s", UsageError,
                     selection=Selection(datasets=("bosphorus",)))  # fmt: skip

    def test_a_dataset_that_another_program_writes_to(self, folders, out):
        merge(folders, out=out, size=32)
        hold = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"
        command = [sys.executable, "-c", hold, str(out)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            holder.stdout.readline()
            try:
                self.refused(folders, out, "still open for writing", BusyError)
            finally:
                holder.communicate()

    def test_an_unknown_compression(self, folders, out):
        self.refused(folders, out, "expected one of none, lz4, zstd, gzip", UsageError, compression="rar")


def test_a_killed_merge_leaves_the_old_dataset_and_the_next_one_succeeds(tmp_path):
    folder = write_prepared(tmp_path / "in", make_rows({"cald3r": 60}), size=64)
    out = tmp_path / "global.h5"
    merge([folder], out=out, size=64)
    before = out.read_bytes()
    code = "import sys, pathlib; from fer_prep.merge.merge_folders import merge; a, b = map(pathlib.Path, sys.argv[1:])"
    code += "; merge([a], out=b, size=96)"
    child = subprocess.Popen([sys.executable, "-c", code, str(folder), str(out)])
    part = tmp_path / ".global.h5.part"
    while child.poll() is None and not part.exists():
        time.sleep(0.001)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert out.read_bytes() == before or not part.exists()
    merge([folder], out=out, size=64)
    assert out.read_bytes() == before
    assert not part.exists()


@pytest.mark.parametrize("shard_size", [0, 100])
def test_what_a_killed_merge_left_is_removed(folders, out, shard_size):
    left = [out.with_name(name) for name in (".global.h5.part", ".global-00007.h5.part")]
    for path in left:
        path.write_bytes(b"half of it")
    merge(folders, out=out, size=32, shard_size=shard_size)
    assert not [path for path in left if path.exists()]


def test_a_second_merge_into_the_same_file_is_refused_and_harms_nothing(folders, out):
    said = []

    @contextmanager
    def progress(_, *, total):
        with pytest.raises(BusyError, match="another run is writing here") as caught:
            merge(folders, out=out, size=32)
        said.append(str(caught.value))
        yield lambda _: None

    merge(folders, out=out, size=32, progress=progress)
    assert said[0].startswith(f"{out}: another run is writing here (process {os.getpid()} on ")
    with DatasetFile.open(out) as data:
        assert data.read("rgb", [0]).any()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_an_interrupted_merge_leaves_nothing(folders, out, compression):
    @contextmanager
    def interrupting(_, *, total):
        done = []

        def advance(step):
            done.append(step)
            if len(done) == 20:
                raise KeyboardInterrupt

        yield advance

    with pytest.raises(KeyboardInterrupt):
        merge(folders, out=out, size=32, compression=compression, progress=interrupting)
    assert [path for path in out.parent.iterdir() if path.is_file()] == []


SMALL_DISK = """
mount -t tmpfs -o size=$1 tmpfs "$2" && shift 2 || exit 77
"$@"
echo "status $? left $(ls -A "$OUT")"
"""


@pytest.mark.parametrize("size", ["8k", "100k", "560k"], ids=["at once", "pixels", "tables"])
@pytest.mark.parametrize("options", [[], ["--compression", "gzip"], ["--shard-size", "60"]], ids=lambda o: "".join(o))
def test_a_full_disk_is_said_and_nothing_is_left(folders, tmp_path, options, size):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["merge", *folders, "--out", disk / "global.h5", "--size", 32, *options]
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, "sh", size, disk, sys.executable,
         "-m", "fer_prep", *map(str, command)],
        capture_output=True, text=True, env={**os.environ, "OUT": str(disk)},
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {done.stderr}")
    assert done.stdout.endswith("status 2 left \n"), done.stdout + done.stderr
    assert done.stderr.startswith(f"error: {disk / 'global.h5'}: no space left on device\nfree some space"), done.stderr


@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_number_of_threads_does_not_change_a_byte(folders, out, tmp_path, workers, compression):
    merge(folders, out=out, size=32, compression=compression)
    merge(folders, out=tmp_path / "again.h5", size=32, compression=compression, workers=workers)
    assert out.read_bytes() == (tmp_path / "again.h5").read_bytes()


class TestDefaultFolds:
    def test_five_folds_beside_the_dataset(self, folders, out):
        merge(folders, out=out, size=32)
        assert write_default_folds(out).manifest is not None
        with DatasetFile.open(out) as data:
            assert len(read_folds(out.parent / "global.folds.json", data=data).folds) == 5

    def test_too_few_subjects_are_said_with_the_number_that_works(self, folders, out, tmp_path):
        merge([write_prepared(tmp_path / "few", make_rows({"cald3r": 3}))], out=out, size=32)
        made = write_default_folds(out)
        assert made.manifest is None
        assert not folds_path(out).exists()
        assert "5 parts need at least 5 subjects" in made.said
        assert f"3 folds are possible: fer-prep folds {out} --folds 3" in made.said

    def test_a_fitting_manifest_is_kept_and_one_of_other_data_put_aside(self, folders, out):
        merge(folders, out=out, size=32)
        write_default_folds(out)
        first = folds_path(out).read_bytes()
        assert "is kept" in write_default_folds(out).said
        merge(folders, out=out, size=32, selection=Selection(classes=EMOTIONS[:4]))
        assert "global.folds.json.old" in write_default_folds(out).said
        assert (out.parent / "global.folds.json.old").read_bytes() == first
        with DatasetFile.open(out) as data, pytest.raises(FoldsError, match="other data"):
            read_folds(out.parent / "global.folds.json.old", data=data)
