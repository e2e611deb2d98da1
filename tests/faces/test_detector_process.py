"""The detector beside a worker: the same points as in one process, and an end in common."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from fer_prep.errors import UsageError
from fer_prep.faces.detector_process import GIVE_WAY_NICE, detect_faces_beside
from fer_prep.faces.mediapipe_models import detect_faces
from fer_prep.formats.images import read_rgb

WORKER = """
import sys
import numpy as np
import psutil
from fer_prep.faces.detector_process import detect_faces_beside

picture = np.zeros((64, 48, 3), np.uint8)
assert detect_faces_beside(picture) == []
print(psutil.Process().children()[0].pid, flush=True)
sys.stdin.readline()
detect_faces_beside(picture)
"""


@pytest.fixture
def worker():
    """A process whose detector is running, and that detector; the process asks again when it reads a line."""
    process = subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process, psutil.Process(int(process.stdout.readline()))
    process.kill()
    process.communicate()


def found_beside(picture):
    """Asked for by a thread of its own: those that ask give way from then on."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(detect_faces_beside, picture).result()


def test_threads_get_the_answers_to_their_own_pictures(corpus):
    pictures = [read_rgb(file.read_bytes()) for file in sorted(corpus.glob("CalD3r/*/RGB/*.png"))[:8]]
    pictures.append(np.zeros((900, 700, 3), np.uint8))  # more than a slot holds at first
    expected = [detect_faces(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(detect_faces_beside, pictures * 3))
    for ours, theirs in zip(found, expected * 3, strict=True):
        assert [mesh.tobytes() for mesh in ours] == [mesh.tobytes() for mesh in theirs]


def test_any_part_of_a_picture_can_be_shown(corpus):
    picture = read_rgb(sorted(corpus.glob("CalD3r/*/RGB/*.png"))[0].read_bytes())
    part = np.pad(picture, ((3, 3), (5, 5), (0, 0)))[3:-3, 5:-5]
    assert not part.flags.c_contiguous
    (ours,), (theirs,) = found_beside(part), detect_faces(picture)
    assert ours.tobytes() == theirs.tobytes()


def test_no_file_stays_open():
    found_beside(np.zeros((64, 64, 3), np.uint8))
    processes = [psutil.Process(), *(child for child in psutil.Process().children() if "serve(" in child.cmdline()[-1])]
    before = [process.num_fds() for process in processes]
    for side_px in (600, 700, 800):  # each needs a larger slot than the one before
        found_beside(np.zeros((side_px, side_px, 3), np.uint8))
    assert [process.num_fds() for process in processes] == before


def test_threads_that_ask_give_way_to_the_detector():
    def ask_and_tell():
        detect_faces_beside(np.zeros((64, 64, 3), np.uint8))
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(ask_and_tell).result() == max(before, GIVE_WAY_NICE)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before  # only those threads
    assert [child.nice() for child in psutil.Process().children() if "serve(" in child.cmdline()[-1]] == [before]


def test_what_the_detector_refuses_is_raised_here(tmp_path):
    (tmp_path / "face.task").write_bytes(b"no bundle")
    for _ in range(2):
        with pytest.raises(UsageError, match=r"face_landmarker\.task bundle"):
            detect_faces_beside(np.zeros((64, 64, 3), np.uint8), task_file=tmp_path / "face.task")


def test_the_detector_ends_with_its_worker(worker):
    process, detector = worker
    process.kill()
    detector.wait(timeout=10)


def test_a_worker_dies_as_its_detector_did(worker):
    process, detector = worker
    detector.kill()
    process.communicate("\n", timeout=30)
    assert process.returncode == -9
