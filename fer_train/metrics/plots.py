"""What the figures share, drawn with Matplotlib's object interface (no global state, no display).

Matplotlib is loaded when a figure is begun: a machine that only trains does without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.atomic_files import replacing
from fer_train.metrics.registry import NONE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE: Final = "#1f5fa8"
ORANGE: Final = "#d9731a"
GREY: Final = "#8a8f98"
DOTS_PER_INCH: Final = 150


def new_figure(*, width: float, height: float) -> Figure:
    """An empty figure of this many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all, without a date inside: equal figures give equal bytes."""
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None}, bbox_inches="tight")


def confusion_figure(
    counts: NDArray[np.int64 | np.float64], classes: Sequence[str], *, normalise: bool, of: str
) -> Figure:
    """Truth down, prediction across; ``counts`` (K, K), shown as counts or as percent of each row."""
    sizes = counts.sum(axis=1, keepdims=True)
    shares = 100 * counts / np.maximum(sizes, 1)
    names = [name if size else f"{name} (none)" for name, size in zip(classes, sizes[:, 0], strict=True)]
    figure = new_figure(width=0.75 * len(classes) + 1.6, height=0.7 * len(classes) + 1.2)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.ndindex(*counts.shape):
        text = f"{shares[row, column]:.0f}" if normalise else f"{counts[row, column]:g}"
        text = text if sizes[row, 0] else NONE
        dark = shares[row, column] > 55
        axes.text(column, row, text, ha="center", va="center", color="white" if dark else "#20242a", fontsize=9)
    axes.set_xticks(range(len(classes)), classes, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), names)
    axes.set(xlabel="predicted", ylabel="truth")
    axes.set_title(f"Percent of each true class, {of}" if normalise else f"Samples, {of}", fontsize=10)
    axes.spines[:].set_visible(False)
    if normalise:
        figure.colorbar(image, ax=axes, fraction=0.045, pad=0.03, label="%")
    return figure


def show_picture(axes: Axes, pixels: NDArray[np.uint8 | np.uint16]) -> None:
    """Draw stored colour (H, W, 3) as it is, stored depth (H, W) by ``shade_depth``."""
    if pixels.ndim == 3:
        axes.imshow(pixels)
    else:
        axes.imshow(shade_depth(pixels), cmap="gray", vmin=0, vmax=1)


def shade_depth(depth: NDArray[np.uint8 | np.uint16]) -> NDArray[np.float64]:
    """Stored depth → near bright, far dark, no data black, spread between the 2nd and 98th percentile."""
    valid = depth > 0
    if not valid.any():
        return np.zeros(depth.shape)
    near, far = np.percentile(depth[valid], (2, 98))
    shade = 1 - 0.85 * np.clip((depth - near) / max(far - near, 1), 0, 1)
    return np.where(valid, shade, 0)


def tidy(axes: Axes) -> None:
    """No frame, faint lines behind."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
