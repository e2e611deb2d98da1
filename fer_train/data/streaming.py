"""A dataset that does not fit into memory: the batches that are about to be wanted are read ahead.

Which rows training will ask for, and in which order, is known long before (``epoch_order``). Threads read exactly these
past HDF5; where pixels are compressed, HDF5 unpacks them in the worker processes of PyTorch's DataLoader, since it does
one thing at a time in a process. Pages are pinned for a GPU, and the copy to it runs on a stream of its own beside the
computation. Memory is that of the pieces on their way, whatever the size of the dataset.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fer_prep.dataset.direct import DirectPixels
from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.statistics import PixelSums, total_sums
from fer_prep.errors import EngineError, FerError
from fer_prep.progress import Progress, silent
from fer_train.data.batch import Batch, Pixels, concatenated
from fer_train.data.pixel_store import Wanted, open_wanted, prepare_pixels, rows_of_classes, to_tensors

ROWS_A_PIECE: Final = 64
"""Larger batches come in pieces of so many samples, so that what is under way stays small (22 MB each at 260²)."""

PIECES_AHEAD: Final = 2
"""Pieces that every thread or process has read or is reading beyond the one that is wanted."""


class Piece(NamedTuple):
    """Some samples as they are stored, on the CPU."""

    rgb: Tensor
    """(B, H, W, 3) u8."""
    depth: Tensor
    """(B, H, W) i16 with the bits of u16."""
    labels: Tensor
    """(B,) int64."""
    rows: Tensor
    """(B,) int64."""


@final
class PieceReader(Dataset[Piece | FerError]):
    """Row numbers → ``Piece``. Picklable; every process opens the file for itself, when it first reads."""

    def __init__(self, path: Path, *, labels: Tensor) -> None:
        self.path, self.labels = path, labels
        self._file: DatasetFile | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def __getitem__(self, rows: Tensor) -> Piece | FerError:
        """What went wrong is returned: an error raised in a worker of a DataLoader arrives as text.

        Processes read through HDF5, which can unpack.
        """
        try:
            self._file = self._file or DatasetFile.open(self.path)
            ascending, back = rows.unique(sorted=True, return_inverse=True)
            numbers = ascending.numpy()
            pixels = to_tensors(self._file.read("rgb", numbers), self._file.read("depth", numbers))
            return Piece(*(each[back] for each in pixels), labels=self.labels[rows], rows=rows)
        except FerError as error:
            return error


@final
class ReadingThreads:
    """Reads the pieces of a plan ahead in threads of this process; an iterator over them, in order."""

    def __init__(self, pixels: DirectPixels, file: DatasetFile, *, labels: Tensor, threads: int, pinned: bool) -> None:
        self._pixels, self._labels, self._pinned = pixels, labels, pinned
        self._size = (file.height, file.width)
        self._ahead = threads * PIECES_AHEAD
        self._threads = ThreadPoolExecutor(max(1, threads), thread_name_prefix="reading")
        self._plan: Iterator[Tensor] = iter(())
        self._under_way: deque[Future[Piece]] = deque()

    def start(self, plan: Iterable[Tensor]) -> Self:
        """Forget what was under way, and begin with ``plan``, which may be endless."""
        while self._under_way:
            self._under_way.pop().cancel()
        self._plan = iter(plan)
        self._read_ahead()
        return self

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Piece:
        if not self._under_way:
            raise StopIteration
        piece = self._under_way.popleft().result()
        self._read_ahead()
        return piece

    def read(self, rows: Tensor) -> Piece:
        """The samples in ``rows`` (B,), here and now."""
        rgb = torch.empty(len(rows), *self._size, 3, dtype=torch.uint8, pin_memory=self._pinned)
        depth = torch.empty(len(rows), *self._size, dtype=torch.int16, pin_memory=self._pinned)
        self._pixels.read_into(rows.numpy(), rgb=rgb.numpy(), depth=depth.numpy())
        return Piece(rgb, depth, self._labels[rows], rows)

    def close(self) -> None:
        """End the threads when they have done what they are at."""
        self.start(())
        self._threads.shutdown()
        self._pixels.close()

    def _read_ahead(self) -> None:
        while len(self._under_way) < self._ahead:
            rows = next(self._plan, None)
            if rows is None:
                return
            self._under_way.append(self._threads.submit(self.read, rows))


@final
class StreamingData:
    """A fer-rgbd dataset of any size, a ``PixelStore``. Row numbers stay on the CPU."""

    def __init__(
        self,
        file: DatasetFile,
        wanted: Wanted,
        *,
        device: torch.device,
        workers: int,
        direct: DirectPixels | None,
        progress: Progress = silent,
    ) -> None:
        self.file, self.ids, self.classes = file, file.ids, wanted.classes
        self.labels = torch.from_numpy(file.labels_within(wanted.classes))
        self.device, self.row_device = device, torch.device("cpu")
        self.image_size, self._equalise = wanted.image_size, wanted.equalise
        self.hits = 0
        """How many batches were asked for as announced."""
        self._reader = PieceReader(file.path, labels=self.labels)
        self._plan = _Plan()
        self._workers = workers
        pinned = device.type == "cuda"
        self._threads = direct and ReadingThreads(direct, file, labels=self.labels, threads=workers, pinned=pinned)
        self._loader = None if direct else self._make_loader()
        self._arriving: Iterator[Piece | FerError] = iter(())
        self._copies = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._sums = self._measure(progress) if wanted.changes(file) else None
        file.close()

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        device: torch.device | str = "cpu",
        classes: Sequence[str] | None = None,
        image_size: int | None = None,
        equalise: bool = False,
        workers: int = 1,
        progress: Progress = silent,
    ) -> StreamingData:
        """The arguments are those of ``ResidentData.load``; ``workers`` 0 reads when the samples are asked for."""
        file, wanted = open_wanted(path, classes=classes, image_size=image_size, equalise=equalise)
        direct = DirectPixels.of(file)
        return cls(file, wanted, device=torch.device(device), workers=workers, direct=direct, progress=progress)

    def __len__(self) -> int:
        return len(self.ids)

    def rows_of(self, ids: Sequence[str]) -> Tensor:
        """Row numbers (n,) int64 on the CPU, in the order of ``ids``; every sample must be of a chosen class."""
        return rows_of_classes(self.file, ids, labels=self.labels, classes=self.classes)

    def announce(self, batches: Iterable[Tensor]) -> None:
        """Start reading ahead; ``batches`` may be endless, it is asked for more as the reading goes on."""
        if self._workers:
            self._plan.replace(batches)
            if self._threads:
                self._arriving = self._threads.start(self._plan)
            elif self._loader is not None:
                self._arriving = iter(self._loader)

    def gather(self, rows: Tensor) -> Batch:
        """The samples in ``rows`` (B,) int64 on the CPU, on the device."""
        return concatenated([self._to_batch(piece) for piece in self._pieces(rows)])

    def statistics(self, rows: ArrayLike) -> PixelSums:
        """Pixel sums over ``rows``, of the pictures as they are here (resized, equalised), in stored units."""
        return self.file.statistics(rows) if self._sums is None else total_sums(self._sums, rows)

    def close(self) -> None:
        """End the reading; afterwards nothing may be announced."""
        self._plan.replace(())
        self._arriving, self._loader = iter(()), None
        if self._threads:
            self._threads.close()

    def _make_loader(self) -> DataLoader[Piece | FerError]:
        """Workers come from a fork server that knows no thread, no GPU and no open file; they stay until the end."""
        settings: dict[str, Any] = {}
        if self._workers:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload([__name__])
            settings = {
                "multiprocessing_context": context,
                "prefetch_factor": PIECES_AHEAD,
                "persistent_workers": True,
                "generator": torch.Generator(),  # the loader draws a seed: not from the generator that dropout uses
            }
        sampler: Any = self._plan
        return DataLoader(
            self._reader,
            sampler=sampler,
            batch_size=None,  # the plan's pieces are batches already
            num_workers=self._workers,
            pin_memory=self.device.type == "cuda",
            **settings,
        )

    def _pieces(self, rows: Tensor) -> Iterator[Piece]:
        """The samples in ``rows``, in order; as they arrive from the workers, or read here."""
        if not self._plan.is_next(rows):
            read = self._threads.read if self._threads else self._reader.__getitem__
            yield from (_checked(read(part)) for part in rows.split(ROWS_A_PIECE))
            return
        self.hits += 1
        for _ in range(self._plan.take()):
            try:
                yield _checked(next(self._arriving))
            # a killed worker shows as the DataLoader's RuntimeError, or as a pipe that breaks in the middle of a piece
            except (RuntimeError, OSError, EOFError) as error:
                words = str(error).splitlines() or [type(error).__name__]
                raise EngineError(
                    f"a process that reads {self.file.path.name} ended: {words[0]}",
                    hint="if memory ran out, take fewer of them with --set machine.reading_workers=1",
                ) from error

    def _to_batch(self, piece: Piece) -> Batch:
        there = self._on_device(piece)
        pixels = self._prepared(there)
        return Batch(pictures=pixels.pictures, depths=pixels.depths, labels=there.labels, rows=there.rows)

    def _prepared(self, piece: Piece) -> Pixels:
        return prepare_pixels(piece.rgb, piece.depth, image_size=self.image_size, equalise=self._equalise)

    def _on_device(self, piece: Piece) -> Piece:
        """Copied on a stream of its own: the copy of one piece runs while the device computes on the one before."""
        if self._copies is None:
            return Piece(*(each.to(self.device) for each in piece))
        with torch.cuda.stream(self._copies):
            there = Piece(*(each.to(self.device, non_blocking=True) for each in piece))
        computing = torch.cuda.current_stream(self.device)
        computing.wait_stream(self._copies)
        for each in there:
            each.record_stream(computing)  # its memory is not to be reused before the computation has read it
        return there

    def _measure(self, progress: Progress) -> dict[str, NDArray[np.int64]]:
        """Read everything once for the sums that normalisation needs of pictures that are not as in the file."""
        blocks: list[dict[str, NDArray[np.int64]]] = []
        batches = torch.arange(len(self)).split(ROWS_A_PIECE)
        self.announce(batches)
        with progress("measuring the resized pictures", total=len(self)) as advance:
            for rows in batches:
                for piece in self._pieces(rows):
                    blocks.append(self._prepared(self._on_device(piece)).sums())
                advance(len(rows))
        return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


@final
class _Plan:
    """The announced batches, in pieces; remembers which are under way. A sampler for the DataLoader."""

    def __init__(self) -> None:
        self._batches: Iterator[Tensor] = iter(())
        self._under_way: deque[Tensor] = deque()

    def replace(self, batches: Iterable[Tensor]) -> None:
        self._batches = iter(batches)
        self._under_way.clear()

    def __iter__(self) -> Iterator[Tensor]:
        for rows in self._batches:
            self._under_way.append(rows)
            yield from rows.split(ROWS_A_PIECE)

    def is_next(self, rows: Tensor) -> bool:
        return bool(self._under_way) and torch.equal(self._under_way[0], rows)

    def take(self) -> int:
        """How many pieces the next batch has, which is no longer under way from now on."""
        return -(-len(self._under_way.popleft()) // ROWS_A_PIECE)


def _checked(outcome: Piece | FerError) -> Piece:
    if isinstance(outcome, FerError):
        raise outcome
    return outcome
