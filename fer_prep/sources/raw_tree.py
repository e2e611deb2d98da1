"""Walking a raw dataset's folders: what all sources do alike before they look at names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fer_prep.errors import Reason, UsageError
from fer_prep.sample import Rejection, Sample

_MAX_DEPTH: Final = 8
_ARCHIVES: Final = (".rar", ".zip", ".7z", ".tar", ".tgz", ".gz")
# what operating systems leave behind: no business of the dataset's
_LITTER_FOLDERS: Final = re.compile(r"__MACOSX|\..*|\$RECYCLE\.BIN", re.IGNORECASE)
_LITTER_FILES: Final = re.compile(r"\..*|Thumbs\.db|desktop\.ini", re.IGNORECASE)
_PREPARED_MARKS: Final = {"prepared.json", ".records.jsonl"}
"""Files of a prepared folder: what lies in one is a result and no raw data, even inside a raw tree."""


@dataclass(frozen=True, kw_only=True)
class RawTree:
    """The files below a root, sorted by their path relative to it, and what could not be looked into."""

    root: Path
    files: tuple[str, ...]
    """Relative paths with forward slashes."""
    unreadable: tuple[str, ...] = ()

    def with_suffix(self, *suffixes: str) -> Iterator[str]:
        """The files whose name ends so, whatever the case of the letters."""
        return (path for path in self.files if path.lower().endswith(suffixes))

    def archives(self) -> list[str]:
        """Archives that somebody may have forgotten to unpack."""
        return list(self.with_suffix(*_ARCHIVES))


def walk_tree(root: Path, *, title: str, expected: str) -> RawTree:
    """List a raw tree; raises UsageError where ``root`` is not a folder. Symbolic links are followed, once each.

    Prepared folders inside the tree are passed over.

    ``title`` names the dataset (``BU-3DFE``), ``expected`` describes its tree; both are for the error.
    """
    if not root.is_dir():
        found = "not a folder" if root.exists() else "no such folder"
        raise UsageError(
            f"{found}; a {title} tree was expected",
            path=root,
            hint=f"expected here: {expected}; give its place with --root, or try: fer-prep sample-data --out data/raw",
        )
    files: list[str] = []
    unreadable: list[str] = []
    seen: set[str] = set()
    for folder, subfolders, names in os.walk(
        root, followlinks=True, onerror=lambda error: unreadable.append(f"{error.filename}: {error.strerror}")
    ):
        real = os.path.realpath(folder)
        relative = Path(folder).relative_to(root)
        if real in seen or len(relative.parts) > _MAX_DEPTH:
            subfolders.clear()
            continue
        seen.add(real)
        if _PREPARED_MARKS.intersection(names):
            subfolders.clear()
            continue
        subfolders[:] = sorted(name for name in subfolders if not _LITTER_FOLDERS.fullmatch(name))
        files += [(relative / name).as_posix() for name in names if not _LITTER_FILES.fullmatch(name)]
    return RawTree(root=root, files=tuple(sorted(files)), unreadable=tuple(unreadable))


def name_of(path: str) -> str:
    """The last part of a relative path."""
    return path.rsplit("/", 1)[-1]


def misnamed(path: str, *, expected: str) -> Rejection:
    """The row of a file whose name is not like ``expected``."""
    return Rejection(source_file=path, reason=Reason.BAD_NAME, expected=f"a name like {expected}", found=name_of(path))


def refuse_foreign_tree(tree: RawTree, *, title: str, expected: str) -> None:
    """Raise the two-line error for a root in which not one file belongs to the dataset."""
    archives = tree.archives()
    if archives:
        kind = Path(archives[0]).suffix
        raise UsageError(
            f"found {len(archives)} {kind} archive(s) not yet unpacked ({name_of(archives[0])} …) "
            f"and no {title} files beside them",
            path=tree.root,
            hint=f"unpack every archive in place ({_unpack_hint(kind)}) and run this again; expected: {expected}",
        )
    found = f"{len(tree.files)} other file(s), such as {tree.files[0]}" if tree.files else "an empty folder"
    raise UsageError(f"expected a {title} tree; found {found}", path=tree.root, hint=f"expected here: {expected}")


def _unpack_hint(suffix: str) -> str:
    tools = {".rar": "unrar x FILE", ".zip": "unzip FILE", ".7z": "7z x FILE"}
    return tools.get(suffix.lower(), "tar xf FILE")


def tree_warnings(tree: RawTree) -> list[str]:
    """Warnings that concern any tree: unreadable folders and archives left unpacked."""
    warnings = [f"could not be read: {text}" for text in tree.unreadable]
    if archives := tree.archives():
        shown = ", ".join(name_of(path) for path in archives[:3]) + (" …" if len(archives) > 3 else "")
        warnings.append(f"{len(archives)} archive(s) in the tree are not unpacked: {shown}")
    return warnings


def unmarked_warnings(samples: Iterable[Sample], *, roles: Iterable[str]) -> list[str]:
    """A warning that counts and names the samples without a landmark file (of one of the ``roles``)."""
    unmarked = [sample.source_file for sample in samples if not set(roles) <= set(sample.files)]
    if not unmarked:
        return []
    more = " …" if len(unmarked) > 3 else ""
    return [
        f"{len(unmarked)} recording(s) lack landmark files and are kept, their landmarks looked for in the picture: "
        f"{', '.join(unmarked[:3])}{more} (--incomplete reject leaves them out)"
    ]


def without_duplicates(samples: Iterable[Sample]) -> tuple[list[Sample], list[Rejection]]:
    """Samples by id, and a rejection for every further one of the same id, naming both files; or of no file's name.

    The first in path order stays, folder by folder: the tree's own order, not the file system's, and ``Neutral`` comes
    before its copy ``Neutral (2)``.
    """
    kept: dict[str, Sample] = {}
    duplicates: list[Rejection] = []
    for sample in sorted(samples, key=lambda sample: sample.source_file.split("/")):
        first = kept.get(sample.id)
        if first is not None:
            duplicates.append(_double(first.source_file, sample.source_file, sample_id=sample.id))
        elif "/" in sample.name:
            duplicates.append(replace(misnamed(sample.source_file, expected="a file's"), sample_id=sample.id))
        else:
            kept[sample.id] = sample
    return sorted(kept.values(), key=lambda sample: sample.id), duplicates


def _double(kept: str, path: str, *, sample_id: str) -> Rejection:
    return Rejection(
        source_file=path,
        sample_id=sample_id,
        reason=Reason.DUPLICATE,
        expected="one recording of every name",
        found=f"{kept} (kept) and {path}",
    )


def keep_first(
    files: dict[str, str], role: str, path: str, *, doubles: dict[str, Rejection], sample_id: str, main: bool
) -> None:
    """Give a recording's ``files`` a path for a role that has none yet.

    A path that differs from the one there in the case of its letters alone is of a second recording: it gets one row
    in ``doubles`` (by sample id), which names its ``main`` file where that is double.
    """
    kept = files.setdefault(role, path)
    is_double = path != kept and name_of(path).lower() == name_of(kept).lower()
    if is_double and (main or sample_id not in doubles):
        doubles[sample_id] = _double(kept, path, sample_id=sample_id)
