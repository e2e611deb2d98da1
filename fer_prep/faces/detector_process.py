"""MediaPipe in a process beside a worker's own, where Python's lock of the worker's threads cannot keep it waiting.

A worker that prepares several samples side by side in threads has one detector for all. In the worker's own process
every step of the detection would have to wait for Python's lock, which the other threads hold by turns. So the worker
starts a process that does nothing but detect, and shows it pictures in memory that both see; while one is looked at,
the next lies ready. The two end together: where the detector dies the worker dies in the same manner, so that whoever
watches over workers sees it; where the worker dies the detector finds nobody at the other end.
"""

from __future__ import annotations

import itertools
import mmap
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FerError
from fer_prep.faces.mediapipe_models import detect_faces

_REQUEST: Final = struct.Struct("<III")
"""Number of the slot the picture lies in, its height and width; where the slot is new, its file comes along."""
_ANSWER: Final = struct.Struct("<Q")
"""Bytes of the pickle that follows: a list of meshes, or the error that was raised."""

_SLOT_BYTES: Final = 1 << 20
"""A slot's size, unless a picture needs a larger one: enough for 590²; a page that is never used takes no memory."""

_START: Final = "import sys; sys.path[:] = {path!r}; from {module} import serve; serve({descriptor}, {task_file!r})"

GIVE_WAY_NICE: Final = 10
"""Niceness of the threads that ask: a ninth of the detector's weight where they share a processor."""

_starting = threading.Lock()
_asking = threading.local()
_beside: dict[tuple[int, Path | None], _Detector] = {}
"""By process and task file, the detector beside it."""


def detect_faces_beside(picture: NDArray[np.uint8], *, task_file: Path | None = None) -> list[NDArray[np.float64]]:
    """What ``detect_faces`` finds in a picture (H, W, 3) u1 sRGB, by the detector process of this process.

    It is started at the first call. Safe to call from several threads; raises what ``detect_faces`` raises.
    """
    with _starting:
        key = os.getpid(), task_file
        if key not in _beside:
            _beside[key] = _Detector(task_file)
        detector = _beside[key]
    _give_way()
    return detector.faces(picture)


def _give_way() -> None:
    """Let the detector run before the thread that asks, which is ahead of it: the detector is what all wait for.

    Else the scheduler takes its processor from it seven times a picture. Only Linux gives threads priorities of their
    own that way.
    """
    if sys.platform == "linux" and not getattr(_asking, "gives_way", False):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(GIVE_WAY_NICE, os.getpriority(os.PRIO_PROCESS, thread)))
        _asking.gives_way = True


class _Detector:
    """The worker's end: requests go out as they come, answers come back in the same order.

    So every request has a lock, held until its answer has come, and waits for that of the request before: an answer
    wakes up one thread, where a condition would wake up all.
    """

    def __init__(self, task_file: Path | None) -> None:
        self._socket, theirs = socket.socketpair()
        code = _START.format(
            path=sys.path, module=__name__, descriptor=theirs.fileno(), task_file=task_file and str(task_file)
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
        theirs.close()
        self._sending = threading.Lock()
        self._last = threading.Lock()
        self._free: list[_Slot] = []
        self._slots = itertools.count()

    def faces(self, picture: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
        slot = self._free_slot()
        try:
            answer = self._ask(picture, slot)
        except (EOFError, ConnectionError):
            self._die_alike()
        self._free.append(slot)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _free_slot(self) -> _Slot:
        try:
            return self._free.pop()  # one step: another thread may take the last one between a look and this
        except IndexError:
            return _Slot(next(self._slots))

    def _ask(self, picture: NDArray[np.uint8], slot: _Slot) -> Any:
        new_file = slot.put(picture)
        request = _REQUEST.pack(slot.number, *picture.shape[:2])
        answered = threading.Lock()
        with answered:
            with self._sending:
                before, self._last = self._last, answered
                socket.send_fds(self._socket, [request], [new_file.fileno()] if new_file else [])
            if new_file:
                new_file.close()
            with before:
                (size,) = _ANSWER.unpack(_receive(self._socket, _ANSWER.size))
                answer = _receive(self._socket, size)
        return pickle.loads(answer)

    def _die_alike(self) -> NoReturn:
        """End this process as the detector ended."""
        code = self._process.wait()
        if code < 0:
            os.kill(os.getpid(), -code)
            signal.pause()
        os._exit(code or 1)


class _Slot:
    """A place for one picture at a time, in memory that the detector process sees as well."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._bytes = np.empty(0, np.uint8)

    def put(self, picture: NDArray[np.uint8]) -> BinaryIO | None:
        """Put ``picture`` in. Where that took new memory, its file, which the detector must be given: close it then."""
        new_file = None
        if picture.nbytes > self._bytes.size:
            new_file = _memory_file(max(picture.nbytes, _SLOT_BYTES))
            self._bytes = _mapped(new_file.fileno())
        np.copyto(self._bytes[: picture.nbytes].reshape(picture.shape), picture)
        return new_file


def _memory_file(size: int) -> BinaryIO:
    """A file of ``size`` bytes without a name, in memory where the system has such files."""
    in_memory = sys.platform == "linux"
    file: Any = os.fdopen(os.memfd_create("picture"), "w+b") if in_memory else tempfile.TemporaryFile()  # noqa: SIM115
    file.truncate(size)
    return file


def _mapped(descriptor: int) -> NDArray[np.uint8]:
    """All bytes of a file as shared memory, which stays when the descriptor is closed."""
    return np.frombuffer(mmap.mmap(descriptor, 0), np.uint8)


def serve(descriptor: int, task_file: str | None) -> None:
    """The life of a detector process: answer pictures until the worker is gone."""
    place = None if task_file is None else Path(task_file)
    slots: dict[int, NDArray[np.uint8]] = {}
    with socket.socket(fileno=descriptor) as worker:
        try:
            while True:
                picture = _next_picture(worker, slots)
                answer = pickle.dumps(_faces_or_error(picture, place), pickle.HIGHEST_PROTOCOL)
                worker.sendall(_ANSWER.pack(len(answer)))
                worker.sendall(answer)
        except (EOFError, ConnectionError):
            return


def _next_picture(worker: socket.socket, slots: dict[int, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The picture of the next request, where it lies; the memory whose file comes along is put into ``slots``."""
    request, files, _, _ = socket.recv_fds(worker, _REQUEST.size, 1)
    if not request:
        raise EOFError
    number, height, width = _REQUEST.unpack(request + _receive(worker, _REQUEST.size - len(request)))
    for file in files:
        slots[number] = _mapped(file)
        os.close(file)
    return slots[number][: height * width * 3].reshape(height, width, 3)


def _faces_or_error(picture: NDArray[np.uint8], task_file: Path | None) -> list[NDArray[np.float64]] | Exception:
    try:
        return detect_faces(picture, task_file=task_file)
    except FerError as error:
        return error
    except Exception as error:  # of any class: it may not be one that can travel
        return RuntimeError(f"{type(error).__name__}: {error}")


def _receive(connection: socket.socket, size: int) -> bytearray:
    """Exactly ``size`` bytes; raises EOFError where the other end closes before."""
    content = bytearray(size)
    view, done = memoryview(content), 0
    while done < size:
        count = connection.recv_into(view[done:])
        if count == 0:
            raise EOFError
        done += count
    return content
