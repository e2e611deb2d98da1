"""What all tests share: where the independent corpus is, when this checkout has one."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from sample_faces import SampleFaces, make_sample_faces

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    # a shell starts background jobs with SIGINT ignored, and children would inherit that: Ctrl-C could not be tested
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The small independent datasets with truth, beside the checkout; the test is skipped where they are absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip("the independent corpus is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def sample_faces(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> SampleFaces:
    """Faces that MediaPipe finds, with truth; written once, also where several processes share the tests."""
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "sample_faces"
    root.mkdir(exist_ok=True)
    with FileLock(root / ".lock"):
        return make_sample_faces(root)
