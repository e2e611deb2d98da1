"""Ways out and in: nothing is lost on the way out, and a folder with a table comes in without any code."""

from __future__ import annotations

import csv
import errno
import json
import os
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from dataset_factories import KINDS, make_rows, write_dataset, write_global, write_kind
from folder_snapshot import snapshot
from typer.testing import CliRunner

from fer_prep import outputs
from fer_prep.cli.app import app
from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.writer import DatasetWriter, measure
from fer_prep.depth_encoding import encode_depth
from fer_prep.emotions import EMOTIONS
from fer_prep.engines.engine import InProcessEngine
from fer_prep.errors import FerError, FoldsError, FormatError, Reason, UsageError
from fer_prep.exchange.export import export_folder, export_webdataset
from fer_prep.exchange.import_folder import TableSource
from fer_prep.folds.splits import make_folds, write_folds
from fer_prep.formats.images import read_depth, read_rgb, write_image
from fer_prep.inspection.check_prepared import check_prepared
from fer_prep.merge.merge_folders import merge
from fer_prep.prepare.folder import PreparedFolder, table_name
from fer_prep.prepare.landmark_tables import read_table
from fer_prep.prepare.prepare_tree import prepare

ROWS = make_rows({"bu3dfe": 6, "mend3s": 5})


@pytest.fixture
def data(tmp_path):
    with DatasetFile.open(write_global(tmp_path / "global.h5", ROWS)) as opened:
        yield opened


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


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


@pytest.mark.parametrize("kind", KINDS)
def test_webdataset_shards_have_all_that_is_stored(tmp_path, kind):
    with DatasetFile.open(write_kind(tmp_path / "d.h5", kind)) as data:
        [shard] = export_webdataset(data, tmp_path / "a")
        with tarfile.open(shard) as tar:
            read = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}
        for row, name in enumerate(data.ids.tolist()):
            key = name.replace("/", "_")
            readers = {"rgb": read_rgb, "depth": read_depth}
            for modality in data.modalities:
                picture = readers[modality](read.pop(f"{key}.{modality}.png"))
                np.testing.assert_array_equal(picture, data.read(modality, [row])[0])
            facts = json.loads(read.pop(f"{key}.json"))
            assert int(read.pop(f"{key}.cls")) == facts["label"]
            assert (facts["clip"], facts["yaw_degrees"]) == (data.column("clip")[row], data.column("yaw_degrees")[row])
            for scheme in data.landmark_schemes:
                points = np.array(facts["landmarks"][scheme]["points_px"], np.float32)
                np.testing.assert_array_equal(points, data.landmarks(scheme).points_px[row])
            if data.soft_labels is not None:
                np.testing.assert_allclose([facts[f"soft_{name}"] for name in data.classes], data.soft_labels[row])
        assert not read


def test_landmarks_are_exported_with_a_folder(tmp_path):
    with DatasetFile.open(write_kind(tmp_path / "d.h5", "landmarks")) as data:
        export_folder(data, tmp_path / "out")
        for scheme in data.landmark_schemes:
            back, stored = (
                read_table(tmp_path / "out" / table_name(scheme), ids=data.ids.tolist()),
                data.landmarks(scheme),
            )
            np.testing.assert_array_equal(back.points_px, stored.points_px)
            assert back.names == stored.names


@pytest.mark.parametrize("to", ["folder", "webdataset"])
def test_an_id_of_any_length_can_be_exported(tmp_path, to):
    name = "lab/" + 45 * "long" + "_" + 4 * "s"
    with DatasetFile.open(write_global(tmp_path / "g.h5", [{**make_rows({"lab": 1})[0], "id": name}])) as data:
        result = run("export", data.path, "--to", to, "--out", tmp_path / "out")
        assert result.exit_code == 0, result.output
    if to == "webdataset":
        with tarfile.open(tmp_path / "out" / "00000.tar") as tar:
            assert {entry.split(".")[0] for entry in tar.getnames()} == {name.replace("/", "_")}


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

    @pytest.mark.parametrize("kind", ["all", *KINDS])
    def test_an_exported_folder_comes_back_as_it_was(self, data, tmp_path, kind):
        if kind != "all":
            data = DatasetFile.open(write_kind(tmp_path / "kind.h5", kind))
        assert run("export", data.path, "--out", tmp_path / "out").exit_code == 0
        imported = run("import", tmp_path / "out", "--dataset", "again", "--out", tmp_path / "in", "--depth-unit",
                       "0.01", "--framing", "none", "--landmarks", "none", "--size", 32, "--workers", 0)  # fmt: skip
        assert imported.exit_code == 0, imported.output
        merge([tmp_path / "in"], out=tmp_path / "again.h5", size=32)
        with DatasetFile.open(tmp_path / "again.h5") as back:
            rows = back.rows_of([f"again/{name.replace('/', '_')}" for name in data.ids])
            assert len(rows) == data.n == back.n
            assert back.modalities == data.modalities
            for modality in data.modalities:
                np.testing.assert_array_equal(back.read(modality, rows), data.read(modality, range(data.n)))
            np.testing.assert_array_equal(back.labels[rows], data.labels)
            for column in (
                "label_source",
                "intensity",
                "gender",
                "action_unit",
                "frame",
                "yaw_degrees",
                "pitch_degrees",
            ):
                np.testing.assert_array_equal(back.column(column)[rows], data.column(column))
            if "depth" in data.modalities:
                np.testing.assert_array_equal(back.column("depth_offset_mm")[rows], data.column("depth_offset_mm"))
            subjects, clips = (data.column(name).tolist() for name in ("subject", "clip"))
            assert back.column("subject")[rows].tolist() == [f"again:{name.replace(':', '-')}" for name in subjects]
            assert back.column("clip")[rows].tolist() == [
                f"again/{name.replace('/', '_')}" if name else "" for name in clips
            ]
            if data.soft_labels is not None:
                np.testing.assert_allclose(back.soft_labels[rows], data.soft_labels)

    def test_faces_that_were_turned_frontally_come_back_as_recordings(self, tmp_path):
        rows = [{**row, "yaw_degrees": 1.0621208, "pitch_degrees": -0.25} for row in make_rows({"lab": 2})]
        data = write_dataset(tmp_path / "g.h5", rows)
        assert run("export", data, "--out", tmp_path / "out").exit_code == 0
        listing = TableSource(dataset="again", depth_unit_mm=0.01).list_samples(tmp_path / "out")
        assert not listing.rejected
        assert [(sample.yaw_degrees, sample.pitch_degrees) for sample in listing.samples] == [(0, 0)] * len(rows)

    def test_one_coloured_mesh_does_not_cost_the_others(self, tmp_path):
        lines = ["mesh,emotion,subject"]
        for number in range(3):
            mesh = trimesh.creation.icosphere(1)
            if number == 1:
                mesh.visual.vertex_colors = [200, 150, 120, 255]
            mesh.export(tmp_path / f"{number}.ply")
            lines.append(f"{number}.ply,anger,s{number}")
        (tmp_path / "samples.csv").write_text("\n".join(lines))
        listing = TableSource(dataset="lab").list_samples(tmp_path)
        assert (len(listing.samples), listing.rejected, listing.modalities) == (3, (), ("depth",))

    def test_depth_of_any_offset_comes_back_to_the_last_step(self, tmp_path):
        """As prepared by the program itself: the nearest value is 1 or 2, the offset any number."""
        rng = np.random.default_rng(3)
        rows = make_rows({"lab": 6})
        writer = DatasetWriter(tmp_path / "g.h5", n=len(rows), size=16)
        for row in rows:
            depth, offset = encode_depth(rng.uniform(-700, -90, (16, 16)).astype(np.float32), np.ones((16, 16), bool))
            writer.append(measure({**row, "depth_offset_mm": offset}, np.zeros((16, 16, 3), np.uint8), depth))
        writer.finish(settings={})
        run("export", tmp_path / "g.h5", "--out", tmp_path / "out")
        source = TableSource(dataset="again", depth_unit_mm=0.01)
        settings = replace(self.settings(), size=16)
        prepare(source, root=tmp_path / "out", out=tmp_path / "in", settings=settings, engine=InProcessEngine())
        merge([tmp_path / "in"], out=tmp_path / "again.h5", size=16)
        with DatasetFile.open(tmp_path / "g.h5") as data, DatasetFile.open(tmp_path / "again.h5") as back:
            np.testing.assert_array_equal(back.read("depth", range(data.n)), data.read("depth", range(data.n)))
            np.testing.assert_array_equal(back.column("depth_offset_mm"), data.column("depth_offset_mm"))

    def test_another_unit_for_an_export_is_refused(self, data, tmp_path):
        export_folder(data, tmp_path / "out")
        with pytest.raises(UsageError, match=r"steps of 0\.01 mm"):
            TableSource(dataset="again").list_samples(tmp_path / "out")

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

    def listing(self, pictures, text, **options):
        """What a table of ``pictures`` lists; ``text`` is the whole table."""
        (pictures / "samples.csv").write_text(text, encoding="utf-8", newline="")
        return TableSource(dataset="lab", depth_unit_mm=0.125, **options).list_samples(pictures)

    @pytest.mark.parametrize("opened", [0, 1, 2])
    def test_a_quotation_mark_that_is_not_closed_swallows_no_line(self, pictures, opened):
        lines = [f"p/{number}.png,anger,s{number},F" for number in range(8)]
        for number in range(opened + 1):
            lines[2 * number] = lines[2 * number].replace(",s", ',"s')
        with pytest.raises(FormatError, match="line 2"):
            self.listing(pictures, "\n".join(["rgb,emotion,subject,gender", *lines]) + "\n")

    def test_a_pair_of_them_that_spans_lines_is_no_cell(self, pictures):
        table = 'rgb,emotion,subject\np/0.png,anger,"s0\np/1.png,anger,s1\np/2.png,anger,s2"\n'
        with pytest.raises(FormatError, match="line 2: a quotation mark that is not closed in its line"):
            self.listing(pictures, table)

    @pytest.mark.parametrize("line", ["p/1.png,anger", "p/1.png,anger,s1,F"])
    def test_a_line_with_other_cells_is_named(self, pictures, line):
        with pytest.raises(FormatError, match=r"line 3: [24] cells for 3 columns"):
            self.listing(pictures, f"rgb,emotion,subject\np/0.png,anger,s0\n{line}\n")

    @pytest.mark.parametrize("blank", ["", ",,", " , ,\t", ",,,,,,"])
    def test_blank_lines_are_passed_over(self, pictures, blank):
        listing = self.listing(pictures, f"rgb,emotion,subject\n{blank}\np/0.png,anger,s0\n{blank}\n{blank}\n")
        assert ([sample.id for sample in listing.samples], listing.rejected) == (["lab/p_0"], ())

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_tables_as_spreadsheets_write_them(self, pictures, delimiter, end):
        lines = [["RGB", "Emotion", " Subject "], ["p\\0.png", "Anger", "s0"], ["p/1.png", "anger", "s1"]]
        text = "\ufeff" + end.join(delimiter.join(line) for line in lines) + end
        listing = self.listing(pictures, text, labels=["anger=anger"])
        assert [(sample.id, sample.emotion) for sample in listing.samples] == [
            ("lab/p_0", "anger"),
            ("lab/p_1", "anger"),
        ]

    def test_columns_and_labels_of_other_names(self, pictures):
        table = "Image,Who,Mood,Notes\np/0.png,s0,Happy,x\np/1.png,s0,sad,y\n"
        with pytest.raises(
            FormatError, match="no rgb, depth or mesh, emotion, subject; there are Image, Who"
        ) as caught:
            self.listing(pictures, table)
        assert "--column Image=subject says what a column is" in caught.value.hint
        columns = ["image=rgb", "who=subject", "mood=emotion", "notes="]
        with pytest.raises(UsageError, match="labels Happy, sad: did you mean happiness, sadness") as caught:
            self.listing(pictures, table, columns=columns)
        assert "--label Happy=happiness --label sad=sadness says so" in caught.value.hint
        listing = self.listing(pictures, table, columns=columns, labels=["happy=happiness", "sad=sadness"])
        assert [sample.emotion for sample in listing.samples] == ["happiness", "sadness"]
        assert listing.classes == EMOTIONS
        kept = self.listing(pictures, table, columns=columns, classes="Happy,sad")
        assert [sample.emotion for sample in kept.samples] == ["Happy", "sad"]

    @pytest.mark.parametrize(
        ("columns", "match"),
        [(["pic=rgb"], "--column pic: the table has none"), (["rgb=picture"], "no column 'picture'"),
         (["rgb"], "expected NAME=NAME"), (["subject=emotion"], "no subject")],
    )  # fmt: skip
    def test_a_slip_in_them_is_said(self, pictures, columns, match):
        with pytest.raises(FerError, match=match):
            self.listing(pictures, "rgb,emotion,subject\np/0.png,anger,s0\n", columns=columns)

    @pytest.mark.parametrize(
        ("column", "legal", "wrong"),
        [("gender", ["F", "m", "Female", "", "X"], ["0", "Frau", "FF"]),
         ("action_unit", ["", "12", "12L", "L12C", "1+4+15", "12LW", "LFAU_12", "UFAU_2"], ["smile", "12;13", "=1+1"]),
         ("ethnicity", ["", "WH", "Hispanic/Latino", "Middle-Eastern"], ["=cmd()", "x" * 41, "\x1b[31m"]),
         ("frame", ["", "0", "4294967295"], ["-1", "1.5", "4294967296", "²"]),
         ("intensity", ["", "0", "4"], ["5", "high"])],
    )  # fmt: skip
    def test_what_a_column_may_hold(self, pictures, column, legal, wrong):
        lines = [f"p/0.png,anger,s0,id{number},{cell}" for number, cell in enumerate([*legal, *wrong])]
        listing = self.listing(pictures, "\n".join([f"rgb,emotion,subject,id,{column}", *lines]) + "\n")
        assert [sample.id for sample in listing.samples] == [f"lab/id{number}" for number in range(len(legal))]
        assert len(listing.rejected) == len(wrong)

    def test_only_files_of_the_folder_are_read_unless_asked_for(self, pictures, tmp_path):
        (tmp_path / "secret.png").write_bytes((pictures / "p/0.png").read_bytes())
        (pictures / "link.png").symlink_to(tmp_path / "secret.png")
        ways = ["../secret.png", str(tmp_path / "secret.png"), "p/../../secret.png", "link.png", "..\\secret.png"]
        text = "rgb,emotion,subject,id\n" + "".join(f"{way},anger,s0,i{n}\n" for n, way in enumerate(ways))
        listing = self.listing(pictures, text)
        assert not listing.samples
        assert {rejection.expected for rejection in listing.rejected} == {"a path inside the folder, or --outside"}
        assert len(self.listing(pictures, text, outside=True).samples) == len(ways)

    def test_a_path_of_another_machine_is_called_so(self, pictures):
        [rejection] = self.listing(pictures, "rgb,emotion,subject\nC:\\lab\\0.png,anger,s0\n").rejected
        assert (rejection.expected, rejection.found) == ("a path of this machine", "C:/lab/0.png")

    def test_names_that_look_alike_are_warned_of(self, pictures):
        people = ["anna", "Anna", "7", "007", "bert"]
        text = "rgb,emotion,subject,id\n" + "".join(f"p/0.png,anger,{who},i{n}\n" for n, who in enumerate(people))
        said = " ".join(self.listing(pictures, text).warnings)
        assert "lab:Anna, lab:anna" in said
        assert "lab:007, lab:7" in said
        assert "bert" not in said

    @pytest.mark.parametrize(("column", "file"), [("rgb", "p/0_d.png"), ("depth", "p/0.png")])
    def test_a_picture_of_the_other_kind_is_refused(self, pictures, tmp_path, column, file):
        _, summary = self.prepared(pictures, tmp_path / "out", [[column, "emotion", "subject"], [file, "anger", "s0"]])
        assert [rejection.reason for rejection in summary.rejected] == [Reason.UNREADABLE]

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


@pytest.mark.parametrize("to", ["folder", "webdataset", "ply"])
def test_an_export_that_was_stopped_is_made_anew_by_the_same_command(data, tmp_path, monkeypatch, to):
    command = ["export", data.path, "--to", to, "--out"]
    assert run(*command, tmp_path / "whole").exit_code == 0

    def full_disk(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    with monkeypatch.context() as patched:
        patched.setattr(outputs, "flush_file_system", full_disk)
        failed = run(*command, tmp_path / "out")
    assert failed.exit_code == 2
    assert "the same command starts anew" in failed.stderr
    assert not list((tmp_path / "out").iterdir())
    killed = tmp_path / "out" / ".unfinished" / "rgb"
    killed.mkdir(parents=True)
    (killed / "half.png").write_bytes(b"half")
    assert run(*command, tmp_path / "out").exit_code == 0
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")
