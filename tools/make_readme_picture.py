"""Draw the README's picture from a demo folder: raw mesh → registered RGB and depth → k-fold result.

python tools/make_readme_picture.py demo docs/pictures/pipeline.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np

from fer_prep.emotions import EMOTIONS
from fer_prep.formats.vrml import read_vrml
from fer_prep.prepare.folder import PreparedFolder

mpl.use("Agg")
import matplotlib.pyplot as plt

EMOTION = "surprise"


def main(demo: Path, out: Path) -> None:
    """Draw four panels from what the demo left in its folder."""
    folder = PreparedFolder.open(demo / "data/prepared/bu3dfe")
    row = next(row for row in folder.rows if EMOTIONS[int(row["label"])] == EMOTION)
    name = row["id"].split("/")[1]
    mesh = read_vrml((demo / "data/raw/BU3DFE" / row["source_file"]).read_bytes())
    rgb = cv2.imread(str(folder.rgb_path(name)))[..., ::-1]
    depth = cv2.imread(str(folder.depth_path(name)), cv2.IMREAD_UNCHANGED).astype(float)
    depth[depth == 0] = np.nan
    run = max((demo / "runs").iterdir())
    summary = json.loads((run / "summary.json").read_text())

    figure, axes = plt.subplots(1, 4, figsize=(13, 3.6), width_ratios=(1, 1, 1, 1.25))
    axes[0].triplot(mesh.vertices[:, 0], mesh.vertices[:, 1], mesh.faces, lw=0.12, color="#335")
    axes[0].set_aspect("equal")
    axes[0].set_title("raw mesh", fontsize=12)
    axes[1].imshow(rgb)
    axes[1].set_title("RGB, eyes level", fontsize=12)
    image = axes[2].imshow((depth - 1) / 100, cmap="viridis_r")
    axes[2].set_title("depth on the same rays [mm]", fontsize=12)
    figure.colorbar(image, ax=axes[2], fraction=0.046)
    draw_confusion(axes[3], run)
    mean, std = summary["overall_accuracy"]["mean"], summary["overall_accuracy"]["std"]
    axes[3].set_title(f"{len(summary['folds'])} folds of unseen people: {mean:.0f} ± {std:.0f} %", fontsize=12)
    for axis in axes[:3]:
        axis.axis("off")
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


def draw_confusion(axis: plt.Axes, run: Path) -> None:
    """Row-normalised confusion matrix of the out-of-fold predictions."""
    table = np.genfromtxt(run / "predictions.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    counts = np.zeros((len(EMOTIONS), len(EMOTIONS)))
    np.add.at(counts, (table["label"], table["predicted"]), 1)
    axis.imshow(counts / counts.sum(1, keepdims=True), cmap="Blues", vmin=0, vmax=1)
    for (i, j), count in np.ndenumerate(counts):
        axis.text(j, i, f"{count:.0f}", ha="center", va="center", fontsize=8)
    axis.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=45, ha="right", fontsize=8)
    axis.set_yticks(range(len(EMOTIONS)), EMOTIONS, fontsize=8)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
