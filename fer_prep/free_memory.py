"""How much memory this process can still take: of the machine, and of its control groups (containers, batch jobs)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

UNLIMITED: Final = 2**62

GROUPS: Final = Path("/sys/fs/cgroup")
OWN_GROUPS: Final = Path("/proc/self/cgroup")

_FILES: Final = {
    # version 2 and version 1: (folder below GROUPS, limit, use, name of the reclaimable part in memory.stat)
    "": ("", "memory.max", "memory.current", "inactive_file"),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def free_memory_bytes() -> int:
    """The least of what the machine has and what any control group around this process leaves."""
    return min(_of_the_machine(), *left_in_groups())


def _of_the_machine() -> int:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    found = re.search(r"MemAvailable:\s+(\d+) kB", text)
    return int(found[1]) * 1024 if found else UNLIMITED


def left_in_groups(*, own: Path = OWN_GROUPS, root: Path = GROUPS) -> Iterator[int]:
    """Bytes left in each memory control group that this process is in, outermost last; one endless value first."""
    yield UNLIMITED
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in _FILES:
                folder, *names = _FILES[controller]
                yield from _left_up_from(root / folder, path, *names)


def _left_up_from(top: Path, path: str, limit: str, use: str, reclaimable: str) -> Iterator[int]:
    place = top / path.lstrip("/")
    for group in (place, *place.parents):
        if not group.is_relative_to(top):
            return
        try:
            allowed = (group / limit).read_text(encoding="ascii").strip()
            used = int((group / use).read_text(encoding="ascii"))
            statistics = (group / "memory.stat").read_text(encoding="ascii")
        except (OSError, ValueError):
            continue  # the outermost group has no limit; in a container the path may be that of the host
        if allowed != "max":
            # the cache of files that were read counts as used, and goes as soon as memory is wanted
            cached = re.search(rf"^{reclaimable} (\d+)$", statistics, re.MULTILINE)
            yield max(0, int(allowed) - used + (int(cached[1]) if cached else 0))
