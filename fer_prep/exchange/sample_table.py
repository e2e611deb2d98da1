"""The table of a folder to import: whose columns may be called otherwise, and whose labels may be spelt otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from fer_prep.csv_tables import read_table
from fer_prep.emotions import EIGHT
from fer_prep.errors import FormatError, UsageError, did_you_mean
from fer_prep.prepare.folder_tables import SOFT
from fer_prep.sample import MODALITIES
from fer_prep.samples_table import COLUMNS

REQUIRED: Final = ("emotion", "subject")
OPTIONAL: Final = (
    "id", "label_source", "intensity", "action_unit", "gender", "ethnicity", "clip", "frame", "yaw_degrees",
    "pitch_degrees",
)  # fmt: skip
FILES: Final = (*MODALITIES, "mesh")
_FILES_IN_WORDS: Final = "rgb, depth or mesh"
KNOWN: Final = (*FILES, *REQUIRED, *OPTIONAL)
MEASURED: Final = frozenset({"split", *(column.name for column in COLUMNS)}) - {*KNOWN}
"""What the table of an export has besides; it is measured anew or made up of other columns."""
_COLUMNS_IN_WORDS: Final = (
    f"the columns {_FILES_IN_WORDS}, {', '.join(REQUIRED)} and perhaps {', '.join(OPTIONAL)}, {SOFT}<class>"
)
_MEANT: Final = {
    "happy": "happiness", "joy": "happiness", "angry": "anger", "sad": "sadness", "surprised": "surprise",
    "disgusted": "disgust", "fearful": "fear", "afraid": "fear", "scared": "fear",
    **{name: name for name in EIGHT},
}  # fmt: skip
"""What people write for one of the usual classes, whatever the case of the letters."""

Cells = Mapping[str, str]


def parse_pairs(texts: Iterable[str], *, option: str) -> dict[str, str]:
    """``image=rgb`` of each use of an option, the left side in small letters.

    >>> parse_pairs(["Image=rgb", "notes="], option="--column")
    {'image': 'rgb', 'notes': ''}
    """
    pairs: dict[str, str] = {}
    for text in texts:
        left, equals, right = text.partition("=")
        if not equals or not left.strip():
            raise UsageError(f"{option} {text!r}: expected NAME=NAME, such as {option} image=rgb")
        pairs[left.strip().casefold()] = right.strip()
    return pairs


def read_sample_table(
    path: Path, *, columns: Mapping[str, str], labels: Mapping[str, str]
) -> list[tuple[int, dict[str, str]]]:
    """Line numbers and cells under the names of ``KNOWN``; ``columns`` and ``labels`` are what ``parse_pairs`` gives.

    Raises UsageError where there is no table or an option does not fit it, FormatError for a table that is none.
    """
    if not path.is_file():
        raise UsageError("no such table", path=path, hint=f"expected a CSV file with {_COLUMNS_IN_WORDS}")
    table = read_table(path)
    ours = {name: _our_name(name, columns, labels) for name in table.columns}
    for name, meaning in columns.items():
        if name not in [theirs.casefold() for theirs in ours]:
            raise UsageError(f"--column {name}: the table has none; {did_you_mean(name, ours)}", path=path)
        if meaning and meaning not in KNOWN and not meaning.startswith(SOFT):
            raise UsageError(f"--column {name}={meaning}: no column {meaning!r}; {did_you_mean(meaning, KNOWN)}")
    _refuse_other_columns(path, ours)
    lines = [
        (number, {ours[name]: cell for name, cell in cells.items() if ours[name]}) for number, cells in table.lines
    ]
    for _, cells in lines:
        cells["emotion"] = labels.get(cells["emotion"].casefold(), cells["emotion"])
    return lines


def _our_name(name: str, columns: Mapping[str, str], labels: Mapping[str, str]) -> str:
    """What a column of the table is here; empty for one that is left out."""
    plain = name.casefold()
    renamed = columns.get(plain, plain if plain in {*KNOWN, *MEASURED} else name)
    if renamed.casefold().startswith(SOFT):
        label = renamed[len(SOFT) :]
        return SOFT + labels.get(label.casefold(), label)
    return renamed


def _refuse_other_columns(path: Path, ours: Mapping[str, str]) -> None:
    names = [name for name in ours.values() if name]
    missing = [name for name in REQUIRED if name not in names]
    if not set(FILES) & set(names):
        missing.insert(0, _FILES_IN_WORDS)
    unknown = [name for name in names if name not in {*KNOWN, *MEASURED} and not name.startswith(SOFT)]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if not (missing or unknown or doubles):
        return
    found = (
        f"no {', '.join(missing)}" if missing else f"{doubles[0]} twice" if doubles else f"also {', '.join(unknown)}"
    )
    if missing and unknown:
        found += f"; there are {', '.join(unknown)}"
    one = unknown[0] if unknown else "NAME"
    meant = missing[-1] if missing and missing[-1] in REQUIRED else "rgb"
    hint = f"--column {one}={meant} says what a column is, --column {one}= leaves it out"
    raise FormatError(path=path, expected=_COLUMNS_IN_WORDS, found=found, hint=hint)


def refuse_misspelt(labels: Iterable[str], *, path: Path) -> None:
    """Raise UsageError where a label is one of the usual classes in other words: it would be a class of its own."""
    meant = {label: _MEANT[label.casefold()] for label in labels if label not in EIGHT and label.casefold() in _MEANT}
    if meant:
        said = " ".join(f"--label {label}={name}" for label, name in sorted(meant.items()))
        raise UsageError(
            f"labels {', '.join(sorted(meant))}: did you mean {', '.join(sorted(set(meant.values())))}?",
            path=path,
            hint=f"{said} says so; --classes with the names of the table takes them as they are",
        )
