"""The thesis's figures of data (3.1–3.5, 3.15), drawn from a dataset: a new one is a function and an entry."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.reader import DatasetFile
from fer_prep.depth_encoding import decode_depth
from fer_prep.errors import UsageError, did_you_mean
from fer_prep.formats.images import read_rgb
from fer_prep.inspection.depth_picture import depth_picture
from fer_prep.inspection.statistics import emotions_of, views_of
from fer_prep.outputs import may_be_shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAIR: Final = ("cald3r", "mend3s")
ALIGNED_SHOWN: Final = 4
MESH_STEP: Final = 8
"""Pixels between the lines that are drawn on a surface."""
LINES_BEND: Final = 0.1
"""Pixels by which a line is moved for a pixel of height."""

Trees = Mapping[str, Path]
"""Dataset → its raw tree."""


@final
@dataclass(frozen=True, kw_only=True)
class DataFigure:
    """One figure."""

    what: str
    draw: Callable[[DatasetFile, Trees], Figure]


def draw_figure(name: str, data: DatasetFile, trees: Trees) -> bytes:
    """PNG of a figure of ``FIGURES``; a dataset that lacks what it shows is a UsageError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if name not in FIGURES:
        raise UsageError(f"no figure {name!r} of data; {did_you_mean(name, FIGURES)}")
    stream = io.BytesIO()
    # no date and no software version in the file: equal data, equal bytes
    FigureCanvasAgg(FIGURES[name].draw(data, trees)).print_png(stream, metadata={"Software": None})
    return stream.getvalue()


def class_distribution(data: DatasetFile, trees: Trees, *, datasets: Sequence[str] = ()) -> Figure:
    """Samples of each class in these datasets, on top of each other; in all where none is named."""
    chosen = _rows(data, datasets, shown=False)
    emotions, of = emotions_of(data)[chosen], data.column("dataset")[chosen]
    figure = _new(width=6.4, height=3.4)
    axes = figure.subplots()
    below = np.zeros(len(data.classes), int)
    for name in np.unique(of).tolist():
        counts = np.array([((emotions == emotion) & (of == name)).sum() for emotion in data.classes])
        axes.bar(data.classes, counts, bottom=below, width=0.75, label=name)
        below += counts
    for place, total in enumerate(below.tolist()):
        axes.annotate(str(total), (place, total), ha="center", va="bottom", fontsize=8)
    people = len(np.unique(data.column("subject")[chosen]))
    axes.set_title(f"{len(chosen)} samples of {people} people", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.tick_params(axis="x", rotation=30, labelsize=9)
    axes.locator_params(axis="y", integer=True)
    axes.margins(y=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def examples(data: DatasetFile, trees: Trees) -> Figure:
    """A woman and a man in every class, colour above depth."""
    rows = _rows(data, PAIR if set(PAIR) & set(data.column("dataset").tolist()) else ())
    genders, labels = data.column("gender")[rows], data.labels[rows]
    figure = _new(width=1.25 * len(data.classes), height=5.4)
    grid = figure.subplots(4, len(data.classes), squeeze=False)
    for axes in grid.flat:
        _frameless(axes)
    for line, gender in enumerate("FM"):
        for label, name in enumerate(data.classes):
            found = rows[(np.char.upper(genders.astype(str)) == gender) & (labels == label)]
            if len(found):
                _show(grid[2 * line, label], data, int(found[0]), "rgb")
                _show(grid[2 * line + 1, label], data, int(found[0]), "depth")
            grid[0, label].set_title(name, fontsize=9)
        grid[2 * line, 0].set_ylabel({"F": "women", "M": "men"}[gender], fontsize=9)
    return figure


def face_in_three_ways(data: DatasetFile, trees: Trees) -> Figure:
    """Colour, surface and depth of one face; the surface is that of the stored depth, lit from the upper left."""
    from matplotlib.colors import LightSource

    row = int(_rows(data, ("bu3dfe",))[0])
    z_mm, valid = decode_depth(data.read("depth", [row])[0], 0.0, unit_mm=data.depth_unit_mm)
    step_mm = float(data.column("mm_per_pixel")[row])
    step_mm = step_mm if np.isfinite(step_mm) else 1.0
    lit = LightSource(azdeg=315, altdeg=50).hillshade(np.where(valid, z_mm, np.nanmin(z_mm)), dx=step_mm, dy=step_mm)
    figure = _new(width=7.5, height=2.8)
    colour, surface, depth = figure.subplots(1, 3)
    for axes, title in ((colour, "colour"), (surface, "surface"), (depth, "depth")):
        _frameless(axes)
        axes.set_title(title, fontsize=9)
    _show(colour, data, row, "rgb")
    surface.imshow(np.where(valid, lit, np.nan), cmap="gray", vmin=0, vmax=1)
    down, across = np.mgrid[: z_mm.shape[0], : z_mm.shape[1]]
    bend = LINES_BEND * (z_mm - np.nanmedian(z_mm)) / step_mm  # as seen a little from the side; NaN without data
    for line in range(0, z_mm.shape[0], MESH_STEP):
        surface.plot((across + bend)[:, line], down[:, line], color="#1f5fa8", linewidth=0.3)
        surface.plot(across[line], (down - bend)[line], color="#1f5fa8", linewidth=0.3)
    surface.set(xlim=colour.get_xlim(), ylim=colour.get_ylim())
    _show(depth, data, row, "depth")
    return figure


def before_and_after(data: DatasetFile, trees: Trees) -> Figure:
    """The recordings that leaned most, as in the raw tree and as stored, with a line through the eyes."""
    rows = _rows(data, PAIR)
    roll = data.column("roll_degrees")[rows]
    rows = rows[np.argsort(-np.abs(np.nan_to_num(roll)), kind="stable")]
    found = [(row, path) for row in rows.tolist() if (path := _recording(data, row, trees)).is_file()][:ALIGNED_SHOWN]
    if not found:
        path = _recording(data, int(rows[0]), trees)
        raise UsageError(
            "no such recording: this figure shows it before it was aligned",
            path=path,
            hint="name the folder of the raw trees with --raw",
        )
    figure = _new(width=1.9 * len(found), height=4.2)
    grid = figure.subplots(2, len(found), squeeze=False)
    for column, (row, path) in enumerate(found):
        before, after = grid[:, column]
        for axes in (before, after):
            _frameless(axes)
        before.imshow(read_rgb(path.read_bytes()))
        _show(after, data, row, "rgb")
        after.plot(*zip(data.column("left_eye")[row], data.column("right_eye")[row], strict=True), color="#d9731a")
        before.set_title(f"leans {data.column('roll_degrees')[row]:+.0f}°", fontsize=9)
    grid[0, 0].set_ylabel("as recorded", fontsize=9)
    grid[1, 0].set_ylabel("aligned", fontsize=9)
    return figure


def _rows(data: DatasetFile, datasets: Sequence[str], *, shown: bool = True) -> NDArray[np.int64]:
    """Rows of recordings as they are, of these datasets (all where none is named); a dataset without any is refused.

    Where they are ``shown``, of people whose pictures may be published.
    """
    of = np.isin(data.column("dataset"), datasets) if datasets else np.ones(data.n, bool)
    of &= may_be_shown(data) if shown else True
    rows = np.flatnonzero(of & (views_of(data) == ""))
    if not len(rows):
        found = ", ".join(sorted(set(data.column("dataset").tolist())))
        raise UsageError(f"this figure shows {' and '.join(datasets)}; this file has {found}", path=data.path)
    return rows


def _recording(data: DatasetFile, row: int, trees: Trees) -> Path:
    return trees[str(data.column("dataset")[row])] / str(data.column("source_file")[row])


def _show(axes: Axes, data: DatasetFile, row: int, modality: str) -> None:
    """Draw what is stored; nothing where the file does not have this modality."""
    if modality in data.modalities:
        pixels = data.read(modality, [row])[0]
        axes.imshow(pixels if modality == "rgb" else depth_picture(pixels, size=pixels.shape[0]))


def _frameless(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _new(*, width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=150, layout="constrained")


FIGURES: Final[Mapping[str, DataFigure]] = {
    "3.1": DataFigure(what="classes of CalD3r and MenD3s", draw=partial(class_distribution, datasets=PAIR)),
    "3.2": DataFigure(what="classes of BU-3DFE", draw=partial(class_distribution, datasets=("bu3dfe",))),
    "3.3": DataFigure(what="women and men in all classes, colour above depth", draw=examples),
    "3.4": DataFigure(what="colour, surface and depth of a BU-3DFE face", draw=face_in_three_ways),
    "3.5": DataFigure(what="before and after alignment", draw=before_and_after),
    "3.15": DataFigure(what="classes of all datasets together (Global)", draw=class_distribution),
}
"""Number in the thesis → figure; its text does not say which of 3.1 and 3.2 is of which dataset."""
