"""MediaPipe in a process beside a worker's own, where Python's lock of the worker's threads cannot keep it waiting.

A worker that prepares several samples side by side in threads has one detector for all. In the worker's own process
every step of the detection would have to wait for Python's lock, which the other threads hold by turns. So the worker
starts a process that does nothing but detect, and sends it pictures; while one is being looked at, the next is on its
way. The two end together: where the detector dies the worker dies in the same manner, so that whoever watches over
workers sees it; where the worker dies the detector finds nobody at the other end.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FerError
from fer_prep.faces.mediapipe_models import detect_faces

_REQUEST: Final = struct.Struct("<II")
"""Height and width of the picture that follows, three bytes a pixel."""
_ANSWER: Final = struct.Struct("<Q")
"""Bytes of the pickle that follows: a list of meshes, or the error that was raised."""

_START: Final = "import sys; sys.path[:] = {path!r}; from {module} import serve; serve({descriptor}, {task_file!r})"

GIVE_WAY_NICE: Final = 5
"""Niceness of the threads that ask: a third of the detector's weight where they share a processor."""

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
    """The worker's end: requests go out as they come, answers come back in the same order."""

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
        self._turn = threading.Condition()
        self._sent = self._answered = 0

    def faces(self, picture: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
        try:
            answer = self._ask(np.ascontiguousarray(picture))
        except (EOFError, ConnectionError):
            self._die_alike()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _ask(self, picture: NDArray[np.uint8]) -> Any:
        with self._sending:
            ticket = self._sent
            self._sent += 1
            self._socket.sendall(_REQUEST.pack(*picture.shape[:2]))
            self._socket.sendall(picture.reshape(-1).data)
        with self._turn:
            self._turn.wait_for(lambda: self._answered == ticket)
        (size,) = _ANSWER.unpack(_receive(self._socket, _ANSWER.size))
        answer = pickle.loads(_receive(self._socket, size))
        with self._turn:
            self._answered += 1
            self._turn.notify_all()
        return answer

    def _die_alike(self) -> NoReturn:
        """End this process as the detector ended."""
        code = self._process.wait()
        if code < 0:
            os.kill(os.getpid(), -code)
            signal.pause()
        os._exit(code or 1)


def serve(descriptor: int, task_file: str | None) -> None:
    """The life of a detector process: answer pictures until the worker is gone."""
    place = None if task_file is None else Path(task_file)
    with socket.socket(fileno=descriptor) as worker:
        try:
            while True:
                height, width = _REQUEST.unpack(_receive(worker, _REQUEST.size))
                pixels = _receive(worker, height * width * 3)
                picture = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
                answer = pickle.dumps(_faces_or_error(picture, place), pickle.HIGHEST_PROTOCOL)
                worker.sendall(_ANSWER.pack(len(answer)))
                worker.sendall(answer)
        except (EOFError, ConnectionError):
            return


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
