"""How well colour and depth of BU-3DFE lie on each other, with the texture and with the photograph; pictures of both.

    python -m benchmarks.registration --root data/raw/BU3DFE [--pictures docs/pictures] [--name F0001_HA04WH]

For every recording that has both pictures: is it prepared or rejected, and how far the landmarks of the mesh are from
those found in the photograph once its camera is solved. A picture shows colour, depth, and the edges of the depth
drawn over the colour: chin, nose and eye sockets must be where the colour has them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import SampleError
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.prepare.prepare_sample import find_landmarks, frame_scene
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.sample import Frame, Sample, Scene
from fer_prep.sources.bu3dfe import Bu3dfe

Way = Literal["texture", "photo"]
SETTINGS = PrepareSettings(size=300, landmarks=FinderSpec.parse("dataset"))
EDGE_MM = 0.35
"""Curvature that is drawn, as the height of a pixel over the mean of its surroundings."""
SHADES = 64
"""Colours a channel in the written picture: it shall stay small."""


def framed(scene: Scene, sample: Sample) -> Frame:
    """The frame that would be prepared."""
    frame, _ = frame_scene(scene, find_landmarks(scene, sample=sample, settings=SETTINGS), settings=SETTINGS)
    return frame


def panels(frame: Frame) -> NDArray[np.uint8]:
    """(size, 3 · size, 3) colour, depth, and the edges of the depth over the colour."""
    near, far = np.nanmax(frame.z_mm), np.nanpercentile(frame.z_mm, 2)
    shade = np.nan_to_num((frame.z_mm - far) / (near - far)).clip(0, 1)
    depth = np.where(frame.valid, 40 + 215 * shade, 0).astype(np.uint8)
    overlay = frame.rgb.copy()
    overlay[edges(frame)] = (0, 255, 0)
    return np.hstack([frame.rgb, np.repeat(depth[:, :, None], 3, axis=2), overlay])


def edges(frame: Frame) -> NDArray[np.bool_]:
    """(size, size) the outlines of what is valid, and of its ridges and valleys."""
    heights = np.where(frame.valid, frame.z_mm, np.nan).astype(np.float32)
    filled = np.nan_to_num(heights, nan=float(np.nanmean(heights)))
    mean = cv2.blur(filled, (9, 9))
    solid = frame.valid.astype(np.uint8)
    inner = cv2.erode(solid, np.ones((13, 13), np.uint8)) > 0
    creased = (inner & (np.abs(filled - mean) > EDGE_MM)).astype(np.uint8)
    core = np.ones((3, 3), np.uint8)
    outlines = np.maximum(solid - cv2.erode(solid, core), creased - cv2.erode(creased, core))
    return np.asarray(outlines > 0)


def write_small(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture with few shades and OpenCV's best compression."""
    step = 256 // SHADES
    coarse = picture // step * step + step // 2
    cv2.imwrite(str(path), cv2.cvtColor(coarse, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/raw/BU3DFE"))
    parser.add_argument("--pictures", type=Path, help="a folder for bu3dfe-texture.png and bu3dfe-photo.png")
    parser.add_argument("--name", help="the recording to draw; the first where none is named")
    options = parser.parse_args()
    samples = Bu3dfe().list_samples(options.root).samples
    samples = [sample for sample in samples if {"texture", "photo"} <= set(sample.files)]
    drawn = options.name or samples[0].name
    for way in get_args(Way):
        source = replace(Bu3dfe(), rgb=way)
        residuals, reasons = [], []
        for sample in samples:
            try:
                scene = source.load(sample)
            except SampleError as error:
                reasons.append(error.found)
                continue
            residuals.append(scene.registration_residual_px)
            if options.pictures and sample.name == drawn:
                options.pictures.mkdir(parents=True, exist_ok=True)
                write_small(options.pictures / f"bu3dfe-{way}.png", panels(framed(scene, sample)))
        median, high, largest = np.percentile(residuals, [50, 95, 100])
        print(
            f"{way:8} {len(residuals)} prepared, {len(reasons)} rejected;"
            f" residual median {median:.2f}, 95th percentile {high:.2f}, largest {largest:.2f} px"
        )
        for reason in reasons:
            print(f"         rejected: {reason}")


if __name__ == "__main__":
    main()
