"""How near to exact cubic interpolation ``warp_rgb`` comes, and how fast it is, beside OpenCV's cubic and linear.

The exact cubic is Keys' convolution with OpenCV's a = -0.75 in float64, place by place. With a photograph the truth is
known as well: it is shrunk by two and by three, the small one is enlarged, and the large one, seen through the same
window, is what should come out.

    python -m benchmarks.warp --root data/raw/CalD3r [--photos photo.jpg …]
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.faces.warp import Matrix, inverse_matrix, opencv_matrix, transform_points, warp_rgb
from fer_prep.formats.pictures import read_rgb

SIZE = 220
INSIDE = slice(30, -30)
WINDOWS = ((1.16, 0.0), (1.3, 7.0), (1.5, -15.0), (1.8, 4.0))
"""Scale and roll in degrees."""

Warp = Callable[[NDArray[np.uint8], Matrix], NDArray[Any]]


def by_opencv(flags: int) -> Warp:
    """OpenCV's own interpolation."""
    return lambda rgb, matrix: cv2.warpAffine(rgb, opencv_matrix(matrix), (SIZE, SIZE), flags=flags)


WARPS: dict[str, Warp] = {
    "warp_rgb": lambda rgb, matrix: warp_rgb(rgb, matrix, size=SIZE),
    "OpenCV cubic": by_opencv(cv2.INTER_CUBIC),
    "OpenCV linear": by_opencv(cv2.INTER_LINEAR),
}


def window(rgb: NDArray[np.uint8], *, scale: float, degrees: float) -> Matrix:
    """A similarity that puts the middle of the picture into the middle of the output."""
    cosine, sine = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    linear = np.array([[cosine, sine], [-sine, cosine]])
    middle = np.array([rgb.shape[1], rgb.shape[0]]) / 2
    return np.column_stack([linear, SIZE / 2 - linear @ middle]).astype(np.float64)


def exact_cubic(rgb: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.float64]:
    """(SIZE, SIZE, 3) in float64."""

    def kernel(t: NDArray[np.float64]) -> NDArray[np.float64]:
        t = np.abs(t)
        inner, outer = 1.25 * t**3 - 2.25 * t**2 + 1, -0.75 * t**3 + 3.75 * t**2 - 6 * t + 3
        return np.where(t < 1, inner, np.where(t < 2, outer, 0))

    centres = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1).astype(np.float64) + 0.5
    x, y = np.moveaxis(transform_points(centres, inverse_matrix(matrix)) - 0.5, -1, 0)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    total = np.zeros((SIZE, SIZE, 3))
    height, width = rgb.shape[:2]
    for down in range(-1, 3):
        for right in range(-1, 3):
            weight = kernel(x - left - right) * kernel(y - top - down)
            total += weight[..., None] * rgb[(top + down).clip(0, height - 1), (left + right).clip(0, width - 1)]
    return total.clip(0, 255)


def psnr(picture: NDArray[Any], reference: NDArray[Any]) -> float:
    """Decibels away from the border of the window."""
    difference = picture[INSIDE, INSIDE].astype(np.float64) - reference[INSIDE, INSIDE]
    return 10 * math.log10(255**2 / float(np.mean(difference**2)))


def against_exact(pictures: list[NDArray[np.uint8]], warp: Warp) -> tuple[float, float]:
    """Mean and lowest PSNR to the exact cubic."""
    found: list[float] = []
    for rgb in pictures:
        for scale, degrees in WINDOWS:
            matrix = window(rgb, scale=scale, degrees=degrees)
            found.append(psnr(warp(rgb, matrix), exact_cubic(rgb, matrix)))
    return statistics.mean(found), min(found)


def against_truth(photos: list[NDArray[np.uint8]], warp: Warp) -> float:
    """Mean PSNR of enlarged small photographs to the large ones."""
    found: list[float] = []
    for large in photos:
        for times in (2, 3):
            height, width = (side // times * times for side in large.shape[:2])
            whole = cv2.GaussianBlur(large[:height, :width], (0, 0), 0.3 * times)
            small = cv2.resize(whole, (width // times, height // times), interpolation=cv2.INTER_AREA).astype(np.uint8)
            for scale, degrees in WINDOWS:
                matrix = window(small, scale=scale, degrees=degrees)
                seen_in_large = (matrix @ np.diag([1 / times, 1 / times, 1])).astype(np.float64)
                found.append(psnr(warp(small, matrix), exact_cubic(large, seen_in_large)))
    return statistics.mean(found)


def milliseconds(rgb: NDArray[np.uint8], repeats: int) -> dict[str, float]:
    """Median time of each, taking turns, on one thread."""
    cv2.setNumThreads(1)
    matrix = window(rgb, scale=1.3, degrees=7)
    times: dict[str, list[float]] = {name: [] for name in WARPS}
    for _ in range(repeats):
        for name, warp in WARPS.items():
            start = time.perf_counter()
            warp(rgb, matrix)
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/raw/CalD3r"), help="a tree with RGB folders of PNGs")
    parser.add_argument("--pictures", type=int, default=12, help="so many of the tree")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="photographs whose shrunk copies to enlarge")
    parser.add_argument("--repeats", type=int, default=300)
    options = parser.parse_args()
    files = sorted(options.root.glob("*/RGB/*.png"))
    pictures = [read_rgb(file.read_bytes()) for file in files[:: max(1, len(files) // options.pictures)]]
    photos = [read_rgb(file.read_bytes()) for file in options.photos]
    times = milliseconds(pictures[0], options.repeats)
    for name, warp in WARPS.items():
        mean, least = against_exact(pictures, warp)
        truth = f"; {against_truth(photos, warp):.2f} dB to the truth of {len(photos)} photographs" if photos else ""
        print(f"{name}: {times[name]:.2f} ms; {mean:.1f} dB to the exact cubic, at least {least:.1f}{truth}")


if __name__ == "__main__":
    main()
