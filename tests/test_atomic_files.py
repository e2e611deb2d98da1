"""Files are whole or absent."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from fer_prep.atomic_files import errors_name, remove_leftovers, replacing, stage_file, write_atomically


def full_disk(descriptor):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_content_replaces_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    write_atomically(path, content="old, and longer\n")
    write_atomically(path, content="neu: ü\n")
    assert path.read_text(encoding="utf-8") == "neu: ü\n"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    write_atomically(path, content=b"old")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(path, content=b"new")
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_leftovers_are_known_by_their_names(tmp_path):
    staged = stage_file(tmp_path / "F0001.png", content=b"half")
    (tmp_path / ".part").write_text("somebody's own")
    (tmp_path / "F0001.png.part").write_text("somebody's own")
    assert remove_leftovers(tmp_path) == 1
    assert not staged.exists()
    assert len(list(tmp_path.iterdir())) == 2


def test_two_stagings_of_one_file_do_not_meet(tmp_path):
    first = stage_file(tmp_path / "a", content=b"1")
    second = stage_file(tmp_path / "a", content=b"2")
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")


def fail_half_way(path):
    with replacing(path) as part:
        part.write_bytes(b"ne")
        raise ValueError("half way")


def test_what_a_library_writes_by_name_replaces_the_old_file_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new folder" / "model.bin"
    with replacing(path) as part:
        part.write_bytes(b"old")
        assert not path.exists()
    with pytest.raises(ValueError, match="half way"):
        fail_half_way(path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in path.parent.iterdir()] == ["model.bin"]


def test_a_full_disk_is_noticed_and_named():
    script = 'mount -t tmpfs -o size=64k tmpfs /mnt || exit 77; exec "$0" -c "$1"'
    write = "from pathlib import Path; from fer_prep.atomic_files import stage_file\n"
    write += "try: stage_file(Path('/mnt/a'), content=bytes(100_000), flush=False)\n"
    write += "except OSError as error: print(error.errno, error.filename, list(Path('/mnt').iterdir()))"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, sys.executable, write], capture_output=True, text=True)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine lets nobody mount a small file system")
    assert done.stdout.split() == [str(errno.ENOSPC), "/mnt/a", "[]"], done.stderr


def test_an_error_without_a_file_is_given_one(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught, errors_name(tmp_path / "page.html"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "page.html")


def test_an_error_that_names_its_file_stays_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, errors_name(tmp_path / "page.html"):
        (tmp_path / "other").read_bytes()
    assert caught.value.filename == str(tmp_path / "other")


def test_nothing_that_lies_there_is_written_to_by_a_temporary_name(tmp_path):
    """A link with a name like that of a temporary file leads nowhere, whatever its end."""
    precious, path = tmp_path / "precious.txt", tmp_path / "model.bin"
    precious.write_text("mine")
    (tmp_path / ".model.bin.part").symlink_to(precious)
    seen = []
    for _ in range(2):
        with replacing(path) as part:
            seen.append(part)
            part.write_bytes(b"new")
    write_atomically(path, content=b"newer")
    assert precious.read_text() == "mine"
    assert seen[0] != seen[1]


def test_two_processes_that_write_one_file_do_not_meet(tmp_path):
    with replacing(tmp_path / "a") as first:
        first.write_bytes(b"1")
        with replacing(tmp_path / "a") as second:
            second.write_bytes(b"2")
        assert first.read_bytes() == b"1"
    assert (tmp_path / "a").read_bytes() == b"1"


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    path = tmp_path / "model.bin"
    code = "import os, signal, sys; from pathlib import Path; from fer_prep.atomic_files import replacing\n"
    code += "with replacing(Path(sys.argv[1])) as part: os.kill(os.getpid(), signal.SIGKILL)"
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode < 0
    assert len(list(tmp_path.iterdir())) == 1
    with replacing(path) as part:
        part.write_bytes(b"whole")
    assert [file.name for file in tmp_path.iterdir()] == ["model.bin"]
