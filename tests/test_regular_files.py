"""What is no regular file, or absurdly large, is refused at once by whoever reads files that others made."""

from __future__ import annotations

import os
import socket

import pytest
from hostile_bytes import no_hang

from fer_prep.action_units import load_policy
from fer_prep.csv_tables import read_table
from fer_prep.digests import file_digest
from fer_prep.errors import FerError, FormatError
from fer_prep.faces.finder_spec import sha256_of
from fer_prep.folds.protocols import read_protocol
from fer_prep.folds.splits import read_folds
from fer_prep.formats.bnd import read_bnd
from fer_prep.formats.bnt import read_bnt
from fer_prep.formats.bosphorus_landmarks import read_lm2, read_lm3
from fer_prep.formats.facs_scores import read_facs_scores
from fer_prep.formats.images import read_depth, read_rgb
from fer_prep.formats.vrml import read_vrml
from fer_prep.regular_files import MAX_BYTES, read_bytes, read_text
from fer_prep.sources.read_file import read_file

FORMATS = (read_bnd, read_bnt, read_lm2, read_lm3, read_facs_scores, read_rgb, read_depth, read_vrml)
READERS = {
    **{reader.__name__: lambda path, reader=reader: read_file(path, reader=reader) for reader in FORMATS},
    "table": read_table,
    "policy": load_policy,
    "protocol": lambda path: read_protocol(str(path)),
    "folds": read_folds,
    "model": sha256_of,
}


def pipe(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def device(path):
    path.symlink_to("/dev/zero")


def listening(path):
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(path.parent)  # names of sockets are short
        listener.bind(path.name)


def sparse_terabyte(path):
    with path.open("wb") as stream:
        stream.truncate(1 << 40)


@pytest.mark.parametrize("make", [pipe, folder, device, listening, sparse_terabyte])
@pytest.mark.parametrize("name", READERS)
def test_no_reader_waits_for_what_is_no_file(tmp_path, monkeypatch, name, make):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ("odd.toml" if name == "protocol" else "odd")
    make(path)
    with no_hang(), pytest.raises(FerError) as caught:
        READERS[name](path)
    assert caught.value.path == path


@pytest.mark.parametrize("make", [pipe, folder, device])
def test_the_digest_of_what_is_no_file_is_refused(tmp_path, make):
    make(tmp_path / "odd")
    with no_hang(), pytest.raises(FormatError, match="expected a file"):
        file_digest(tmp_path / "odd")


def test_the_limit_itself_is_read_and_the_mark_of_windows_is_dropped(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbfone\r\n")
    assert read_text(path) == "one\r\n"
    assert read_bytes(path, most_bytes=8) == path.read_bytes()
    with pytest.raises(FormatError, match="at most 7 bytes; found 8"):
        read_bytes(path, most_bytes=7)
    assert MAX_BYTES > 100 << 20


def test_what_cannot_be_opened_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "absent")
