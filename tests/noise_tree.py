"""A MenD3s tree of noise with given landmarks: the real command runs on it without any detector."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

PICTURE = 96


def write_noise_tree(root: Path, *, samples: int, without_depth: int = 3, without_points: int = 4) -> Path:
    """Write ``samples`` pairs below ``root`` (a folder MenD3s) and the landmarks beside it; return their CSV file."""
    rng = np.random.default_rng(5)
    points = ["id,left_eye_x,left_eye_y,right_eye_x,right_eye_y"]
    for part in ("RGB", "DEPTH"):
        (root / "Neutral" / part).mkdir(parents=True)
    for number in range(samples):
        name = f"F_{number:02d}_1_neutral"
        rgb = rng.integers(0, 256, (PICTURE, PICTURE, 3), dtype=np.uint8)
        depth = rng.integers(4000, 4400, (PICTURE, PICTURE), dtype=np.uint16)
        cv2.imwrite(str(root / "Neutral" / "RGB" / f"{name}_Color.png"), rgb)
        if number != without_depth:
            cv2.imwrite(str(root / "Neutral" / "DEPTH" / f"{name}_Depth.png"), depth)
        if number != without_points:
            points.append(f"mend3s/{name},{55 + number % 5},40,{35 - number % 3},{38 + number % 4}")
    csv_file = root.parent / "points.csv"
    csv_file.write_text("\n".join(points) + "\n")
    return csv_file
