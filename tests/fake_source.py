"""A small dataset of its own for tests of preparing: text files, one a sample, that worker processes can load.

A file ``F0001_anger.txt`` holds a word: ``face`` (a face with eye corners), ``faceless``, ``broken`` (not the format),
``bug`` (an unexpected error), ``killer`` (takes its worker down), ``killer-once`` (only while ``survived`` is absent).
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_prep.digests import bytes_digest
from fer_prep.errors import FormatError, UsageError
from fer_prep.faces.picture_scene import PictureScene
from fer_prep.landmark_names import EYE_CORNERS
from fer_prep.sample import Listing, Sample

EMOTIONS = ("anger", "disgust", "fear", "happiness")
SIDE = 48


@dataclass(frozen=True, kw_only=True)
class FakeSource:
    dataset: str = "fake"
    brightness: int = 100
    """An option that changes pixels."""
    relabel: bool = False
    """An option that changes labels only."""
    seconds: float = 0.0
    """How long a sample takes to load."""

    def settings(self) -> dict[str, Any]:
        return {"brightness": self.brightness, "relabel": self.relabel}

    def load_settings(self) -> dict[str, Any]:
        return {"brightness": self.brightness}

    def list_samples(self, root: Path) -> Listing:
        files = sorted(root.glob("*.txt"))
        if not files:
            raise UsageError("no fake tree", path=root)
        return Listing(samples=tuple(self._sample(file) for file in files))

    def _sample(self, file: Path) -> Sample:
        subject, emotion = file.stem.split("_")[:2]
        return Sample(
            id=f"{self.dataset}/{file.stem}",
            dataset=self.dataset,
            subject=f"{self.dataset}:{subject}",
            emotion="sadness" if self.relabel else emotion,
            label_source="posed",
            source_file=file.name,
            files={"text": file},
        )

    def load(self, sample: Sample) -> PictureScene:
        word = sample.files["text"].read_text().split()[0]
        time.sleep(self.seconds)
        survived = sample.files["text"].with_name("survived")
        if word == "killer" or (word == "killer-once" and not survived.exists()):
            survived.touch()
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # the signal may reach another thread first
        if word == "bug":
            raise KeyError("no such thing")
        if word not in ("face", "faceless", "killer-once"):
            raise FormatError(expected="a word this dataset knows", found=word, path=sample.files["text"])
        return self._scene(sample, with_face=word != "faceless")

    def _scene(self, sample: Sample, *, with_face: bool) -> PictureScene:
        rng = np.random.default_rng(list(bytes.fromhex(bytes_digest(sample.id.encode()))))
        rgb = rng.integers(0, self.brightness, (SIDE, SIDE, 3), dtype=np.uint8)
        z_mm = rng.normal(-500, 5, (SIDE, SIDE)).astype(np.float32)
        corners = [(30.0, 20.0), (26.0, 20.5), (20.0, 20.0), (16.0, 19.5)]
        landmarks = dict(zip(EYE_CORNERS, map(np.array, corners), strict=True)) if with_face else {}
        return PictureScene(rgb=rgb, z_mm=z_mm, valid=np.ones((SIDE, SIDE), bool), landmarks=landmarks)


def write_tree(root: Path, *, samples: int, words: dict[int, str] | None = None) -> Path:
    """A fake tree of ``samples`` files; ``words`` says which of them are not faces."""
    root.mkdir(parents=True, exist_ok=True)
    for number in range(samples):
        word = (words or {}).get(number, "face")
        (root / f"F{number:04d}_{EMOTIONS[number % 4]}.txt").write_text(f"{word} {number}\n")
    return root
