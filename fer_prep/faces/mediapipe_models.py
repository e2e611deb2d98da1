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

from fer_prep.errors import UsageError
from fer_prep.faces.face_search import Detector

MAX_FACES: Final = 4
MIN_CONFIDENCE: Final = 0.5

_FACE_MESH_GRAPH: Final = "modules/face_landmark/face_landmark_front_cpu.binarypb"
_FACES: Final = "multi_face_landmarks"

# a NormalizedLandmark in a NormalizedLandmarkList on the wire: field 1, 15 bytes: fields 1 to 3, 32-bit floats
_WIRE_POINT: Final = np.dtype(
    [("list", ">u2"), ("x_tag", "u1"), ("x", "<f4"), ("y_tag", "u1"), ("y", "<f4"), ("z_tag", "u1"), ("z", "<f4")]
)
_WIRE_TAGS: Final = {"list": 0x0A0F, "x_tag": 0x0D, "y_tag": 0x15, "z_tag": 0x1D}

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
    return _face_mesh(mediapipe)


def _face_mesh(mediapipe: Any) -> Detector:
    """What ``mediapipe.solutions.face_mesh.FaceMesh`` builds for static images, but run in the thread that asks.

    MediaPipe's own pool of threads hands one picture over some twenty times, and waits for a processor each time where
    other work keeps them all busy; and ``process`` makes a class of named tuples for every picture. The points are
    the same.
    """
    from mediapipe.framework import calculator_pb2
    from mediapipe.python._framework_bindings import _packet_getter
    from mediapipe.python.solution_base import SolutionBase

    # what packet_getter.get_proto_list makes messages of, which would be serialised again
    serialized_of: Any = _packet_getter._get_serialized_proto_list

    class FaceMesh(SolutionBase):
        def faces(self, picture: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
            """As ``SolutionBase.process`` of MediaPipe 0.10.14, for the one input and output of this graph."""
            graph: Any = self._graph
            self._graph_outputs.clear()
            self._simulated_timestamp += 33333
            inputs: Any = self._input_stream_type_info
            ((stream, kind),) = inputs.items()
            packet = self._make_packet(kind, picture).at(self._simulated_timestamp)
            graph.add_packet_to_input_stream(stream=stream, packet=packet)
            graph.wait_until_idle()
            found = self._graph_outputs.get(_FACES)
            meshes = [] if found is None or found.is_empty() else serialized_of(found)
            return [_in_pixels(_coordinates(mesh), picture.shape) for mesh in meshes]

    graph = calculator_pb2.CalculatorGraphConfig()  # type: ignore[attr-defined]  # made at import
    graph.ParseFromString((Path(mediapipe.__file__).parent / _FACE_MESH_GRAPH).read_bytes())
    graph.executor.add(type="ApplicationThreadExecutor")
    face_detection = "facedetectionshortrangecpu__facedetectionshortrange__facedetection__"
    mesh = FaceMesh(
        graph_config=graph,
        side_inputs={"num_faces": MAX_FACES, "with_attention": True, "use_prev_landmarks": False},
        calculator_params={
            f"{face_detection}TensorsToDetectionsCalculator.min_score_thresh": MIN_CONFIDENCE,
            "facelandmarkcpu__ThresholdingCalculator.threshold": MIN_CONFIDENCE,
        },
        outputs=[_FACES],
    )
    return mesh.faces


def _load_task(task_file: Path) -> Detector:
    mediapipe = _import_mediapipe()
    vision = mediapipe.tasks.vision
    try:
        landmarker = vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=mediapipe.tasks.BaseOptions(model_asset_buffer=task_file.read_bytes()),
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
        return [_in_pixels(_x_and_y(face), picture.shape) for face in faces]

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
    """Import MediaPipe with its logging turned down; a missing package is a UsageError that names the cure."""
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", message=r".*SymbolDatabase\.GetPrototype", category=UserWarning)
    try:
        import mediapipe
    except ImportError as error:
        raise UsageError(
            f"MediaPipe cannot be imported: {error}",
            hint="run `fer-prep doctor`, or use --landmarks dataset, file or none",
        ) from error
    return mediapipe


def _coordinates(wire: bytes) -> NDArray[np.float64]:
    """Normalised x and y of a NormalizedLandmarkList, (n, 2), from its wire format.

    Read at once where all points have the same fields: asking for 478 points one by one takes ten times as long,
    under Python's lock.
    """
    if len(wire) % _WIRE_POINT.itemsize == 0:
        points = np.frombuffer(wire, _WIRE_POINT)
        if all((points[tag] == code).all() for tag, code in _WIRE_TAGS.items()):
            return np.stack([points["x"], points["y"]], axis=1, dtype=np.float64)
    from mediapipe.framework.formats import landmark_pb2

    return _x_and_y(landmark_pb2.NormalizedLandmarkList.FromString(wire).landmark)  # type: ignore[attr-defined]


def _x_and_y(landmarks: Any) -> NDArray[np.float64]:
    return np.array([(point.x, point.y) for point in landmarks], np.float64).reshape(-1, 2)


def _in_pixels(points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Normalised MediaPipe points → (n, 2) continuous pixels.

    0 is the *centre* of the first pixel and not its edge. Measured on 85 synthetic faces, as recorded and mirrored:
    whether they are shown at 112, 224, 448 or 896 pixels, eyes lie half a pixel too far left and up without this.
    """
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
