"""One sample on its way from a prepared folder into a dataset: read, verified, resampled, measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_prep.dataset.writer import Measured, measure
from fer_prep.digests import pixel_digest
from fer_prep.errors import FormatError, PreparedFolderError
from fer_prep.formats.images import read_depth, read_rgb
from fer_prep.merge.plan import MergePlan, PlannedSample
from fer_prep.merge.rescale import rescale_row
from fer_prep.resample import resize_depth, resize_rgb


def load_sample(sample: PlannedSample, plan: MergePlan) -> Measured:
    """Read, verify and resample one sample, and measure what the file stores about its pixels."""
    rgb, depth = read_prepared(sample)
    rgb, depth = resize_rgb(rgb, size=plan.size), resize_depth(depth, size=plan.size)
    row = rescale_row(sample.row, old_size=sample.prepared_size, size=plan.size)
    verified = sample.row["digest"] if plan.size == sample.prepared_size else ""
    return measure({**row, "label": plan.output_label(row)}, rgb, depth, digest=verified)


def read_prepared(sample: PlannedSample) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """The pixels of a prepared sample, exactly as they were prepared or not at all."""
    path = sample.rgb_path
    try:
        rgb = read_rgb(path.read_bytes())
        path = sample.depth_path
        depth = read_depth(path.read_bytes())
    except FormatError as error:
        raise _damaged(sample, path, expected=error.expected, found=error.found) from None
    except FileNotFoundError:
        raise _damaged(sample, path, expected="a picture", found="no file") from None
    shape = (sample.prepared_size, sample.prepared_size)
    if rgb.shape[:2] != shape or depth.shape != shape:
        found = f"RGB {rgb.shape[1]} × {rgb.shape[0]}, depth {depth.shape[1]} × {depth.shape[0]}"
        raise _damaged(sample, path, expected=f"{shape[0]} × {shape[0]} pixels as prepared.json says", found=found)
    if pixel_digest(rgb, depth) != sample.row["digest"]:
        # which of the two pictures it is, one digest cannot tell
        found = "others (digest does not fit)"
        raise _damaged(sample, sample.folder.path, expected="the pixels that were prepared", found=found)
    return rgb, depth


def _damaged(sample: PlannedSample, path: Path, *, expected: str, found: str) -> PreparedFolderError:
    return PreparedFolderError(
        f"sample {sample.row['id']}: expected {expected}; found {found}",
        path=path,
        hint="run the command that prepared this folder again: it mends what is damaged",
    )
