"""What the machine and the control groups around a process leave."""

from fer_prep.free_memory import UNLIMITED, free_memory_bytes, left_in_groups


def test_free_memory_is_below_that_of_the_machine():
    import psutil

    assert 0 < free_memory_bytes() <= psutil.virtual_memory().total


def write_group(folder, *, limit, used, cached, version=2):
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {cached}\nfile 9\n")


def test_control_groups_of_both_versions_limit_it(tmp_path):
    own = tmp_path / "own"
    own.write_text("12:memory:/batch\n0::/jobs/job-7\n")
    write_group(tmp_path / "jobs", limit="max", used=500, cached=0)
    write_group(tmp_path / "jobs/job-7", limit=1000, used=900, cached=300)
    write_group(tmp_path / "memory/batch", limit=5000, used=100, cached=0, version=1)
    assert sorted(left_in_groups(own=own, root=tmp_path)) == [400, 4900, UNLIMITED]


def test_without_control_groups_nothing_limits_it(tmp_path):
    own = tmp_path / "own"
    own.write_text("0::/\n")
    assert list(left_in_groups(own=own, root=tmp_path / "absent")) == [UNLIMITED]
    assert list(left_in_groups(own=tmp_path / "no such file", root=tmp_path)) == [UNLIMITED]
