"""A folder of pictures or meshes with a CSV table as a raw dataset, so that a fifth dataset needs no code.

The table has one line a sample. Columns: ``emotion``, ``subject``, and ``rgb`` (a picture's path, relative to the
folder) or ``depth`` (a 16-bit PNG, distance from the camera, 0 = no data) or both, then on one raster; or ``mesh``
(OBJ, PLY, STL, GLB, or points: PLY, PCD, XYZ), in whatever unit and axes (``sources.face_frame``). Optional:
``id``, ``label_source``, ``intensity``, ``action_unit``, ``gender``, ``ethnicity``; ``clip`` and ``frame`` for frames
of sequences; ``yaw_degrees`` and ``pitch_degrees`` for turned views (pictures are turned already, meshes are turned);
``soft_<class>`` for the shares or votes of annotators. An exported folder is one too (``--depth-unit 0.01 --framing
none`` keeps its pixels).

What no line of the table has is not there: a table without depth, or of meshes without colour, makes a folder of one
modality. Where some lines lack what others have, those are rejected. From here on such a dataset goes the way of all
others: landmarks, framing, rejected table, resuming.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from fer_prep.depth_encoding import UNIT_MM
from fer_prep.emotions import CLASS_SETS, EIGHT, EMOTIONS, LABEL_SOURCES
from fer_prep.errors import Reason, UsageError
from fer_prep.exchange.sample_table import FILES, Cells, parse_pairs, read_sample_table, refuse_misspelt
from fer_prep.formats.surface_file import has_colour
from fer_prep.look_alikes import look_alikes
from fer_prep.prepare.folder_tables import SOFT
from fer_prep.sample import MODALITIES, Listing, Rejection, Sample, Scene, view_suffix
from fer_prep.sources.any_mesh import load_mesh
from fer_prep.sources.options import TableOptions
from fer_prep.sources.raw_tree import without_duplicates
from fer_prep.sources.recorded_pair import read_pair

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,159}")
_NAME_IN_WORDS: Final = "letters, digits and . _ + -, at most 160"
_GENDERS: Final = {"": "", "f": "F", "female": "F", "woman": "F", "m": "M", "male": "M", "man": "M", "x": "X"}
_UNIT: Final = r"([UL]FAU_)?[LR]?\d{1,2}[LR]?[A-EW]{0,2}"  # 12, L12B, 12LW; LFAU_12 as Bosphorus names its scans
_ANGLE: Final = re.compile(r"[+-]?(180|1[0-7]\d|\d{1,2})(\.0*)?", re.ASCII)
"""Of a view. Other degrees say how ``--framing frontal`` had turned an exported face: that is no view."""
_DEGREES: Final = re.compile(rf"{_ANGLE.pattern}|[+-]?(1[0-7]\d|\d{{1,2}})\.\d+(e-\d+)?", re.ASCII)
_WINDOWS: Final = re.compile(r"[A-Za-z]:")
_LAST_FRAME: Final = 2**32 - 1
_DATASET: Final = re.compile(r"[a-z0-9][a-z0-9-]*")


class _Check(NamedTuple):
    """What a cell that is not empty must be."""

    column: str
    fits: Callable[[str], object]
    reason: Reason
    expected: str


def _matches(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern, re.ASCII).fullmatch


def _is_frame(cell: str) -> bool:
    return re.fullmatch("[0-9]{1,10}", cell) is not None and int(cell) <= _LAST_FRAME


def _is_gender(cell: str) -> bool:
    return cell.casefold() in _GENDERS


_CHECKS: Final = (
    _Check("frame", _is_frame, Reason.BAD_NAME, f"a frame number from 0 to {_LAST_FRAME}"),
    _Check("yaw_degrees", _DEGREES.fullmatch, Reason.BAD_NAME, "degrees from -180 to 180"),
    _Check("pitch_degrees", _DEGREES.fullmatch, Reason.BAD_NAME, "degrees from -180 to 180"),
    _Check("label_source", LABEL_SOURCES.__contains__, Reason.BAD_LABEL, f"one of {', '.join(LABEL_SOURCES)}"),
    _Check("intensity", _matches("[0-4]"), Reason.BAD_LABEL, "an intensity of 0 to 4"),
    _Check("gender", _is_gender, Reason.BAD_LABEL, "a gender F, M, X or nothing"),
    _Check(
        "action_unit",
        _matches(rf"{_UNIT}(\+{_UNIT})*"),
        Reason.BAD_LABEL,
        "action units such as 12, 12L or 1+4+15, or nothing",
    ),
    _Check(
        "ethnicity",
        re.compile(r"\w[\w ./()'-]{0,39}").fullmatch,
        Reason.BAD_LABEL,
        "an ethnicity of at most 40 letters, or nothing",
    ),
    _Check("depth_offset_mm", _matches(r"-?\d{1,9}(\.\d*)?(e[-+]\d\d)?"), Reason.BAD_LABEL, "a height in mm"),
)


@dataclass(frozen=True, kw_only=True)
class TableSource(TableOptions):
    """A source that reads what a CSV table lists."""

    def __post_init__(self) -> None:
        if not _DATASET.fullmatch(self.dataset):
            raise UsageError(f"--dataset {self.dataset!r}: expected a name of lower-case letters, digits and hyphens")
        if not 0 < self.depth_unit_mm < 100:
            raise UsageError(f"--depth-unit {self.depth_unit_mm}: expected between 0 and 100 mm")
        parse_pairs(self.columns, option="--column")
        parse_pairs(self.labels, option="--label")
        if self.label_source not in LABEL_SOURCES:
            raise UsageError(f"--label-source {self.label_source!r}: expected one of {', '.join(LABEL_SOURCES)}")

    def settings(self) -> Mapping[str, Any]:
        """All options."""
        return asdict(self)

    def load_settings(self) -> Mapping[str, Any]:
        """The options that change depth and what it says of space."""
        return {"depth_unit_mm": self.depth_unit_mm, "focal_px": self.focal_px, "renderer": self.renderer}

    def list_samples(self, root: Path) -> Listing:
        """Read the table; a line that cannot be a sample is rejected with its reason."""
        lines = read_sample_table(
            root / self.table,
            columns=parse_pairs(self.columns, option="--column"),
            labels=parse_pairs(self.labels, option="--label"),
        )
        for _, cells in lines:
            for name in FILES:
                cells[name] = cells.get(name, "").replace("\\", "/")  # as Windows writes paths
        modalities = _modalities(root, lines)
        if "depth" in modalities and lines and "depth_offset_mm" in lines[0][1] and self.depth_unit_mm != UNIT_MM:
            raise UsageError(
                f"--depth-unit {self.depth_unit_mm:g}: this is an exported dataset, whose depth is in steps of "
                f"{UNIT_MM} mm",
                path=root,
                hint=f"add --depth-unit {UNIT_MM}",
            )
        classes, warnings = self._classes(lines, root / self.table)
        real_root = root.resolve()
        samples: list[Sample] = []
        rejections: list[Rejection] = []
        for number, cells in lines:
            line = _Line(
                source=self,
                root=root,
                real_root=real_root,
                number=number,
                cells=cells,
                modalities=modalities,
                classes=classes,
            )
            if problem := line.problem():
                rejections.append(problem)
            else:
                samples.append(line.sample())
        kept, doubles = without_duplicates(samples)
        warnings += tuple(
            f"names that look alike: {names}; are they one?"
            for names in look_alikes({sample.subject for sample in kept})
        )
        return Listing(
            samples=tuple(kept),
            classes=classes,
            modalities=modalities or MODALITIES,
            rejected=(*rejections, *doubles),
            warnings=warnings,
        )

    def _classes(self, lines: Sequence[tuple[int, Cells]], path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The classes in label order, and a warning where the table has some of its own."""
        if self.classes:
            named = CLASS_SETS.get(self.classes) or tuple(name.strip() for name in self.classes.split(","))
            return named, ()
        counts = Counter(cells["emotion"] for _, cells in lines if _NAME.fullmatch(cells["emotion"]))
        names = (
            {*counts, *(name.removeprefix(SOFT) for name in lines[0][1] if name.startswith(SOFT))} if lines else set()
        )
        for known in (EMOTIONS, EIGHT):
            if names <= set(known):
                return known, ()
        refuse_misspelt(names, path=path)
        others = sorted(names - set(EIGHT))
        listed = ", ".join(f"{name} ({counts[name]})" for name in others)
        warning = f"labels beyond the usual are classes of their own: {listed}; --classes says which are meant"
        return (*(name for name in EIGHT if name in names), *others), (warning,)

    def load(self, sample: Sample) -> Scene:
        """Read the mesh; or the picture, its depth map of the same raster, or whichever of the two there is."""
        if "mesh" in sample.files:
            return load_mesh(sample, renderer=self.renderer)
        return read_pair(
            sample.files.get("rgb"),
            depth_file=sample.files.get("depth"),
            depth_unit_mm=self.depth_unit_mm,
            focal_px=self.focal_px,
            depth_offset_mm=sample.depth_offset_mm,
        )


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One line of the table: a sample, or what is wrong with it."""

    source: TableSource
    root: Path
    real_root: Path
    """``root`` without symbolic links."""
    number: int
    cells: Cells
    modalities: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def file(self) -> str:
        """The file that stands for it; empty where it names none."""
        return next((self.cells[name] for name in FILES if self.cells.get(name)), "")

    @property
    def files(self) -> dict[str, Path]:
        """Role → path of what the line names."""
        return {name: self.root / self.cells[name] for name in FILES if self.cells.get(name)}

    @property
    def has(self) -> tuple[str, ...]:
        """The modalities that its files have; those that are missing have what they are there for."""
        if "mesh" not in self.files:
            return tuple(self.files)
        mesh = self.files["mesh"]
        return MODALITIES if not _is_file(mesh) or has_colour(mesh) else ("depth",)

    @property
    def name(self) -> str:
        """Its name without the dataset; an exported one begins with the dataset that it came from.

        A view ends with its angles, whether or not the table's id does.
        """
        name = (self.cells.get("id") or str(Path(self.file).with_suffix("")) if self.file else "").replace("/", "_")
        return name if name.endswith(self._view) else name + self._view

    @property
    def _view(self) -> str:
        """How the name of a turned view ends; empty for a recording as it is."""
        return view_suffix(self._angle("yaw_degrees"), self._angle("pitch_degrees"))

    def _angle(self, column: str) -> int:
        cell = self.cells.get(column, "")
        return round(float(cell)) if _ANGLE.fullmatch(cell) else 0

    @property
    def subject(self) -> str:
        """The person, without the dataset."""
        return self.cells["subject"].replace(":", "-")

    def problem(self) -> Rejection | None:
        """The first thing that is wrong; None for a sample."""
        for reason, expected, found in self._problems():
            where = self.file or f"{self.source.table}, line {self.number}"
            sample_id = f"{self.source.dataset}/{self.name}" if self.name else ""
            return Rejection(source_file=where, sample_id=sample_id, reason=reason, expected=expected, found=found)
        return None

    def _problems(self) -> Iterator[tuple[Reason, str, str]]:
        """Reason, expectation and finding of everything that is wrong."""
        cells = self.cells
        if not self.file:
            yield Reason.MISSING_FILE, "a picture, a depth map or a mesh", "empty cells"
        for column in ("yaw_degrees", "pitch_degrees"):
            if "mesh" in self.files and (cell := cells.get(column, "")) and not _ANGLE.fullmatch(cell):
                yield Reason.BAD_NAME, "whole degrees to turn a mesh by", f"{column} {cell!r}"
        for path in self.files.values():
            if self._is_outside(path):
                yield Reason.BAD_NAME, "a path inside the folder, or --outside", self.file
        for name in self.files:
            if _WINDOWS.match(cells[name]):
                yield Reason.MISSING_FILE, "a path of this machine", cells[name]
        for check in _CHECKS:
            if (cell := cells.get(check.column, "")) and not check.fits(cell):
                yield check.reason, check.expected, f"{check.column} {cell!r}"
        for what, name in (("an id", self.name), ("a subject", self.subject), ("a clip", self._clip or "none")):
            if not _NAME.fullmatch(name.removesuffix(self._view) if what == "an id" else name):
                yield Reason.BAD_NAME, f"{what} of {_NAME_IN_WORDS}", repr(name)
        if cells["emotion"] not in self.classes:
            yield Reason.BAD_LABEL, f"one of {', '.join(self.classes)}", repr(cells["emotion"])
        if self._has_shares and not self._soft_labels:
            found = ", ".join(repr(cells[name]) for name in cells if name.startswith(SOFT))
            yield Reason.BAD_LABEL, f"shares of annotators in the columns {SOFT}…, not all 0", found
        if "mesh" in self.files and len(self.files) > 1:
            yield Reason.MISMATCH, "a mesh, or pictures", f"files in the columns {', '.join(self.files)}"
        has = self.has  # looks into a mesh
        for name in self.modalities:
            if name not in has:
                yield {"rgb": Reason.NO_COLOUR, "depth": Reason.NO_DEPTH}[name], f"{name}, as other lines have", "none"
        for name, path in self.files.items():
            if not _is_file(path):
                yield Reason.MISSING_FILE, cells[name], "no such file"

    def _is_outside(self, path: Path) -> bool:
        """Whether a path leads out of the folder, by dots, from the root or by a link, and that is not allowed."""
        if self.source.outside:
            return False
        try:
            return not path.resolve().is_relative_to(self.real_root)
        except (OSError, ValueError):
            return False  # no path at all: there is no such file

    @property
    def _clip(self) -> str:
        return self.cells.get("clip", "").replace("/", "_")

    @property
    def _has_shares(self) -> bool:
        return any(name.startswith(SOFT) for name in self.cells)

    @property
    def _soft_labels(self) -> dict[str, float]:
        """Class → share; empty where the cells are no numbers from 0, or all 0."""
        cells = {name.removeprefix(SOFT): cell for name, cell in self.cells.items() if name.startswith(SOFT)}
        try:
            votes = {name: float(cell or 0) for name, cell in cells.items()}
        except ValueError:
            return {}
        total = sum(votes.values())
        if not 0 < total < float("inf") or min(votes.values()) < 0:
            return {}
        return {name: vote / total for name, vote in votes.items()}

    @property
    def _depth_offset_mm(self) -> float | None:
        """None where this is no line of an export; −1 step where the offset was not known there."""
        text = self.cells.get("depth_offset_mm")
        return None if text is None else float(text) if text else -self.source.depth_unit_mm

    def sample(self) -> Sample:
        """The sample of a line that has no problem."""
        cells, dataset = self.cells, self.source.dataset
        return Sample(
            id=f"{dataset}/{self.name}",
            dataset=dataset,
            subject=f"{dataset}:{self.subject}",
            emotion=cells["emotion"],
            label_source=cells.get("label_source") or self.source.label_source,
            source_file=self.file,
            files=self.files,
            action_unit=cells.get("action_unit", ""),
            gender=_GENDERS[cells.get("gender", "").casefold()],
            ethnicity=cells.get("ethnicity", ""),
            intensity=int(cells.get("intensity") or 0),
            clip=f"{dataset}/{self._clip}" if self._clip else "",
            frame=int(cells.get("frame") or 0),
            yaw_degrees=self._angle("yaw_degrees"),
            pitch_degrees=self._angle("pitch_degrees"),
            soft_labels=self._soft_labels,
            publishable=cells.get("publishable") != "0",
            depth_offset_mm=self._depth_offset_mm,
        )


def _is_file(path: Path) -> bool:
    """Whether there is such a file; no text of a table is an error here, however long it is."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _modalities(root: Path, lines: Sequence[tuple[int, Cells]]) -> tuple[str, ...]:
    """What the lines' files have together."""
    named = {name for _, cells in lines for name in MODALITIES if cells.get(name)}
    meshes = [root / cells["mesh"] for _, cells in lines if cells.get("mesh")]
    if meshes:
        named.add("depth")
    # one coloured mesh among many must not cost the others
    if meshes and 2 * sum(_is_file(mesh) and has_colour(mesh) for mesh in meshes) >= len(meshes):
        named.add("rgb")
    return tuple(name for name in MODALITIES if name in named)
