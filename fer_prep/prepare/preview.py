"""A contact sheet of a prepared folder: some samples before and after, for a person to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fer_prep.atomic_files import write_atomically
from fer_prep.errors import SampleError
from fer_prep.faces.contact_sheet import SheetEntry, contact_sheet, sheet_entry
from fer_prep.faces.framing import Framing
from fer_prep.formats.images import write_image
from fer_prep.prepare.folder import PREVIEW
from fer_prep.prepare.prepare_sample import find_landmarks, frame_scene, load_view
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.progress import Progress, silent
from fer_prep.sample import Landmarks, Sample, Scene
from fer_prep.sources import Source


def write_preview(
    folder: Path,
    *,
    samples: Sequence[Sample],
    count: int,
    source: Source,
    settings: PrepareSettings,
    progress: Progress = silent,
) -> Path | None:
    """Write ``preview.png`` of ``count`` of the samples, evenly spread; None where there is nothing to show.

    All of them must be readable. A sample without a face is shown as recorded, with the reason under it.
    """
    chosen = evenly_spread(samples, count=count)
    entries: list[SheetEntry] = []
    with progress("previewing", total=len(chosen)) as advance:
        for sample in chosen:
            entries.append(_entry(sample, load_view(sample, source=source), settings))
            advance(1)
    if not entries:
        return None
    path = folder / PREVIEW
    write_atomically(path, content=write_image(contact_sheet(entries)))
    return path


def evenly_spread(samples: Sequence[Sample], *, count: int) -> list[Sample]:
    """At most ``count`` of the samples, from the first to the last at equal steps."""
    count = min(count, len(samples))
    return [samples[k * len(samples) // count] for k in range(count)]


def _entry(sample: Sample, scene: Scene, settings: PrepareSettings) -> SheetEntry:
    try:
        landmarks = find_landmarks(scene, sample=sample, settings=settings)
        frame, framing = frame_scene(scene, landmarks, settings=settings)
    except SampleError as error:
        caption = f"{sample.emotion}: rejected, {error.found}"
        return sheet_entry(sample.name, caption=caption, scene=scene, landmarks=None, frame=None, matrix=None)
    caption = f"{sample.emotion}, {_how_found(landmarks, framing)}"
    return sheet_entry(
        sample.name, caption=caption, scene=scene, landmarks=landmarks, frame=frame, matrix=framing.matrix
    )


def _how_found(landmarks: Landmarks | None, framing: Framing) -> str:
    if landmarks is None:
        return "no face known, as recorded"
    choice = f", 1 of {landmarks.faces_found} faces" if landmarks.faces_found > 1 else ""
    return f"roll {framing.roll_degrees:+.1f}°, {landmarks.found_by}{choice}"
