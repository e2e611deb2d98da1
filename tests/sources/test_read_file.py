"""Files on their way to a reader: the error names the file, and no file fills the memory."""

from __future__ import annotations

import pytest

from fer_prep.errors import FormatError
from fer_prep.formats.bnd import read_bnd
from fer_prep.sources.read_file import MAX_FILE_BYTES, read_file


def test_the_readers_error_names_the_file(tmp_path):
    path = tmp_path / "a.bnd"
    path.write_text("no landmarks")
    with pytest.raises(FormatError) as caught:
        read_file(path, reader=read_bnd)
    assert caught.value.path == path


def test_a_file_of_gigabytes_is_refused_unread(tmp_path):
    path = tmp_path / "a.bnd"
    with path.open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)  # takes no room on the disk

    def reader(data: bytes) -> bytes:
        raise AssertionError(f"{len(data)} bytes were read")

    with pytest.raises(FormatError, match="a file of at most 256 MiB; found 256 MiB") as caught:
        read_file(path, reader=reader)
    assert caught.value.path == path
