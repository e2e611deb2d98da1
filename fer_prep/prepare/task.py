"""What a worker does with one sample: reuse what is up to date, else prepare it and stage its two files.

Workers never touch a final name: they write under temporary names, and the one process that holds the folder's lock
publishes. A worker that outlives a killed run can therefore spoil nothing.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path

from fer_prep.atomic_files import stage_file
from fer_prep.digests import bytes_digest, file_digest, settings_digest
from fer_prep.errors import FerError, FormatError, Reason, SampleError
from fer_prep.formats.images import write_image
from fer_prep.prepare.files import depth_path, rgb_path
from fer_prep.prepare.prepare_sample import NOT_FOUND, PreparedSample, prepare_sample
from fer_prep.prepare.records import Record
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.prepare.worker_place import WorkerPlace, check_place
from fer_prep.sample import Rejection, Sample
from fer_prep.samples_table import cells_to_text
from fer_prep.sources import Source
from fer_prep.sources.raw_tree import printable


@dataclass(frozen=True, kw_only=True)
class Task:
    """One sample to bring up to date; ``known`` is what an earlier run left of it."""

    sample: Sample
    known: Record | None


@dataclass(frozen=True, kw_only=True)
class Reused:
    """The sample's files are there, whole, and made from the same inputs, settings and code."""

    record: Record


@dataclass(frozen=True, kw_only=True)
class Staged:
    """The sample was prepared; its files wait under temporary names."""

    record: Record
    rgb: Path
    depth: Path


Outcome = Reused | Staged | Rejection


@dataclass(frozen=True, kw_only=True)
class PrepareTask:
    """The function that workers apply to tasks: picklable, safe to call from several threads."""

    source: Source
    settings: PrepareSettings
    root: Path
    folder: Path
    code: str
    """Digest of the code that makes the pixels."""
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
                return Reused(record=task.known)
            prepared = prepare_sample(sample, source=self.source, settings=self.settings)
        except SampleError as error:
            return self._rejection(sample, error.stage, error.reason, error.expected, error.found, error.path)
        except FormatError as error:
            return self._rejection(sample, "read", Reason.UNREADABLE, error.expected, error.found, error.path)
        except OSError as error:
            found = error.strerror or str(error)
            return self._rejection(sample, "read", Reason.UNREADABLE, "a readable file", found, error.filename)
        except FerError:
            raise  # about the whole run: a missing library, an unusable option
        except Exception as error:  # a bug must not cost the other samples; it is named in the table
            if self.debug:
                raise
            expected = "no internal error (please report it)"
            return self._rejection(sample, "internal", Reason.INTERNAL, expected, _named(error), None)
        return self._stage(sample, key, prepared)

    def _key(self, sample: Sample) -> str:
        """Digest of all that the sample's pixels depend on."""
        return settings_digest(
            {
                "id": sample.id,
                "inputs": {role: file_digest(path) for role, path in sample.files.items()},
                "settings": self.settings.content(sample),
                "source": dict(self.source.load_settings()),
                "code": self.code,
            }
        )

    def _is_up_to_date(self, known: Record, key: str) -> bool:
        if known.key != key or (known.measured["landmarks_from"] == NOT_FOUND and self.settings.unfound == "reject"):
            return False
        try:
            return (
                file_digest(rgb_path(self.folder, known.name)) == known.rgb
                and file_digest(depth_path(self.folder, known.name)) == known.depth
            )
        except OSError:
            return False

    def _stage(self, sample: Sample, key: str, prepared: PreparedSample) -> Staged:
        rgb = write_image(prepared.rgb)
        depth = write_image(prepared.depth)
        record = Record(
            name=sample.name,
            key=key,
            rgb=bytes_digest(rgb),
            depth=bytes_digest(depth),
            measured=cells_to_text(prepared.measured),
        )
        return Staged(
            record=record,
            rgb=stage_file(rgb_path(self.folder, sample.name), content=rgb, flush=False),
            depth=stage_file(depth_path(self.folder, sample.name), content=depth, flush=False),
        )

    def _rejection(
        self, sample: Sample, stage: str, reason: Reason, expected: str, found: str, path: Path | str | None
    ) -> Rejection:
        """Name the file that is wrong, relative to the raw tree."""
        file = sample.source_file
        if path is not None and Path(path).is_relative_to(self.root):
            file = Path(path).relative_to(self.root).as_posix()
        return Rejection(
            source_file=printable(file),
            sample_id=sample.id,
            stage=stage,
            expected=expected,
            found=found,
            reason=reason,
        )


def _named(error: Exception) -> str:
    """An unexpected error in one line: its type, text, and the place in the code."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})".replace("\n", " ")
