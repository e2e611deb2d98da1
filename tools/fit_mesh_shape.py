"""Fit the table of ``fer_prep/faces/mesh_shape.py`` and print it: which mesh shapes are those of an upside-down fit.

    fer-prep sample-data --out data/raw --subjects 4 --seed 3
    python tools/fit_mesh_shape.py data/raw

Every ninth CalD3r and MenD3s picture is turned to every 15°; MediaPipe's mesh on it is right where its roll is within
10° of the truth. Fisher's discriminant of the two kinds, with the covariance shrunk by 1 %, gives the weights.
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.faces.mediapipe_models import detect_faces
from fer_prep.geometry.warp import opencv_matrix

STEP = 13
EYES = (263, 362, 33, 133)
SHRINKAGE = 0.01


def main(raw: Path) -> None:
    """Print one line a vertex (mean x, mean y, weight of x, weight of y), then the intercept."""
    with (raw / "truth.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["dataset"] in ("cald3r", "mend3s") and row["picture"]]
    meshes, errors, upright = [], [], []
    for number, row in enumerate(rows):
        rgb = np.ascontiguousarray(cv2.imread(str(raw / row["picture"]))[..., ::-1])
        upright += detect_faces(rgb)[:1]
        for degrees in range(0, 360, 15) if number % 9 == 0 else ():
            for mesh in detect_faces(turned(rgb, degrees))[:1]:
                meshes.append(mesh)
                errors.append((roll_degrees(mesh) - float(row["roll_degrees"]) - degrees + 180) % 360 - 180)
    mean = mean_shape(np.array(upright))
    shapes, is_right = aligned(np.array(meshes), mean), np.abs(errors) < 10
    right, wrong = shapes[is_right], shapes[~is_right]
    covariance = np.cov(right.T) + np.cov(wrong.T)
    covariance += SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    gap = wrong.mean(axis=0) - right.mean(axis=0)
    weights = np.linalg.solve(covariance, gap)
    weights = np.round(weights / (weights @ gap), 2)
    for x, y, weight_x, weight_y in zip(mean.real, mean.imag, *weights.reshape(2, -1), strict=True):
        print(f"    ({x:.2f}, {y:.2f}, {weight_x:.2f}, {weight_y:.2f}),")
    print(f"intercept {-right.mean(axis=0) @ weights:.3f}; {len(right)} right and {len(wrong)} wrong meshes")


def turned(rgb: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """The picture turned clockwise about its middle, on a canvas half as large again."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    linear = np.array([[cosine, -sine], [sine, cosine]])
    side = round(1.5 * rgb.shape[0])
    shift = np.full(2, side / 2) - linear @ [rgb.shape[1] / 2, rgb.shape[0] / 2]
    matrix = opencv_matrix(np.column_stack([linear, shift]))
    return cv2.warpAffine(rgb, matrix, (side, side), flags=cv2.INTER_CUBIC, borderValue=(110, 120, 130))  # type: ignore[return-value]


def roll_degrees(mesh: NDArray[np.float64]) -> float:
    """Roll of the eye line."""
    x, y = mesh[list(EYES[:2])].mean(axis=0) - mesh[list(EYES[2:])].mean(axis=0)
    return math.degrees(math.atan2(y, x))


def mean_shape(meshes: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Mean of the chosen vertices as complex numbers: upright, in eye distances, about their centre."""
    across = meshes[:, EYES[:2]].mean(axis=1) - meshes[:, EYES[2:]].mean(axis=1)
    shapes = centred(meshes) / (across[:, :1] + 1j * across[:, 1:])
    return np.round(shapes.mean(axis=0), 2)


def centred(meshes: NDArray[np.float64]) -> NDArray[np.complex128]:
    """(n, 36) complex: every 13th of the 468 vertices about their centre."""
    points = meshes[:, 0:468:STEP]
    shapes = points[..., 0] + 1j * points[..., 1]
    return shapes - shapes.mean(axis=1, keepdims=True)


def aligned(meshes: NDArray[np.float64], mean: NDArray[np.complex128]) -> NDArray[np.float64]:
    """(n, 72): x of all chosen vertices, then y, after the similarity that brings them nearest to the mean shape."""
    shapes = centred(meshes)
    shapes /= (shapes @ mean.conj() / np.vdot(mean, mean))[:, None]
    return np.concatenate([shapes.real, shapes.imag], axis=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
