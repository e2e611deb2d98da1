"""Files on their way to a reader: the error names the file, and no file fills the memory."""

from __future__ import annotations

import pytest

from fer_prep.errors import FormatError
from fer_prep.formats.bnd import read_bnd
from fer_prep.regular_files import MAX_BYTES
from fer_prep.sources.read_file import read_file


def test_the_readers_error_names_the_file(tmp_path):
    path = tmp_path / "a.bnd"
    path.write_text("no landmarks")
    with pytest.raises(FormatError) as caught:
        read_file(path, reader=read_bnd)
    assert caught.value.path == path


def test_a_file_of_gigabytes_is_refused_unread(tmp_path):
    path = tmp_path / "a.bnd"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)  # takes no room on the disk

    def reader(data: bytes) -> bytes:
        raise AssertionError(f"{len(data)} bytes were read")

    with pytest.raises(FormatError, match=f"at most {MAX_BYTES} bytes; found {MAX_BYTES + 1}") as caught:
        read_file(path, reader=reader)
    assert caught.value.path == path
