"""Ways out and in: nothing is lost on the way out, and a folder with a table comes in without any code."""

from __future__ import annotations

import csv
import json
import tarfile

import numpy as np
import pytest
from dataset_factories import make_rows, write_global
from folder_snapshot import snapshot
from typer.testing import CliRunner

from fer_prep.cli.app import app
from fer_prep.dataset.reader import DatasetFile
from fer_prep.emotions import EMOTIONS
from fer_prep.engines.engine import InProcessEngine
from fer_prep.errors import FoldsError, FormatError, Reason, UsageError
from fer_prep.exchange.export import export_folder, export_webdataset
from fer_prep.exchange.import_folder import TableSource
from fer_prep.folds.splits import make_folds, write_folds
from fer_prep.formats.images import read_depth, read_rgb, write_image
from fer_prep.inspection.check_prepared import check_prepared
from fer_prep.merge.merge_folders import merge
from fer_prep.prepare.folder import PreparedFolder
from fer_prep.prepare.prepare_tree import prepare

ROWS = make_rows({"bu3dfe": 6, "mend3s": 5})


@pytest.fixture
def data(tmp_path):
    with DatasetFile.open(write_global(tmp_path / "global.h5", ROWS)) as opened:
        yield opened


def test_a_folder_has_every_pixel_and_column(data, tmp_path):
    assert export_folder(data, tmp_path / "out") == len(ROWS)
    lines = list(csv.DictReader((tmp_path / "out" / "samples.csv").open()))
    assert [line["id"] for line in lines] == data.ids.tolist()
    line = lines[30]
    np.testing.assert_array_equal(read_rgb((tmp_path / "out" / line["rgb"]).read_bytes()), data.read("rgb", [30])[0])
    depth = read_depth((tmp_path / "out" / line["depth"]).read_bytes())
    np.testing.assert_array_equal(depth, data.read("depth", [30])[0])
    assert line["left_eye"] == "20.0 12.0"
    assert {path.name for path in (tmp_path / "out" / "rgb").iterdir()} == set(data.classes)


def test_a_fold_is_exported_side_by_side(data, tmp_path):
    manifest = make_folds(data)
    export_folder(data, tmp_path / "out", manifest=manifest, fold=2)
    found = {path.stem for path in (tmp_path / "out" / "val" / "rgb").rglob("*.png")}
    assert found == {name.replace("/", "_") for name in manifest.folds[2].val}
    with pytest.raises(FoldsError, match="folds 0 to 4"):
        export_folder(data, tmp_path / "other", manifest=manifest, fold=5)


def test_a_folder_with_something_in_it_is_not_written_to(data, tmp_path):
    with pytest.raises(UsageError, match="expected an empty folder"):
        export_folder(data, tmp_path)


def test_webdataset_shards_keep_samples_together_and_repeat(data, tmp_path):
    shards = export_webdataset(data, tmp_path / "a", per_shard=30)
    assert [path.name for path in shards] == ["00000.tar", "00001.tar", "00002.tar"]
    keys = []
    for shard in shards:
        with tarfile.open(shard) as tar:
            names = tar.getnames()
            assert len(names) % 4 == 0
            for place in range(0, len(names), 4):
                key = names[place].split(".", 1)[0]
                assert names[place : place + 4] == [f"{key}.{e}" for e in ("cls", "depth.png", "json", "rgb.png")]
                keys.append(key)
            facts = json.loads(tar.extractfile(names[2]).read())
            row = data.rows_of([facts["id"]])
            assert int(tar.extractfile(names[0]).read()) == data.labels[row][0]
            np.testing.assert_array_equal(read_rgb(tar.extractfile(names[3]).read()), data.read("rgb", row)[0])
    assert sorted(keys) == sorted(name.replace("/", "_") for name in data.ids)
    again = export_webdataset(data, tmp_path / "b", per_shard=30)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in shards]


def test_webdataset_of_a_fold(data, tmp_path):
    manifest = make_folds(data)
    shards = export_webdataset(data, tmp_path / "a", per_shard=50, manifest=manifest)
    assert [path.name for path in shards] == ["train-00000.tar", "train-00001.tar", "val-00000.tar"]
    with tarfile.open(shards[2]) as tar:
        assert len(tar.getnames()) == 4 * len(manifest.folds[0].val)


def test_the_export_command(data, tmp_path):
    write_folds(make_folds(data), tmp_path / "f.json", data=data)
    arguments = ["export", data.path, "--to", "webdataset", "--folds", tmp_path / "f.json", "--out", tmp_path / "o"]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    assert "2 shards" in result.output


class TestImport:
    @pytest.fixture
    def pictures(self, tmp_path):
        """Eight lines of two people, one of them without depth, and four more that are no samples."""
        folder = tmp_path / "lab"
        (folder / "p").mkdir(parents=True)
        rng = np.random.default_rng(5)
        lines = []
        for number in range(8):
            rgb = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            depth = rng.integers(4000, 5000, (40, 48), dtype=np.uint16)
            depth[:5] = 0
            (folder / f"p/{number}.png").write_bytes(write_image(rgb))
            (folder / f"p/{number}_d.png").write_bytes(write_image(depth))
            emotion = ("anger", "neutral")[number % 2]
            lines.append(
                [f"p/{number}.png", "" if number == 3 else f"p/{number}_d.png", emotion, f"s{number // 4}", "F"]
            )
        lines += [
            ["p/none.png", "", "anger", "s0", ""],
            ["p/0.png", "p/0_d.png", "joyful", "s0", ""],
            ["p/1.png", "p/none.png", "anger", "s0", ""],
            ["p/2.png", "", "anger", "", ""],
        ]
        with (folder / "samples.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([["rgb", "depth", "emotion", "subject", "gender"], *lines])
        return folder

    def settings(self):
        from fer_prep.faces.finder_spec import FinderSpec
        from fer_prep.prepare.settings import PrepareSettings

        return PrepareSettings(size=32, framing="none", landmarks=FinderSpec.parse("none"), mesh=False)

    def test_a_table_becomes_a_prepared_folder_and_a_dataset(self, pictures, tmp_path):
        source = TableSource(dataset="lab", depth_unit_mm=0.125, classes="seven")
        summary = prepare(
            source, root=pictures, out=tmp_path / "out", settings=self.settings(), engine=InProcessEngine()
        )
        assert [row["id"] for row in summary.rows] == [f"lab/p_{number}" for number in range(8) if number != 3]
        reasons = [Reason.NO_DEPTH, Reason.NO_DEPTH, Reason.BAD_LABEL, Reason.MISSING_FILE, Reason.BAD_NAME]
        assert [rejection.reason for rejection in summary.rejected] == reasons
        assert not check_prepared(tmp_path / "out", deep=True).failed
        folder = PreparedFolder.open(tmp_path / "out")
        assert folder.rows[0]["subject"] == "lab:s0"
        assert folder.rows[0]["gender"] == "F"
        merge([tmp_path / "out"], out=tmp_path / "lab.h5", size=32)
        with DatasetFile.open(tmp_path / "lab.h5") as data:
            depth = data.read("depth", range(7))
            # 4000…5000 steps of 1/8 mm are 125 mm of relief
            assert 100 < depth[0].max() * data.depth_unit_mm < 126

    def test_an_exported_folder_comes_back_as_it_was(self, data, tmp_path):
        export_folder(data, tmp_path / "out")
        source = TableSource(dataset="again", depth_unit_mm=data.depth_unit_mm)
        prepare(source, root=tmp_path / "out", out=tmp_path / "in", settings=self.settings(), engine=InProcessEngine())
        merge([tmp_path / "in"], out=tmp_path / "again.h5", size=32)
        with DatasetFile.open(tmp_path / "again.h5") as back:
            rows = back.rows_of([f"again/{name.replace('/', '_')}" for name in data.ids])
            assert len(rows) == data.n == back.n
            np.testing.assert_array_equal(back.read("rgb", rows), data.read("rgb", range(data.n)))
            np.testing.assert_array_equal(back.labels[rows], data.labels)
            for column in ("label_source", "intensity", "gender", "action_unit"):
                np.testing.assert_array_equal(back.column(column)[rows], data.column(column))
            before, after = data.read("depth", range(data.n)), back.read("depth", rows)
            np.testing.assert_array_equal(before > 0, after > 0)
            for was, now in zip(before.astype(np.int64), after.astype(np.int64), strict=True):
                steps = (now - was)[was > 0]
                assert np.ptp(steps) <= 1, "the same relief, to a step of 0.01 mm; the reference before it is anew"

    @pytest.mark.parametrize(
        ("header", "match"),
        [
            ("rgb,emotion", "no subject"),
            ("rgb,emotion,subject,mood", "also mood"),
            ("", "no rgb, depth or mesh, emotion, subject"),
        ],
    )
    def test_a_table_with_other_columns_is_refused(self, tmp_path, header, match):
        (tmp_path / "samples.csv").write_text(header + "\n")
        with pytest.raises(FormatError, match=match):
            TableSource(dataset="lab").list_samples(tmp_path)

    def test_no_table_says_what_was_expected(self, tmp_path):
        with pytest.raises(UsageError, match="no such table") as caught:
            TableSource(dataset="lab").list_samples(tmp_path)
        assert "rgb, depth or mesh, emotion, subject" in caught.value.hint

    @pytest.mark.parametrize("name", ["My Lab", "", "../x"])
    def test_a_name_that_cannot_begin_an_id_is_refused(self, name):
        with pytest.raises(UsageError, match="expected a name"):
            TableSource(dataset=name)

    def test_the_command(self, pictures, tmp_path):
        arguments = ["import", pictures, "--dataset", "lab", "--out", tmp_path / "out", "--landmarks", "none",
                     "--framing", "none", "--workers", "0", "--size", "32"]  # fmt: skip
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 1, "a third of the lines was rejected"
        assert len(PreparedFolder.open(tmp_path / "out").rows) == 7

    def prepared(self, pictures, out, table, **options):
        """The folder made of a table of ``pictures``: its header and lines."""
        with (pictures / "samples.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows(table)
        source = TableSource(dataset="lab", depth_unit_mm=0.125, **options)
        summary = prepare(source, root=pictures, out=out, settings=self.settings(), engine=InProcessEngine())
        return PreparedFolder.open(out), summary

    @pytest.mark.parametrize("modality", ["rgb", "depth"])
    def test_a_table_of_one_modality_makes_a_whole_folder_of_it(self, pictures, tmp_path, modality):
        file = {"rgb": "p/{}.png", "depth": "p/{}_d.png"}[modality]
        lines = [[file.format(number), "anger", f"s{number}"] for number in range(3)]
        folder, _ = self.prepared(pictures, tmp_path / "out", [[modality, "emotion", "subject"], *lines])
        assert folder.modalities == (modality,)
        assert len(folder.rows) == 3
        assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == [modality]
        assert np.isnan(folder.rows[0]["depth_offset_mm"]) == (modality == "rgb")
        assert not check_prepared(tmp_path / "out", deep=True).failed

    def test_depth_alone_is_refused_at_once_where_faces_would_be_looked_for(self, pictures, tmp_path):
        (pictures / "samples.csv").write_text("depth,emotion,subject\np/0_d.png,anger,s0\n")
        arguments = ["import", str(pictures), "--dataset", "lab", "--out", str(tmp_path / "out"), "--workers", "0"]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 2
        assert "--landmarks none --framing none keeps it as recorded" in " ".join(result.output.split())
        assert not (tmp_path / "out").exists()
        result = CliRunner().invoke(app, [*arguments, "--landmarks", "none", "--framing", "none", "--size", "32"])
        assert result.exit_code == 0, result.output

    def test_a_folder_that_loses_a_modality_keeps_no_file_of_it(self, pictures, tmp_path):
        both = [["rgb", "depth", "emotion", "subject"], ["p/0.png", "p/0_d.png", "anger", "s0"]]
        self.prepared(pictures, tmp_path / "out", both)
        self.prepared(pictures, tmp_path / "out", [line[:1] + line[2:] for line in both])
        assert not (tmp_path / "out" / "depth").exists()
        self.prepared(pictures, tmp_path / "fresh", [line[:1] + line[2:] for line in both])
        assert snapshot(tmp_path / "out") == snapshot(tmp_path / "fresh")

    @pytest.mark.parametrize(
        ("emotions", "classes"),
        [
            (("anger", "neutral"), EMOTIONS),
            (("anger", "contempt"), (*EMOTIONS, "contempt")),
            (("pain", "neutral", "boredom", "anger"), ("anger", "neutral", "boredom", "pain")),
        ],
    )
    def test_the_labels_of_the_table_give_the_classes(self, pictures, tmp_path, emotions, classes):
        lines = [[f"p/{number}.png", emotion, "s0"] for number, emotion in enumerate(emotions)]
        folder, summary = self.prepared(pictures, tmp_path / "out", [["rgb", "emotion", "subject"], *lines])
        assert folder.classes == classes
        assert [folder.classes[row["label"]] for row in folder.rows] == list(emotions)
        assert any("boredom (1), pain (1)" in text for text in summary.warnings) == ("pain" in emotions)

    def test_classes_that_are_given_hold(self, pictures, tmp_path):
        lines = [["p/0.png", "pain", "s0"], ["p/1.png", "Pain", "s0"]]
        table = [["rgb", "emotion", "subject"], *lines]
        folder, summary = self.prepared(pictures, tmp_path / "out", table, classes="pain,none")
        assert folder.classes == ("pain", "none")
        assert [rejection.reason for rejection in summary.rejected] == [Reason.BAD_LABEL]

    def test_frames_of_clips_and_shares_of_annotators(self, pictures, tmp_path):
        header = ["rgb", "emotion", "subject", "clip", "frame", "soft_anger", "soft_neutral"]
        lines = [
            ["p/0.png", "anger", "s0", "s0_anger", "36", "6", "2"],
            ["p/1.png", "anger", "s0", "", "", "0.5", "0.5"],
            ["p/2.png", "anger", "s0", "s0_anger", "-1", "1", "0"],
            ["p/4.png", "anger", "s0", "s0_anger", "1", "0", ""],
            ["", "", "", "", "", "", ""],
        ]
        folder, summary = self.prepared(pictures, tmp_path / "out", [header, *lines])
        assert [(row["clip"], row["frame"]) for row in folder.rows] == [("lab/s0_anger", 36), ("", 0)]
        np.testing.assert_allclose(folder.soft_labels[:, [0, 4]], [[0.75, 0.25], [0.5, 0.5]])
        np.testing.assert_allclose(folder.soft_labels.sum(axis=1), 1)
        assert [rejection.reason for rejection in summary.rejected] == [Reason.BAD_NAME, Reason.BAD_LABEL]
