"""One sample on its way from a prepared folder into a dataset: read, verified, resampled, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fer_prep.dataset.writer import Measured, measure
from fer_prep.digests import pixel_digest
from fer_prep.errors import FormatError, PreparedFolderError
from fer_prep.formats.images import read_depth, read_rgb
from fer_prep.merge.plan import MergePlan, PlannedSample
from fer_prep.merge.rescale import rescale_row
from fer_prep.regular_files import read_bytes
from fer_prep.resample import resize_depth, resize_rgb

Pixels = NDArray[Any] | None


def load_sample(sample: PlannedSample, plan: MergePlan) -> Measured:
    """Read, verify and resample one sample, and measure what the file stores about its pixels."""
    rgb, depth = read_prepared(sample)
    same = plan.size == sample.prepared_size and plan.modalities == sample.folder.modalities
    rgb = None if rgb is None or "rgb" not in plan.modalities else resize_rgb(rgb, size=plan.size)
    depth = None if depth is None or "depth" not in plan.modalities else resize_depth(depth, size=plan.size)
    row = rescale_row(sample.row, old_size=sample.prepared_size, size=plan.size)
    return measure(row, rgb, depth, digest=sample.row["digest"] if same else "")


def read_prepared(sample: PlannedSample) -> tuple[Pixels, Pixels]:
    """RGB and depth of a prepared sample, exactly as they were prepared or not at all; None: its folder has none."""
    pixels: dict[str, NDArray[Any]] = {}
    for modality, place, reader in (
        ("rgb", sample.folder.rgb_path, read_rgb),
        ("depth", sample.folder.depth_path, read_depth),
    ):
        if modality not in sample.folder.modalities:
            continue
        path = place(sample.name)
        try:
            picture: NDArray[Any] = reader(read_bytes(path))
        except FormatError as error:
            raise _damaged(sample, path, expected=error.expected, found=error.found) from None
        except FileNotFoundError:
            raise _damaged(sample, path, expected="a picture", found="no file") from None
        size = sample.prepared_size
        if picture.shape[:2] != (size, size):
            found = f"{picture.shape[1]} × {picture.shape[0]}"
            raise _damaged(sample, path, expected=f"{size} × {size} pixels as prepared.json says", found=found)
        pixels[modality] = picture
    if pixel_digest(pixels.get("rgb"), pixels.get("depth")) != sample.row["digest"]:
        # which of the two pictures it is, one digest cannot tell
        found = "others (digest does not fit)"
        raise _damaged(sample, sample.folder.path, expected="the pixels that were prepared", found=found)
    return pixels.get("rgb"), pixels.get("depth")


def _damaged(sample: PlannedSample, path: Path, *, expected: str, found: str) -> PreparedFolderError:
    return PreparedFolderError(
        f"sample {sample.row['id']}: expected {expected}; found {found}",
        path=path,
        hint="run the command that prepared this folder again: it mends what is damaged",
    )
