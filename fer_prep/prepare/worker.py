"""What a worker does with one sample: reuse what is up to date, else prepare it and stage its files.

Workers never touch a final name: they write under temporary names, and the one process that holds the folder's lock
publishes. A worker that outlives a killed run can therefore spoil nothing.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fer_prep.atomic_files import stage_file
from fer_prep.digests import bytes_digest, file_digest, settings_digest
from fer_prep.errors import FerError, FormatError, Reason, SampleError
from fer_prep.formats.images import write_image
from fer_prep.prepare.folder import sample_file
from fer_prep.prepare.folder_writer import Record
from fer_prep.prepare.landmark_tables import sample_bytes
from fer_prep.prepare.prepare_sample import PreparedSample, prepare_sample
from fer_prep.prepare.sample_landmarks import NOT_FOUND
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.prepare.worker_place import WorkerPlace, check_place
from fer_prep.sample import MODALITIES, Rejection, Sample
from fer_prep.samples_table import cells_to_text
from fer_prep.sources import Source


@dataclass(frozen=True, kw_only=True)
class Task:
    """One sample to bring up to date; ``known`` is what an earlier run left of it."""

    sample: Sample
    known: Record | None


@dataclass(frozen=True, kw_only=True)
class UpToDate:
    """The sample's record; its files wait under temporary names, or are there already where ``staged`` is empty."""

    record: Record
    staged: Mapping[str, Path]
    """Kind of file → temporary name."""


Outcome = UpToDate | Rejection


@dataclass(frozen=True, kw_only=True)
class PrepareTask:
    """The function that workers apply to tasks: picklable, safe to call from several threads."""

    source: Source
    settings: PrepareSettings
    root: Path
    folder: Path
    code: str
    """Digest of the code that makes the pixels."""
    modalities: tuple[str, ...] = MODALITIES
    debug: bool = False
    """Let unexpected errors through instead of rejecting the sample."""
    place: WorkerPlace | None = None
    """What a worker on another machine must see."""

    def __call__(self, task: Task) -> Outcome:
        """Bring one sample up to date; anything wrong with its input becomes a Rejection."""
        if self.place is not None:
            check_place(self.place, source=self.source)
        sample = task.sample
        try:
            key = self._key(sample)
            if task.known is not None and self._is_up_to_date(task.known, key):
                return UpToDate(record=task.known, staged={})
            prepared = prepare_sample(sample, source=self.source, settings=self.settings, modalities=self.modalities)
        except SampleError as error:
            return self._rejection(sample, error, stage=error.stage, reason=error.reason)
        except FormatError as error:
            return self._rejection(sample, error, stage="read", reason=Reason.UNREADABLE)
        except OSError as error:
            found = FerError(expected="a readable file", found=error.strerror or str(error), path=error.filename)
            return self._rejection(sample, found, stage="read", reason=Reason.UNREADABLE)
        except FerError:
            raise  # about the whole run: a missing library, an unusable option
        except Exception as error:  # a bug must not cost the other samples; it is named in the table
            if self.debug:
                raise
            found = FerError(expected="no internal error (please report it)", found=_named(error))
            return self._rejection(sample, found, stage="internal", reason=Reason.INTERNAL)
        return self._stage(sample, key, prepared)

    def _key(self, sample: Sample) -> str:
        """Digest of all that the sample's pixels and landmarks depend on."""
        return settings_digest(
            {
                "id": sample.id,
                "depth_offset_mm": repr(sample.depth_offset_mm),
                "inputs": {role: file_digest(path) for role, path in sample.files.items()},
                "modalities": self.modalities,
                "settings": self.settings.content(sample),
                "source": dict(self.source.load_settings()),
                "code": self.code,
            }
        )

    def _is_up_to_date(self, known: Record, key: str) -> bool:
        if known.key != key or (known.measured["landmarks_from"] == NOT_FOUND and self.settings.rejects_faceless):
            return False
        try:
            files = {kind: file_digest(sample_file(self.folder, kind, known.name)) for kind in known.files}
        except OSError:
            return False
        return files == known.files

    def _stage(self, sample: Sample, key: str, prepared: PreparedSample) -> UpToDate:
        content = {"landmarks": sample_bytes(prepared.landmarks)} if prepared.landmarks else {}
        for kind, pixels in (("rgb", prepared.rgb), ("depth", prepared.depth)):
            if pixels is not None:
                content[kind] = write_image(pixels)
        staged: dict[str, Path] = {}
        for kind, data in content.items():
            path = sample_file(self.folder, kind, sample.name)
            path.parent.mkdir(exist_ok=True)
            staged[kind] = stage_file(path, content=data, flush=False)
        files = {kind: bytes_digest(data) for kind, data in content.items()}
        cells = cells_to_text(prepared.measured)
        record = Record(name=sample.name, key=key, files=files, measured=cells, set_right=dict(prepared.set_right))
        return UpToDate(record=record, staged=staged)

    def _rejection(self, sample: Sample, error: FerError, *, stage: str, reason: Reason) -> Rejection:
        """The row that names the file that is wrong, relative to the raw tree."""
        file = sample.source_file
        if error.path is not None and error.path.is_relative_to(self.root):
            file = error.path.relative_to(self.root).as_posix()
        return Rejection(
            source_file=file,
            sample_id=sample.id,
            stage=stage,
            expected=error.expected,
            found=error.found,
            reason=reason,
        )


def _named(error: Exception) -> str:
    """An unexpected error in one line: its type, text, and the place in the code."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})".replace("\n", " ")
