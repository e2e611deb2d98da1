"""MediaPipe's face mesh as a plain function from picture to points: one detector per process, and quiet.

Two back ends: ``mp.solutions.face_mesh`` with the models inside the wheel (no download), and the Tasks API with a
``face_landmarker.task`` file that the user has. Both run in static-image mode, where nothing is carried over from one
picture to the next, so that order and number of workers do not matter.

Processes must be started by *spawn*: one forked after MediaPipe was used corrupts its memory and hangs.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import InstallationError, UsageError
from fer_prep.faces.face_search import Detector
from fer_prep.regular_files import read_bytes

MAX_FACES: Final = 4
MIN_CONFIDENCE: Final = 0.5

_one_at_a_time = threading.Lock()
"""MediaPipe's graphs are not made for calls from several threads."""

_loaded: dict[Path | None, tuple[int, Detector]] = {}
"""By task file (None: the wheel's own models), the process that loaded it and the detector."""


def detect_faces(picture: NDArray[np.uint8], *, task_file: Path | None = None) -> list[NDArray[np.float64]]:
    """The face meshes of a picture (H, W, 3) u1 sRGB: (478, 2) continuous pixels each.

    Models are loaded at the first call, once per process; safe to call from several threads, which take turns.
    """
    with _one_at_a_time:
        if task_file not in _loaded:
            with quiet_stderr():
                detect = _load_wheel() if task_file is None else _load_task(task_file)
                # the first call still announces delegates and feedback managers on stderr
                detect(np.zeros((64, 64, 3), np.uint8))
            _loaded[task_file] = os.getpid(), detect
        process, detect = _loaded[task_file]
        if process != os.getpid():
            raise RuntimeError("MediaPipe was used before this process was forked: start workers by spawn")
        return detect(picture)


def _load_wheel() -> Detector:
    mediapipe = _import_mediapipe()
    if not hasattr(mediapipe, "solutions"):
        raise UsageError(
            f"mediapipe {mediapipe.__version__} carries no face models",
            hint='pip install "mediapipe==0.10.14", or give a model: --landmarks task:face_landmarker.task',
        )
    mesh = mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=True,
        max_num_faces=MAX_FACES,
        refine_landmarks=True,
        min_detection_confidence=MIN_CONFIDENCE,
    )

    def detect(picture: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
        faces = mesh.process(picture).multi_face_landmarks or ()
        return [_in_pixels(face.landmark, picture.shape) for face in faces]

    return detect


def _load_task(task_file: Path) -> Detector:
    mediapipe = _import_mediapipe()
    vision = mediapipe.tasks.vision
    try:
        landmarker = vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=mediapipe.tasks.BaseOptions(model_asset_buffer=read_bytes(task_file)),
                running_mode=vision.RunningMode.IMAGE,
                num_faces=MAX_FACES,
                min_face_detection_confidence=MIN_CONFIDENCE,
            )
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise _not_a_bundle(task_file, error) from error

    def detect(picture: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
        try:
            faces = landmarker.detect(image).face_landmarks
        except RuntimeError as error:  # a bundle of other models fails only when it runs
            raise _not_a_bundle(task_file, error) from error
        return [_in_pixels(face, picture.shape) for face in faces]

    return detect


def _not_a_bundle(task_file: Path, error: Exception) -> UsageError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
    return UsageError(
        expected="a MediaPipe face_landmarker.task bundle",
        found=f"one that MediaPipe refuses: {reason[-160:]}",
        path=task_file,
        hint="use --landmarks mediapipe for the models inside the wheel",
    )


def _import_mediapipe() -> Any:
    """Import MediaPipe with its logging turned down; a missing package is an InstallationError that names the cure."""
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", message=r".*SymbolDatabase\.GetPrototype", category=UserWarning)
    try:
        import mediapipe
    except ImportError as error:
        raise InstallationError(
            f"MediaPipe cannot be imported: {error}",
            hint="run `fer-prep doctor`, or use --landmarks dataset, file or none",
        ) from error
    return mediapipe


def _in_pixels(landmarks: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Normalised MediaPipe points → (n, 2) continuous pixels.

    0 is the *centre* of the first pixel and not its edge. Measured on 85 synthetic faces, as recorded and mirrored:
    whether they are shown at 112, 224, 448 or 896 pixels, eyes lie half a pixel too far left and up without this.
    """
    points = np.array([(point.x, point.y) for point in landmarks], np.float64)
    return points * [shape[1], shape[0]] + 0.5


@contextmanager
def quiet_stderr() -> Generator[None]:
    """Hold back what native libraries write to file descriptor 2; show it after all if the block raises."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except BaseException:
            held_back.seek(0)
            os.write(kept, held_back.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
