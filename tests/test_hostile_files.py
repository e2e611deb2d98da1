"""Structured files that are damaged or hostile end in the tool's own words: HDF5, JSON, TOML, tables.

Hypothesis changes what a good file says, node by node or byte by byte. Whatever it makes, the reader answers with a
value or a ``FerError``, in a small part of this process's memory.
"""

from __future__ import annotations

import copy
import json
import resource
import tomllib
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
import tomli_w
from dataset_factories import KINDS, make_rows, write_dataset, write_kind, write_prepared
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from fer_prep.action_units import load_policy
from fer_prep.cli.app import app
from fer_prep.csv_tables import read_table
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FerError
from fer_prep.exchange.import_folder import TableSource
from fer_prep.faces.given_points import read_points
from fer_prep.folds.protocols import read_protocol
from fer_prep.folds.selection import Selection
from fer_prep.folds.splits import make_folds, read_folds, write_folds
from fer_prep.inspection.check_path import check_path
from fer_prep.merge.plan import plan_merge
from fer_prep.prepare.folder_tables import read_rejections, read_samples
from fer_prep.resources import manifests_folder

HOSTILE = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8),
    st.sampled_from(["../x", "/etc/passwd", "\x1b[31m", "=1+1", "nan", 10**30, -1, [], {}, [[]], "a" * 5000]),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MEMORY = 1 << 31


@pytest.fixture(autouse=True, scope="module")
def _little_memory():
    """No reader may ask for gigabytes: the address space ends 2 GiB above what is there."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def answers(function, *arguments, **options):
    """Whether a reader answers with a value or in the tool's own words."""
    with suppress(FerError):
        function(*arguments, **options)


def places_in(value, path=()):
    """The path of every node of nested mappings and lists."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places_in(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value[:4]):
            yield from places_in(inner, (*path, place))


@st.composite
def changed(draw, value):
    """The value with one to three of its nodes replaced or removed."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places_in(value))[1:] or [()]))
        if not path:
            return draw(HOSTILE)
        inner = value
        for step in path[:-1]:
            inner = inner[step]
        if draw(st.booleans()):
            inner[path[-1]] = draw(HOSTILE)
        else:
            del inner[path[-1]]
    return value


@st.composite
def mangled(draw, content: bytes):
    """Bytes with some overwritten, cut out or repeated."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["set", "cut", "repeat", "insert"]))
        if kind == "set" and data:
            data[place] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[place : place + draw(st.integers(1, 40))]
        elif kind == "repeat":
            data[place:place] = data[place : place + 30] * draw(st.integers(1, 20))
        else:
            data[place:place] = draw(
                st.sampled_from([b"[" * 3000, b"{" * 3000, b'"', b"\x00", b"\n", b"\xff", b"=", b","])
            )
    return bytes(data)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    with DatasetFile.open(
        write_dataset(tmp_path_factory.mktemp("d") / "g.h5", make_rows({"lab": 6}), size=8)
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def manifest(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("m") / "g.folds.json"
    write_folds(make_folds(data, folds=2), path, data=data)
    return path.read_text()


@MANY
@given(st.data())
def test_fold_manifests(data, manifest, tmp_path, draw):
    path = tmp_path / "f.json"
    path.write_text(json.dumps(draw.draw(changed(json.loads(manifest)))))
    answers(read_folds, path, data=data)
    path.write_bytes(draw.draw(mangled(manifest.encode())))
    answers(read_folds, path, data=data)


@MANY
@given(st.data())
def test_prepared_folders(tmp_path_factory, draw):
    folder = write_prepared(tmp_path_factory.mktemp("p") / "lab", make_rows({"lab": 1})[:3], size=8)
    summary = json.loads((folder / "prepared.json").read_text())
    for content in (json.dumps(draw.draw(changed(summary))).encode(), draw.draw(mangled(json.dumps(summary).encode()))):
        (folder / "prepared.json").write_bytes(content)
        answers(plan_merge, [folder], size=8, selection=Selection())
        answers(check_path, folder)


@MANY
@given(st.data())
def test_tables(tmp_path_factory, draw):
    folder = write_prepared(tmp_path_factory.mktemp("p") / "lab", make_rows({"lab": 1})[:3], size=8)
    readers = {folder / "samples.csv": read_samples, folder / "rejected.csv": read_rejections}
    points = folder / "points.csv"
    points.write_text("id,left_eye_x,left_eye_y\nlab/a,1,2\nlab/b,3,4\n")
    table = folder / "table.csv"
    table.write_text("rgb,emotion,subject,frame,soft_anger,clip\na.png,anger,s0,1,1,c\nb.png,fear,s1,2,0.5,c\n")
    readers |= {points: read_points, table: read_table}
    for path, reader in readers.items():
        path.write_bytes(draw.draw(mangled(path.read_bytes())))
        answers(reader, path)
    answers(TableSource(dataset="lab", table="table.csv").list_samples, folder)


@MANY
@given(st.data(), st.sampled_from(["protocols/subject-kfold", "policies/thesis-3.8"]))
def test_protocols_and_policies(tmp_path, draw, name):
    content = tomllib.loads((manifests_folder() / f"{name}.toml").read_text())
    reader = read_protocol if name.startswith("protocols") else load_policy
    path = tmp_path / "own.toml"
    value = draw.draw(changed(content))
    try:
        path.write_text(tomli_w.dumps(value))
    except (TypeError, ValueError, AttributeError, UnicodeEncodeError):
        return  # TOML has no such thing
    answers(reader, str(path))
    path.write_bytes(draw.draw(mangled((manifests_folder() / f"{name}.toml").read_bytes())))
    answers(reader, str(path))


@MANY
@given(st.data())
def test_fer_toml(tmp_path, draw):
    good = {
        "workers": 4,
        "size": 224,
        "raw": {"bu3dfe": "/data"},
        "fer-prep": {"merge": {"shard-size": 20, "card": True}},
    }
    value = draw.draw(changed(good))
    try:
        text = tomli_w.dumps(value).encode()
    except (TypeError, ValueError, AttributeError, UnicodeEncodeError):
        return
    for content in (text, draw.draw(mangled(tomli_w.dumps(good).encode()))):
        with pytest.MonkeyPatch.context() as patched:
            patched.chdir(tmp_path)
            (tmp_path / "fer.toml").write_bytes(content)
            result = CliRunner().invoke(app, ["config", "show", "merge"])
        assert result.exit_code in (0, 2), result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), content


@st.composite
def hdf5_change(draw):
    """What to do to an HDF5 file: (kind, place, value)."""
    return draw(st.sampled_from(["attribute", "dataset", "bytes"])), draw(st.integers(0, 10**6)), draw(HOSTILE)


def apply(path, change):
    kind, number, value = change
    if kind == "bytes":
        content = bytearray(path.read_bytes())
        content[number % min(len(content), 30_000)] ^= 1 + number % 255
        path.write_bytes(content)
        return
    with h5py.File(path, "r+") as root:
        items = []
        root.visititems(lambda name, item: items.append(name))
        if kind == "attribute":
            places = [(item, name) for item in ("/", *items) for name in root[item].attrs]
            item, name = places[number % len(places)]
            try:
                root[item].attrs[name] = np.nan if value is None else value
            except (TypeError, ValueError, OverflowError, RuntimeError, OSError):
                root[item].attrs.pop(name, None)
        else:
            name = items[number % len(items)]
            del root[name]
            if number % 3:
                shape = ((), (0,), (3,), (6,), (2**40,), (6, 2**33))[number % 6]
                kind = ("u1", "f8", "i8", h5py.string_dtype(), "S5", np.dtype([("a", "u1")]))[number % 5]
                root.create_dataset(name, shape, kind, chunks=True if shape and max(shape) > 10 else None)


def look_at(path):
    """Everything that commands do with a dataset's metadata."""
    check_path(path)
    with DatasetFile.open(path) as data:
        for name in data.column_names():
            data.column(name)
        _ = data.data_digest, data.soft_labels, data.statistics(range(data.n)), data.labels_within(data.classes)
        for scheme in data.landmark_schemes:
            data.landmarks(scheme)
        data.read(data.modalities[0], [0])
        data.verify_tables()


@pytest.mark.parametrize("kind", [*KINDS])
@settings(MANY, max_examples=30)
@given(change=hdf5_change())
def test_hdf5(tmp_path_factory, kind, change):
    path = write_kind(tmp_path_factory.mktemp("h") / "g.h5", kind)
    apply(path, change)
    answers(look_at, path)
