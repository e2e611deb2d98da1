"""``unallowed_subjects.txt`` of Bosphorus: the people whose pictures may not be published.

Its layout is not publicly documented. Read are numbers of people, with or without ``bs`` before them, in lines or
with commas between; lines without any digit are remarks. Where a line says anything else, nobody may be shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from fer_prep.errors import FormatError
from fer_prep.sources.raw_tree import RawTree, name_of
from fer_prep.sources.read_file import read_file

NAME: Final = "unallowed_subjects.txt"
_PERSON: Final = re.compile(r"(?:bs)?(\d{1,3})", re.IGNORECASE)


def read_unallowed(tree: RawTree) -> tuple[Callable[[str], bool], tuple[str, ...]]:
    """Whether a subject (``bs000``) may be shown, and what there is to say about it."""
    files = [path for path in tree.files if name_of(path).lower() == NAME]
    people: set[int] = set()
    if any(path.name.lower() == NAME and not path.is_file() for path in tree.root.iterdir()):
        return _nobody, (f"{NAME} is no file: nobody is shown in pages and figures",)
    for path in files:
        try:
            lines = read_file(tree.root / path, reader=bytes).decode("utf-8-sig", errors="replace").splitlines()
        except (OSError, FormatError) as error:
            return _nobody, (f"{path} cannot be read ({error}): nobody is shown in pages and figures",)
        for number, line in enumerate(lines, start=1):
            words = [word for word in re.split(r"[\s,;]+", line) if word]
            matches = [_PERSON.fullmatch(word) for word in words]
            if not all(matches) and re.search(r"\d", line):
                said = f"{path}, line {number} is not understood: nobody is shown in pages and figures"
                return _nobody, (said,)
            people |= {int(match[1]) for match in matches if match}
    return lambda subject: int(subject.removeprefix("bs")) not in people, ()


def _nobody(subject: str) -> bool:
    del subject
    return False
