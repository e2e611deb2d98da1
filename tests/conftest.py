"""What all tests share: faces that MediaPipe finds."""

from __future__ import annotations

import signal
import threading

import hypothesis
import pytest
from filelock import FileLock
from headless_browser import start_browser
from sample_faces import SampleFaces, make_sample_faces

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    # a shell starts background jobs with SIGINT ignored, and children would inherit that: Ctrl-C could not be tested
    signal.signal(signal.SIGINT, signal.default_int_handler)

# nothing here may depend on how fast the machine is, or how busy
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def sample_faces(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> SampleFaces:
    """Faces that MediaPipe finds, with truth; written once, also where several processes share the tests."""
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "sample_faces"
    root.mkdir(exist_ok=True)
    with FileLock(root / ".lock"):
        return make_sample_faces(root)


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; the test is skipped where there is none."""
    driver = start_browser()
    yield driver
    driver.quit()
