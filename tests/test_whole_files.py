"""Files in one go: all of their bytes, and errors that name them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from fer_prep.whole_files import errors_name, read_blocks, read_whole, write_new


@pytest.mark.parametrize("size", [0, 1, 1 << 18, (1 << 18) + 1, 1_000_000])
def test_all_bytes_come_back(tmp_path, size):
    path, data = tmp_path / "a", os.urandom(size)
    write_new(path, data, flush=size % 2 == 0)
    assert path.read_bytes() == read_whole(path) == b"".join(read_blocks(path)) == data


def test_blocks_are_small_whatever_the_size_of_the_file(tmp_path):
    path = tmp_path / "a"
    with path.open("wb") as stream:
        stream.truncate(10 << 20)
    assert {len(block) for block in read_blocks(path)} == {1 << 18}


def test_a_pipe_that_hands_out_little_at_a_time_is_read_to_its_end(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = "import sys\nwith open(sys.argv[1], 'wb', buffering=0) as pipe:\n for _ in range(50): pipe.write(b'word ')"
    with subprocess.Popen([sys.executable, "-c", writer, str(path)]):
        assert read_whole(path) == b"word " * 50


@pytest.mark.parametrize("read", [read_whole, lambda path: list(read_blocks(path))])
def test_what_cannot_be_read_is_named(tmp_path, read):
    for path, error in ((tmp_path / "none", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(error) as caught:
            read(path)
        assert str(caught.value.filename) == str(path)


def test_what_is_there_is_not_overwritten(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError) as caught:
        write_new(path, b"new", flush=False)
    assert str(caught.value.filename) == str(path)
    assert path.read_bytes() == b"old"


def test_a_full_disk_is_noticed_and_named():
    script = 'mount -t tmpfs -o size=64k tmpfs /mnt || exit 77; exec "$0" -c "$1"'
    write = "from pathlib import Path; from fer_prep.whole_files import write_new\n"
    write += "try: write_new(Path('/mnt/a'), bytes(100_000), flush=False)\n"
    write += "except OSError as error: print(error.errno, error.filename, Path('/mnt/a').stat().st_size)"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, sys.executable, write], capture_output=True, text=True)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine lets nobody mount a small file system")
    assert done.stdout.split() == [str(errno.ENOSPC), "/mnt/a", "65536"], done.stderr


def test_an_error_without_a_file_is_given_one(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught, errors_name(tmp_path / "page.html"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "page.html")


def test_an_error_that_names_its_file_stays_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, errors_name(tmp_path / "page.html"):
        (tmp_path / "other").read_bytes()
    assert caught.value.filename == str(tmp_path / "other")
