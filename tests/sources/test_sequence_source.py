"""A source of sequences in one small file: every frame is a sample that knows its clip and its place there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from folder_snapshot import snapshot

from fer_prep.engines.engine import InProcessEngine
from fer_prep.engines.process_engine import ProcessEngine
from fer_prep.faces.finder_spec import FinderSpec
from fer_prep.formats.images import write_image
from fer_prep.prepare.folder import PreparedFolder
from fer_prep.prepare.prepare_tree import prepare
from fer_prep.prepare.settings import PrepareSettings
from fer_prep.sample import Listing, Sample, Scene
from fer_prep.sources.raw_tree import walk_tree
from fer_prep.sources.recorded_pair import read_pair

SETTINGS = PrepareSettings(size=32, framing="none", landmarks=FinderSpec(kinds=("none",)), mesh=False)
NAME = re.compile(r"(F\d{3})/(Angry|Happy)/(\d{3})\.png")
EMOTIONS = {"Angry": "anger", "Happy": "happiness"}


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """Trees such as ``F001/Angry/036.png``, depth beside it."""

    dataset: str = "seq"
    depth_unit: float = 1.0

    def settings(self) -> Mapping[str, Any]:
        return {"depth_unit": self.depth_unit}

    def load_settings(self) -> Mapping[str, Any]:
        return self.settings()

    def list_samples(self, root: Path) -> Listing:
        tree = walk_tree(root, title="sequence", expected="folders such as F001/Angry with files such as 000.png")
        samples = [self._frame(root, *match.groups()) for path in tree.files if (match := NAME.fullmatch(path))]
        return Listing(samples=tuple(sorted(samples, key=lambda sample: sample.id)))

    def _frame(self, root: Path, subject: str, expression: str, number: str) -> Sample:
        clip, file = f"{self.dataset}/{subject}_{expression}", f"{subject}/{expression}/{number}.png"
        return Sample(
            id=f"{clip}_{number}",
            dataset=self.dataset,
            subject=f"{self.dataset}:{subject}",
            emotion=EMOTIONS[expression],
            label_source="posed",
            source_file=file,
            files={"rgb": root / file, "depth": (root / file).with_suffix(".depth.png")},
            clip=clip,
            frame=int(number),
        )

    def load(self, sample: Sample) -> Scene:
        return read_pair(sample.files["rgb"], depth_file=sample.files["depth"], depth_unit_mm=self.depth_unit)


def write_tree(root: Path, *, frames: int) -> Path:
    for subject in ("F001", "F002"):
        for expression in EMOTIONS:
            folder = root / subject / expression
            folder.mkdir(parents=True)
            for number in range(0, 10 * frames, 10):
                rng = np.random.default_rng([int(subject[1:]), len(expression), number])
                rgb = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
                (folder / f"{number:03d}.png").write_bytes(write_image(rgb))
                depth = rng.integers(500, 520, (40, 40), dtype=np.uint16)
                (folder / f"{number:03d}.depth.png").write_bytes(write_image(depth))
    return root


def test_frames_are_samples_that_know_their_clip(tmp_path):
    tree = write_tree(tmp_path / "raw", frames=3)
    prepare(Sequences(), root=tree, out=tmp_path / "out", settings=SETTINGS, engine=InProcessEngine())
    rows = PreparedFolder.open(tmp_path / "out").rows
    assert len(rows) == 12
    assert [(row["id"], row["clip"], row["frame"]) for row in rows[:3]] == [
        ("seq/F001_Angry_000", "seq/F001_Angry", 0),
        ("seq/F001_Angry_010", "seq/F001_Angry", 10),
        ("seq/F001_Angry_020", "seq/F001_Angry", 20),
    ]
    assert {row["subject"] for row in rows} == {"seq:F001", "seq:F002"}


def test_a_longer_sequence_makes_its_new_frames_alone(tmp_path):
    tree = write_tree(tmp_path / "raw", frames=2)
    prepare(Sequences(), root=tree, out=tmp_path / "out", settings=SETTINGS, engine=InProcessEngine())
    write_tree(tmp_path / "longer", frames=3)
    summary = prepare(
        Sequences(), root=tmp_path / "longer", out=tmp_path / "out", settings=SETTINGS, engine=ProcessEngine(workers=1)
    )
    assert (summary.prepared, summary.reused) == (4, 8)
    prepare(Sequences(), root=tmp_path / "longer", out=tmp_path / "fresh", settings=SETTINGS, engine=InProcessEngine())
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "fresh")
