"""The images of a dataset at one size: in memory or read ahead from the file, with the same numbers.

In memory they are integers, read once; a batch is a gather of rows. What does not fit there is read by threads, which
are a few batches ahead of the one that is wanted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_prep.dataset.pixel_sizes import EYE_DISTANCE_MM
from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.statistics import Moments
from fer_prep.errors import FoldsError, UsageError
from fer_prep.progress import Progress, silent
from fer_train.data.cameras import Cameras
from fer_train.data.images import Images, prepare_images, to_tensors
from fer_train.data.inputs import INPUTS, STORED, Modality, modalities_of, refuse_absent_modalities
from fer_train.data.memory import AUTO, describe_bytes, memory_limit

ROWS_AT_ONCE: Final = 8
"""Samples that are read together where nobody asks for a batch; on a CPU many more are resized at half the speed."""
BATCHES_AHEAD: Final = 2
"""Batches that every reading thread has read or is reading beyond the one that is wanted."""


@final
class ImageDataset:
    """What ``inputs`` need of a fer-rgbd file, at ``image_size`` (None: the file's), on ``device``.

    ``classes`` (default: the file's) is the class set in label order; ``metric`` gives the size of pixels also where no
    input wants it; ``memory`` is what the images may take on the device
    before they are streamed, by ``reading_threads`` (0: read when they are asked for). ``say`` hears which and why.
    """

    def __init__(
        self,
        path: Path,
        *,
        inputs: Sequence[str],
        image_size: int | None = None,
        equalise: bool = False,
        classes: Sequence[str] | None = None,
        device: torch.device | str = "cpu",
        metric: bool = False,
        memory: str = AUTO,
        reading_threads: int = 1,
        say: Callable[[str], None] = lambda text: None,
        progress: Progress = silent,
    ) -> None:
        self.file, self.device, self.equalise = DatasetFile.open(path), torch.device(device), equalise
        self.file.verify_tables()
        refuse_absent_modalities(inputs, self.file)
        self.modalities = modalities_of(inputs)
        self.classes = tuple(classes or self.file.classes)
        unknown = [name for name in self.classes if name not in self.file.classes]
        if unknown:
            raise UsageError(f"no class {unknown[0]!r}; it has: {', '.join(self.file.classes)}", path=path)
        if image_size is None and self.file.height != self.file.width:
            found = f"{self.file.width} × {self.file.height}"
            raise UsageError(f"images of {found} are not square", path=path, hint="give an --image-size")
        self.image_size = image_size or self.file.height
        self.ids: NDArray[np.str_] = self.file.ids
        self.labels = torch.from_numpy(self.file.labels_within(self.classes))
        """(N,) int64 on the CPU, dense in ``classes``; −1 for samples of other classes."""
        self._labels_here = self.labels.to(self.device)
        a_pixel = sum(kind.channels * getattr(torch, kind.dtype).itemsize for kind in self._kinds)
        needed = len(self) * self.image_size**2 * a_pixel
        limit, source = memory_limit(memory, self.device)
        fits, allowed = needed <= limit, f"{describe_bytes(limit)} allowed on {self.device} ({source})"
        threads = f"streamed, {reading_threads or 'no'} reading thread{'' if reading_threads == 1 else 's'}"
        say(f"data: {describe_bytes(needed)} of images, {allowed}: {'kept there' if fits else threads}")
        self._threads = None if fits or not reading_threads else ThreadPoolExecutor(reading_threads, "reading")
        self._ahead = BATCHES_AHEAD * reading_threads
        metric = (metric and "depth" in self.modalities) or any(INPUTS[name].is_metric for name in inputs)
        self._camera = self._cameras(say) if metric else {}
        self._memory = self._read_all(progress) if fits else None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def in_memory(self) -> bool:
        """Whether the images are kept on the device."""
        return self._memory is not None

    def rows_of(self, ids: Sequence[str]) -> Tensor:
        """Row numbers (n,) int64 on the CPU, in the order of ``ids``; every sample must be of a chosen class."""
        rows = torch.from_numpy(self.file.rows_of(ids))
        others = (self.labels[rows] < 0).nonzero()
        if len(others):
            raise FoldsError(
                f"{len(others)} samples are of none of the classes {', '.join(self.classes)}, e.g. "
                f"{ids[int(others[0])]}",
                hint="use a fold manifest made for this class set",
            )
        return rows

    def images(self, rows: Tensor) -> dict[str, Tensor]:
        """Modality → (B, C, S, S) integers of the samples in ``rows`` (B,) int64 on the CPU; on the device."""
        if self._memory is None:
            return self._prepare(self._read(rows), rows)
        there = to_device(rows, self.device)
        images = {name: images[there].permute(0, 3, 1, 2) for name, images in self._memory.items()}
        return images | self._cameras_of(there)

    def batches(self, plan: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        """``images`` of one (B,) of rows after the other, read ahead where they are streamed."""
        if self._threads is None:
            yield from map(self.images, plan)
            return
        ahead: deque[tuple[Future[Images], Tensor]] = deque()
        for rows in plan:
            ahead.append((self._threads.submit(self._read, rows), rows))
            if len(ahead) > self._ahead:
                stored, of_rows = ahead.popleft()
                yield self._prepare(stored.result(), of_rows)
        for stored, of_rows in ahead:
            yield self._prepare(stored.result(), of_rows)

    def labels_of(self, rows: Tensor) -> Tensor:
        """(B,) int64 on the device."""
        return self._labels_here[to_device(rows, self.device)]

    def soft_labels(self) -> Tensor:
        """(N, K) shares of the annotators for each of ``classes``, on the CPU; UsageError where there are none."""
        shares = self.file.soft_labels
        if shares is None:
            raise UsageError(
                "loss.targets = 'soft' needs the shares of several annotators, which this dataset does not have",
                path=self.file.path,
                hint="import them as columns soft_<class>, or use --set loss.targets=hard",
            )
        chosen = torch.from_numpy(shares[:, [self.file.classes.index(name) for name in self.classes]]).float()
        return chosen / chosen.sum(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).eps)

    def moments(self, rows: Tensor) -> dict[str, Moments]:
        """Modality → sums over the pixels of ``rows`` (n,) as they are here (resized, equalised), in stored units."""
        if not self.equalise and (self.file.height, self.file.width) == (self.image_size, self.image_size):
            sums = self.file.statistics(rows.numpy())
            kept = {"rgb": sums.rgb, "depth": sums.depth}
            return {name: moments for name, moments in kept.items() if moments and name in self.modalities}
        totals = {name: [0, *[0] * 2 * STORED[name].channels] for name in self.modalities}
        for images in self.batches(rows.split(ROWS_AT_ONCE)):
            for name in self.modalities:
                found = sums_of(images[name], holes=STORED[name].holes)
                totals[name] = [total + more for total, more in zip(totals[name], found, strict=True)]
        return {
            name: Moments(
                count=count, total=tuple(sums[: len(sums) // 2]), total_of_squares=tuple(sums[len(sums) // 2 :])
            )
            for name, (count, *sums) in totals.items()
        }

    def close(self) -> None:
        """End the reading threads; afterwards nothing may be asked for that is not in memory."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        self.file.close()

    @property
    def _kinds(self) -> list[Modality]:
        return [STORED[name] for name in self.modalities]

    def _read(self, rows: Tensor) -> dict[str, Tensor]:
        """Modality → (B, H, W, C) as stored, on the CPU; pinned where a GPU will fetch it."""
        stored = to_tensors({name: self.file.read(name, rows.numpy()) for name in self.modalities})
        return {name: each.pin_memory() for name, each in stored.items()} if self.device.type == "cuda" else stored

    def _prepare(self, stored: Images, rows: Tensor) -> dict[str, Tensor]:
        there = {name: to_device(each, self.device) for name, each in stored.items()}
        images = prepare_images(there, image_size=self.image_size, equalise=self.equalise)
        return images | self._cameras_of(to_device(rows, self.device))

    def _cameras_of(self, rows: Tensor) -> dict[str, Tensor]:
        return {name: values[rows] for name, values in self._camera.items()}

    def _cameras(self, say: Callable[[str], None]) -> dict[str, Tensor]:
        """``PIXEL_MM`` and ``RAYS`` of all samples, at the size of the images, on the device."""
        cameras = Cameras.of(self.file)
        if count := int(cameras.estimated.sum()):
            say(
                f"data: no camera is known of {count} samples: eyes {EYE_DISTANCE_MM:g} mm apart say how large they are"
            )
        beside = cameras.at(self.image_size, stored_px=self.file.width)
        return {name: values.to(self.device) for name, values in beside.items()}

    def _read_all(self, progress: Progress) -> dict[str, Tensor]:
        """Modality → (N, S, S, C) integers on the device, read front to back."""
        shape = len(self), self.image_size, self.image_size
        memory = {
            name: torch.empty(*shape, kind.channels, dtype=getattr(torch, kind.dtype), device=self.device)
            for name, kind in zip(self.modalities, self._kinds, strict=True)
        }
        with progress("reading the dataset", total=len(self)) as advance:
            for rows in torch.arange(len(self)).split(ROWS_AT_ONCE):
                images = self._prepare(self._read(rows), rows)
                for name in memory:
                    memory[name][rows[0] : rows[-1] + 1] = images[name].permute(0, 2, 3, 1)
                advance(len(rows))
        return memory


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """There without waiting for what the device is at: small tensors are staged, large ones should be pinned."""
    return tensor.to(device, non_blocking=True)


def sums_of(images: Tensor, *, holes: bool) -> list[int]:
    """[number of pixels that count, sums (C), sums of squares (C)] of (B, C, S, S) integers, exact."""
    values = images.long()
    count = (values[:, 0] > 0).sum() if holes else torch.tensor(values[:, 0].numel())
    sums, squares = values.sum(dim=(0, 2, 3)), values.square().sum(dim=(0, 2, 3))
    return [int(count), *sums.tolist(), *squares.tolist()]
