"""A folder of pictures with a CSV table as a raw dataset, so that a fifth dataset needs no code.

The table has one line a sample. Columns: ``rgb`` (path relative to the folder), ``emotion``, ``subject``; optional:
``depth`` (16-bit PNG on the same raster, distance from the camera, 0 = no data; leave the cell empty for RGB only),
``id``, ``label_source``, ``intensity``, ``action_unit``, ``gender``, ``ethnicity``. An exported folder is one too
(``--depth-unit 0.01 --framing none`` keeps its pixels). From here on such a dataset goes
the way of all others: landmarks, framing, rejected table, resuming.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from fer_prep.emotions import EMOTIONS, LABEL_SOURCES
from fer_prep.errors import Reason, SampleError, UsageError
from fer_prep.faces.picture_scene import PictureScene
from fer_prep.formats.images import read_depth, read_rgb
from fer_prep.sample import Listing, Rejection, Sample, Scene
from fer_prep.samples_table import COLUMNS
from fer_prep.sources.options import TableOptions
from fer_prep.sources.raw_tree import rejected, without_duplicates
from fer_prep.sources.read_file import read_file

REQUIRED: Final = ("rgb", "emotion", "subject")
OPTIONAL: Final = ("depth", "id", "label_source", "intensity", "action_unit", "gender", "ethnicity")
MEASURED: Final = frozenset({"split", *(column.name for column in COLUMNS)}) - {*REQUIRED, *OPTIONAL}
"""What the table of an export has besides; it is measured anew or made up of other columns."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_DATASET: Final = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, kw_only=True)
class TableSource(TableOptions):
    """A source that reads what a CSV table lists."""

    def __post_init__(self) -> None:
        if not _DATASET.fullmatch(self.dataset):
            raise UsageError(f"--dataset {self.dataset!r}: expected a name of lower-case letters, digits and hyphens")
        if not 0 < self.depth_unit_mm < 100:
            raise UsageError(f"--depth-unit {self.depth_unit_mm}: expected between 0 and 100 mm")
        if self.label_source not in LABEL_SOURCES:
            raise UsageError(f"--label-source {self.label_source!r}: expected one of {', '.join(LABEL_SOURCES)}")

    def settings(self) -> Mapping[str, Any]:
        """All options."""
        return asdict(self)

    def load_settings(self) -> Mapping[str, Any]:
        """The option that changes depth."""
        return {"depth_unit_mm": self.depth_unit_mm}

    def list_samples(self, root: Path) -> Listing:
        """Read the table; a line that cannot be a sample is rejected with its reason."""
        samples: list[Sample] = []
        rejections: list[Rejection] = []
        for number, cells in self._lines(root):
            outcome = self._sample(root, number, cells)
            (samples if isinstance(outcome, Sample) else rejections).append(outcome)  # type: ignore[arg-type]
        kept, doubles = without_duplicates(samples)
        return Listing(samples=tuple(kept), rejected=(*rejections, *doubles))

    def _lines(self, root: Path) -> Iterator[tuple[int, dict[str, str]]]:
        path = root / self.table
        if not path.is_file():
            raise UsageError(
                "no such table",
                path=path,
                hint=f"expected a CSV file with the columns {', '.join(REQUIRED)} and perhaps {', '.join(OPTIONAL)}",
            )
        try:
            with path.open(newline="", encoding="utf-8-sig") as stream:
                reader = csv.DictReader(stream)
                columns = set(reader.fieldnames or ())
                missing, unknown = set(REQUIRED) - columns, columns - {*REQUIRED, *OPTIONAL} - MEASURED
                if missing or unknown:
                    found = f"no {', '.join(sorted(missing))}" if missing else f"also {', '.join(sorted(unknown))}"
                    raise UsageError(
                        path=path, expected=f"the columns {', '.join((*REQUIRED, *OPTIONAL))}", found=found
                    )
                for cells in reader:
                    yield reader.line_num, {name: (value or "").strip() for name, value in cells.items() if name}
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError(path=path, expected="a CSV table in UTF-8", found=str(error)) from None

    def _sample(self, root: Path, number: int, cells: Mapping[str, str]) -> Sample | Rejection:
        """The sample of one line, or what is wrong with it."""
        # an exported id or subject begins with the dataset it came from
        name = (cells.get("id") or Path(cells["rgb"]).with_suffix("").as_posix()).replace("/", "_")
        subject = cells["subject"].replace(":", "-")
        where = cells["rgb"] or f"{self.table}, line {number}"
        label_source = cells.get("label_source") or self.label_source
        intensity = cells.get("intensity") or "0"
        problems = [
            (not _NAME.fullmatch(name), Reason.BAD_NAME, "an id of letters, digits and . _ + -", repr(name)),
            (
                not _NAME.fullmatch(subject),
                Reason.BAD_NAME,
                "a subject of letters, digits and . _ + -",
                repr(cells["subject"]),
            ),
            (
                cells["emotion"] not in EMOTIONS,
                Reason.BAD_LABEL,
                f"one of {', '.join(EMOTIONS)}",
                repr(cells["emotion"]),
            ),
            (
                label_source not in LABEL_SOURCES,
                Reason.BAD_LABEL,
                f"one of {', '.join(LABEL_SOURCES)}",
                repr(label_source),
            ),
            (
                intensity not in "01234" or len(intensity) != 1,
                Reason.BAD_LABEL,
                "an intensity of 0 to 4",
                repr(intensity),
            ),
            (not (root / cells["rgb"]).is_file(), Reason.MISSING_FILE, "a picture", "no such file"),
            (
                bool(cells.get("depth")) and not (root / cells["depth"]).is_file(),
                Reason.MISSING_FILE,
                f"{cells.get('depth')}",
                "no such file",
            ),
        ]
        for wrong, reason, expected, found in problems:
            if wrong:
                sample_id = f"{self.dataset}/{name}"
                return rejected(where, sample_id=sample_id, reason=reason, expected=expected, found=found)
        return Sample(
            id=f"{self.dataset}/{name}",
            dataset=self.dataset,
            subject=f"{self.dataset}:{subject}",
            emotion=cells["emotion"],
            label_source=label_source,
            source_file=cells["rgb"],
            files={role: root / cells[role] for role in ("rgb", "depth") if cells.get(role)},
            action_unit=cells.get("action_unit", ""),
            gender=cells.get("gender", ""),
            ethnicity=cells.get("ethnicity", ""),
            intensity=int(intensity),
        )

    def load(self, sample: Sample) -> Scene:
        """Read the picture and, where there is one, its depth map of the same raster."""
        rgb = read_file(sample.files["rgb"], reader=read_rgb)
        depth_file = sample.files.get("depth")
        if depth_file is None:
            nothing = np.zeros(rgb.shape[:2], bool)
            return PictureScene(rgb=rgb, z_mm=np.zeros(rgb.shape[:2], np.float32), valid=nothing)
        depth = read_file(depth_file, reader=read_depth)
        if depth.shape != rgb.shape[:2]:
            raise SampleError(
                stage="read",
                reason=Reason.MISMATCH,
                path=depth_file,
                expected=f"the raster of the picture, {rgb.shape[1]} × {rgb.shape[0]}",
                found=f"{depth.shape[1]} × {depth.shape[0]}",
            )
        if not depth.any():
            raise SampleError(
                stage="read",
                reason=Reason.NO_DEPTH,
                path=depth_file,
                expected="depth values",
                found="no data in any pixel",
            )
        return PictureScene(rgb=rgb, z_mm=depth * np.float32(-self.depth_unit_mm), valid=depth > 0)
