"""Folds: disjoint, complete, balanced, every class everywhere; and everything doubtful is refused."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dataset_factories import FoldTable, make_row, make_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_prep.emotions import EMOTIONS
from fer_prep.errors import FoldsError
from fer_prep.folds.selection import Selection
from fer_prep.folds.splits import (
    Fold,
    make_folds,
    make_inner_split,
    read_folds,
    subjects_on_both_sides,
    validate,
    write_folds,
)

FOUR = FoldTable(make_rows({"bu3dfe": 12, "bosphorus": 11, "cald3r": 10, "mend3s": 9}))


def of(data, name, ids):
    return data.column(name)[np.searchsorted(data.ids, ids)]


def test_the_default_protocol_is_disjoint_complete_and_has_every_class_everywhere():
    manifest = make_folds(FOUR)
    assert (manifest.protocol, manifest.group_by, len(manifest.folds)) == ("subject-kfold", "subject", 5)
    assert sorted(name for fold in manifest.folds for name in fold.val) == FOUR.ids.tolist()
    for fold in manifest.folds:
        assert not set(of(FOUR, "subject", fold.train)) & set(of(FOUR, "subject", fold.val))
        assert set(of(FOUR, "label", fold.val)) == set(range(7))
        assert len(fold.train) + len(fold.val) == len(FOUR.rows)
    assert max(len(f.val) for f in manifest.folds) - min(len(f.val) for f in manifest.folds) <= 7


def test_every_dataset_is_spread_over_the_folds():
    for fold in make_folds(FOUR).folds:
        counts = Counter(of(FOUR, "dataset", fold.val).tolist())
        # 12, 11, 10 and 9 subjects of 7 samples over 5 folds: 2 or 3 (1 or 2) subjects of each
        assert {name: count // 7 for name, count in counts.items()}.keys() == {
            "bu3dfe",
            "bosphorus",
            "cald3r",
            "mend3s",
        }
        assert all(1 <= count // 7 <= 3 for count in counts.values())


def test_the_same_seed_gives_the_same_folds_and_another_one_others():
    assert make_folds(FOUR, seed=3) == make_folds(FOUR, seed=3)
    assert make_folds(FOUR, seed=3).folds != make_folds(FOUR, seed=4).folds


def test_the_order_of_the_rows_does_not_matter():
    shuffled = FoldTable(list(np.random.default_rng(0).permutation(np.array(FOUR.rows, dtype=object))))
    assert make_folds(shuffled).folds == make_folds(FOUR).folds


@st.composite
def tables(draw):
    """Subjects of one or two datasets, each with an arbitrary set of classes and number of samples."""
    classes = EMOTIONS[: draw(st.integers(2, 4))]
    rows = []
    for subject in range(draw(st.integers(2, 12))):
        dataset = draw(st.sampled_from(["bu3dfe", "cald3r"]))
        for emotion in draw(st.lists(st.sampled_from(classes), min_size=1, unique=True)):
            for number in range(draw(st.integers(1, 4))):
                rows.append(make_row(dataset, f"F{subject:03d}", emotion, number))
    return FoldTable(sorted(rows, key=lambda row: row["id"]), classes=tuple(c for c in EMOTIONS if c in classes))


def feasible(data, folds):
    """By brute force over class sets: can every fold have every class? (the splitter's referee)"""
    held = {}
    for subject, label in zip(data.column("subject"), data.column("label"), strict=True):
        held[subject] = held.get(subject, 0) | 1 << int(label)
    goal = (1 << len(data.classes)) - 1
    states = {tuple([0] * folds)}
    for mask in held.values():
        states = {tuple(sorted((*s[:k], s[k] | mask, *s[k + 1 :]))) for s in states for k in range(folds)}
    return any(all(part == goal for part in state) for state in states)


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(2, 4), st.integers(0, 5))
def test_every_class_is_in_every_fold_whenever_that_is_possible(data, folds, seed):
    try:
        manifest = make_folds(data, folds=folds, seed=seed)
    except FoldsError:
        assert not feasible(data, folds)
        return
    assert feasible(data, folds)
    assert sorted(name for fold in manifest.folds for name in fold.val) == data.ids.tolist()
    for fold in manifest.folds:
        assert not set(of(data, "subject", fold.train)) & set(of(data, "subject", fold.val))
        assert len(set(of(data, "label", fold.val))) == len(data.classes)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=10, max_size=40), st.integers(0, 99))
def test_folds_are_balanced_to_within_the_largest_subject(sizes, seed):
    rows = [
        make_row("cald3r", f"M{subject:03d}", emotion, number)
        for subject, size in enumerate(sizes)
        for emotion in ("anger", "neutral")
        for number in range(size)
    ]
    data = FoldTable(sorted(rows, key=lambda row: row["id"]), classes=EMOTIONS)
    data = FoldTable(data.rows)
    manifest = make_folds(data, seed=seed, selection=Selection(classes=("anger", "neutral")))
    counts = [len(fold.val) for fold in manifest.folds]
    assert max(counts) - min(counts) <= 2 * max(sizes)


def test_fewer_subjects_than_folds_is_said():
    with pytest.raises(FoldsError, match="5 parts need at least 5 subjects or groups; found 3"):
        make_folds(FoldTable(make_rows({"bu3dfe": 3})))


def test_a_class_that_too_few_subjects_have_is_named():
    rows = [row for row in FOUR.rows if row["label"] != 2 or row["subject"] in ("bu3dfe:F000", "bu3dfe:M001")]
    with pytest.raises(FoldsError, match=r"too few have: fear \(2\)") as caught:
        make_folds(FoldTable(rows))
    assert "at most 2 folds" in caught.value.hint


class TestProtocols:
    @pytest.mark.parametrize(
        ("protocol", "folds", "group_by"),
        [
            ("subject-kfold", 5, "subject"),
            ("repeated-subject-kfold", 25, "subject"),
            ("leave-one-dataset-out", 4, "dataset"),
            ("subject-60-40", 5, "subject"),
            ("thesis-60-40", 5, "sample"),
            ("thesis-5fold", 5, "sample"),
            ("thesis-80-20", 1, "sample"),
        ],
    )
    def test_number_of_folds_and_grouping(self, protocol, folds, group_by):
        manifest = make_folds(FOUR, protocol=protocol)
        assert (manifest.protocol, len(manifest.folds), manifest.group_by) == (protocol, folds, group_by)

    def test_every_protocol_file_says_who_uses_it(self):
        from fer_prep.folds.protocols import read_protocol
        from fer_prep.resources import manifests_folder

        for path in (manifests_folder() / "protocols").glob("*.toml"):
            protocol = read_protocol(path.stem)
            assert protocol.used_by
            assert bool(protocol.leaks) == (protocol.group_by == "sample")

    def test_leaving_one_dataset_out(self):
        for fold in make_folds(FOUR, protocol="leave-one-dataset-out").folds:
            assert len(set(of(FOUR, "dataset", fold.val))) == 1
            assert len(set(of(FOUR, "dataset", fold.train))) == 3

    def test_the_share_of_a_holdout(self):
        for fold in make_folds(FOUR, protocol="subject-60-40").folds:
            assert len(fold.train) / len(FOUR.rows) == pytest.approx(0.6, abs=0.03)

    def test_more_repeats_leave_the_first_ones_as_they_were(self):
        few = make_folds(FOUR, protocol="repeated-subject-kfold", repeats=2)
        many = make_folds(FOUR, protocol="repeated-subject-kfold", repeats=3)
        assert many.folds[:10] == few.folds
        assert few.folds[:5] != few.folds[5:]

    def test_splits_by_sample_leak_subjects_and_say_how_many(self):
        assert min(subjects_on_both_sides(make_folds(FOUR, protocol="thesis-5fold"), FOUR)) > 30
        assert subjects_on_both_sides(make_folds(FOUR), FOUR) == [0] * 5

    def test_bu3dfe_p1(self):
        data = FoldTable(make_rows({"bu3dfe": 70, "bosphorus": 5}, repeats=4))
        manifest = make_folds(data, protocol="bu3dfe-p1")
        everyone = sorted(manifest.folds[0].train + manifest.folds[0].val)
        assert len(manifest.folds) == 100
        assert len(everyone) == 60 * 6 * 2
        assert set(of(data, "intensity", everyone)) == {3, 4}
        assert manifest.classes == tuple(name for name in EMOTIONS if name != "neutral")
        assert sorted(manifest.folds[10].train + manifest.folds[10].val) == everyone, "the 60 stay the same"
        assert manifest.selection["intensity"] == [3, 4]

    def test_a_protocol_file_of_ones_own(self, tmp_path):
        path = tmp_path / "three.toml"
        path.write_text('title="t"\nscheme="kfold"\ngroup_by="subject"\nfolds=3\nused_by="me"\nleaks=""\n')
        assert len(make_folds(FOUR, protocol=str(path)).folds) == 3

    def test_an_unknown_setting_in_a_protocol_file_is_refused(self, tmp_path):
        path = tmp_path / "three.toml"
        path.write_text('title="t"\nscheme="kfold"\ngroup_by="subject"\nfoldz=3\nused_by="me"\nleaks=""\n')
        with pytest.raises(FoldsError, match="no setting called 'foldz'; nearest: folds"):
            make_folds(FOUR, protocol=str(path))


class TestRecordings:
    """A clip and the views of a recording stay together, whatever the protocol."""

    CLIPS = FoldTable(
        sorted(
            (
                make_row("bu4dfe", f"F{subject:03d}", emotion, frame, clip=f"bu4dfe/{subject}_{emotion}", frame=frame)
                for subject in range(20) for emotion in EMOTIONS for frame in range(6)
            ),
            key=lambda row: row["id"],
        )
    )  # fmt: skip
    VIEWS = FoldTable(
        sorted(
            (
                {**row, "id": row["id"] + view}
                for row in make_rows({"bu3dfe": 30})
                for view in ("", "@y+30p-10", "@y-30p+0")
            ),
            key=lambda row: row["id"],
        )
    )

    @pytest.mark.parametrize("protocol", ["thesis-5fold", "thesis-60-40", "thesis-80-20", "subject-kfold"])
    @pytest.mark.parametrize("data", [CLIPS, VIEWS], ids=["clips", "views"])
    def test_no_split_divides_one(self, protocol, data):
        names = data.column("clip") if data is self.CLIPS else [name.split("@")[0] for name in data.ids]
        recordings = dict(zip(data.ids, names, strict=True))
        for fold in make_folds(data, protocol=protocol).folds:
            assert not {recordings[name] for name in fold.train} & {recordings[name] for name in fold.val}
        inner = make_inner_split(data, data.ids.tolist(), group_by="sample")
        assert not {recordings[name] for name in inner.train} & {recordings[name] for name in inner.val}

    def test_a_manifest_that_divides_one_is_refused(self):
        manifest = make_folds(self.VIEWS, protocol="thesis-5fold")
        first = manifest.folds[0]
        fold = Fold(train=(*first.train, first.val[0]), val=first.val[1:])
        with pytest.raises(FoldsError, match="1 recordings are on both sides"):
            validate(replace(manifest, folds=(fold, *manifest.folds[1:])), self.VIEWS)


class TestPartitions:
    """Whether every sample is validated once is said in the manifest, by whatever protocol it was made."""

    OWN = 'title="t"\nscheme="kfold"\ngroup_by="subject"\nfolds=3\nused_by="me"\nleaks=""\n'

    def test_the_folds_of_a_users_own_protocol_are_checked_too(self, tmp_path):
        (tmp_path / "mine.toml").write_text(self.OWN)
        manifest = make_folds(FOUR, protocol=str(tmp_path / "mine.toml"))
        assert manifest.partitions
        with pytest.raises(FoldsError, match="already validated"):
            validate(replace(manifest, folds=(manifest.folds[0], *manifest.folds)), FOUR)

    @pytest.mark.parametrize(
        ("options", "partitions"),
        [({}, True), ({"repeats": 2}, False), ({"protocol": "subject-60-40"}, False),
         ({"protocol": "leave-one-dataset-out"}, True)],
    )  # fmt: skip
    def test_what_was_asked_for_decides(self, options, partitions, tmp_path):
        manifest = make_folds(FOUR, **options)
        assert manifest.partitions == partitions
        write_folds(manifest, tmp_path / "f.json", data=FOUR)
        assert read_folds(tmp_path / "f.json", data=FOUR) == manifest

    def test_a_manifest_without_the_word_follows_its_protocol(self, tmp_path):
        path = tmp_path / "f.json"
        for protocol, partitions in (("subject-kfold", True), ("subject-60-40", False), ("mine", False)):
            write_folds(replace(make_folds(FOUR), protocol=protocol), path, data=FOUR)
            content = json.loads(path.read_text())
            del content["partitions"]
            path.write_text(json.dumps(content))
            assert read_folds(path).partitions == partitions


class TestInnerSplit:
    def test_it_stays_inside_the_training_set_and_keeps_subjects_together(self):
        outer = make_folds(FOUR).fold(2)
        inner = make_inner_split(FOUR, outer.train, seed=1)
        assert sorted(inner.train + inner.val) == sorted(outer.train)
        assert not set(of(FOUR, "subject", inner.train)) & set(of(FOUR, "subject", inner.val))
        assert set(of(FOUR, "label", inner.val)) == set(range(7))
        assert len(inner.val) / len(outer.train) == pytest.approx(0.15, abs=0.04)

    def test_by_sample(self):
        outer = make_folds(FOUR, protocol="thesis-5fold").fold(0)
        inner = make_inner_split(FOUR, outer.train, group_by="sample", share=0.25)
        assert len(inner.val) / len(outer.train) == pytest.approx(0.25, abs=0.01)


WHOLE = (
    '{"format": "fer-folds", "version": 1, "protocol": "mine", "seed": 0, "group_by": "subject", "partitions": true, '
    '"classes": ["a", "b"], "data_digest": "", "folds": [], "selection": {}}'
)


class TestFiles:
    def test_written_as_the_contract_says_and_read_back(self, tmp_path):
        path = tmp_path / "folds.json"
        manifest = make_folds(FOUR)
        write_folds(manifest, path, data=FOUR)
        content = json.loads(path.read_text())
        assert list(content) == ["format", "version", "protocol", "seed", "group_by", "partitions", "classes",
                                 "data_digest", "folds"]  # fmt: skip
        assert (content["format"], content["version"]) == ("fer-folds", 1)
        assert list(content["folds"][0]) == ["train", "val"]
        assert read_folds(path, data=FOUR) == manifest

    def test_the_same_bytes_again(self, tmp_path):
        for name in "ab":
            write_folds(make_folds(FOUR), tmp_path / name, data=FOUR)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_an_invalid_manifest_is_not_written(self, tmp_path):
        manifest = make_folds(FOUR)
        broken = replace(manifest, folds=(Fold(train=manifest.folds[0].train, val=()),))
        with pytest.raises(FoldsError, match="val is empty"):
            write_folds(broken, tmp_path / "folds.json", data=FOUR)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("content", "match"),
        [
            ("{", "not valid JSON"),
            ("[]", "a JSON list"),
            ('{"format": "other"}', "found 'other'"),
            ('{"format": "fer-folds", "version": 2}', "expected version 1; found version 2"),
            ('{"format": "fer-folds", "version": 1}', "expected protocol; found none"),
            (WHOLE.replace("true", '"yes"'), "partitions = 'yes': expected true or false"),
            (WHOLE.replace('["a"', "[1"), "classes.0 = 1: expected text"),
            (WHOLE.replace("{}", "[]"), "selection = .*: expected a table"),
        ],
    )
    def test_a_malformed_file_is_refused_and_named(self, tmp_path, content, match):
        path = tmp_path / "folds.json"
        path.write_text(content)
        with pytest.raises(FoldsError, match=match) as caught:
            read_folds(path)
        assert str(path) in str(caught.value)

    def test_an_absent_file(self):
        with pytest.raises(FoldsError, match="no such file"):
            read_folds(Path("nowhere.json"))


class TestRefused:
    manifest = make_folds(FOUR)

    def refused(self, match, *, train=None, val=None, **changes):
        first = self.manifest.folds[0]
        fold = Fold(train=first.train if train is None else train, val=first.val if val is None else val)
        with pytest.raises(FoldsError, match=match):
            validate(replace(self.manifest, folds=(fold, *self.manifest.folds[1:]), **changes), FOUR)

    def test_other_data(self):
        self.refused("made for other data", data_digest="0" * 32)

    def test_an_unknown_id(self):
        self.refused("not in the data, e.g. 'bu3dfe/X'", val=("bu3dfe/X",))

    def test_an_empty_side(self):
        self.refused("fold 0: train is empty", train=())

    def test_a_sample_on_both_sides(self):
        fold = self.manifest.folds[0]
        self.refused("1 samples are on both sides", train=(*fold.train, fold.val[0]))

    def test_a_sample_twice(self):
        fold = self.manifest.folds[0]
        self.refused("more than once", train=(*fold.train, fold.train[0]))

    def test_a_subject_on_both_sides(self):
        fold = self.manifest.folds[0]
        self.refused("subjects are on both sides", train=(*fold.train, fold.val[0]), val=fold.val[1:])

    def test_a_class_missing_from_validation(self):
        fold = self.manifest.folds[0]
        self.refused("no sample of fear in val", val=tuple(name for name in fold.val if "fear" not in name))

    def test_classes_in_another_order(self):
        self.refused("in this order", classes=tuple(reversed(EMOTIONS)))

    def test_samples_of_a_class_that_is_left_out(self):
        self.refused("samples of surprise", classes=EMOTIONS[:-1])

    def test_an_unknown_grouping(self):
        self.refused("group_by", group_by="person")

    @pytest.mark.parametrize("group_by", ["sample", "dataset"])
    def test_a_known_protocol_that_keeps_something_else_apart(self, group_by):
        self.refused("expected group_by 'subject', as protocol subject-kfold has it", group_by=group_by)

    def test_a_sample_validated_twice(self):
        folds = (self.manifest.folds[0], self.manifest.folds[0])
        with pytest.raises(FoldsError, match="already validated"):
            validate(replace(self.manifest, folds=folds), FOUR)

    def test_a_sample_never_validated(self):
        with pytest.raises(FoldsError, match="in no validation fold"):
            validate(replace(self.manifest, folds=self.manifest.folds[:4]), FOUR)

    @pytest.mark.parametrize("number", [-1, 5])
    def test_a_fold_beyond_the_file(self, number):
        with pytest.raises(FoldsError, match="has folds 0 to 4"):
            self.manifest.fold(number)
