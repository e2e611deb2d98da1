"""Bosphorus: posed emotions, action units, poses and occlusions as structured range scans with registered pictures.

Tree (the subject folders may lie deeper, under any names)::

    bs000/ … bs104/
        bs000_E_HAPPY_0.bnt      range grid: x, y, z in mm and the picture coordinates of every point
        bs000_E_HAPPY_0.png      the picture
        bs000_E_HAPPY_0.lm2      landmarks in the picture
        bs000_E_HAPPY_0.lm3      landmarks on the scan

Names: subject, class, code, repetition from 0. Classes: N neutral; E emotion; LFAU, UFAU, CAU action units of the
lower face, the upper face, and combined; YR, PR, CR head poses; O occlusions; IGN to be ignored. 105 subjects, 4666
scans, with many subjects missing emotions and some scans missing files. Neutrals and emotions are labels of their own;
action units become emotions by a policy (``action_units``); the rest is left out. Licence: research only, on
application; see ``manifests/bosphorus.toml``.

Reference: A. Savran, N. Alyüz, H. Dibeklioğlu, O. Çeliktutan, B. Gökberk, B. Sankur, L. Akarun, "Bosphorus database
for 3D face analysis", BIOID 2008.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from fer_prep.action_units import Decision, Policy, load_policy
from fer_prep.errors import Reason
from fer_prep.sample import Listing, Rejection, Sample, Scene
from fer_prep.sources.bosphorus_facs import FacsFiles, find_facs_scores
from fer_prep.sources.bosphorus_names import (
    SUFFIXES,
    Scan,
    ScansByFolder,
    main_file,
    scans_of,
)
from fer_prep.sources.bosphorus_scene import load_scene
from fer_prep.sources.bosphorus_unallowed import read_unallowed
from fer_prep.sources.options import BosphorusOptions
from fer_prep.sources.raw_tree import (
    RawTree,
    name_of,
    refuse_foreign_tree,
    tree_warnings,
    unmarked_warnings,
    walk_tree,
    without_duplicates,
)
from fer_prep.sources.views import Views, with_views

TREE: Final = "subject folders bs000 … bs104 with files such as bs000/bs000_E_HAPPY_0.bnt"
EMOTION_CODES: Final = {
    "ANGER": "anger",
    "DISGUST": "disgust",
    "FEAR": "fear",
    "HAPPY": "happiness",
    "SADNESS": "sadness",
    "SURPRISE": "surprise",
}
ACTION_UNIT_CLASSES: Final = ("LFAU", "UFAU", "CAU")
LEFT_OUT_CLASSES: Final = {
    "YR": "head turned (yaw)",
    "PR": "head tilted (pitch)",
    "CR": "head turned and tilted",
    "O": "face occluded",
    "IGN": "marked to be ignored",
}


class DecidedScan(NamedTuple):
    """What a policy says of one scan."""

    name: str
    token: str
    decision: Decision
    lacking: str
    """What its files lack; empty where they are complete."""


@dataclass(frozen=True, kw_only=True)
class Bosphorus(BosphorusOptions):
    """The source of Bosphorus."""

    def __post_init__(self) -> None:
        Views.parse(self.views)

    @property
    def dataset(self) -> str:
        """``bosphorus``."""
        return "bosphorus"

    @cached_property
    def rules(self) -> Policy:
        """The policy, read once."""
        return load_policy(self.policy)

    def settings(self) -> Mapping[str, Any]:
        """The options that change pixels or labels; of the policy, its rules rather than its place."""
        return {
            "policy": self.rules.name,
            "policy_digest": self.rules.digest,
            "renderer": self.renderer,
            "incomplete": self.incomplete,
            "views": self.views,
            "seed": self.seed,
        }

    def load_settings(self) -> Mapping[str, Any]:
        """The option that changes pixels: the policy decides about labels only."""
        return {"renderer": self.renderer}

    def list_samples(self, root: Path) -> Listing:
        """Group the files of every scan by name, decide its category; incomplete or misnamed ones are rejected."""
        tree, scans, rejections, facs = self._read_tree(root)
        may_be_shown, remarks = read_unallowed(tree)
        samples: list[Sample] = []
        left_out: list[Rejection] = []
        for (folder, scan), files in scans.items():
            decision = self._decide(scan, facs)
            if decision is None:
                expected = f"one of {', '.join(EMOTION_CODES)} after E_"
                rejections.append(_row(scan, files, reason=Reason.BAD_LABEL, expected=expected, found=scan.code))
            elif not decision.emotion:
                expected = "a neutral face, an emotion, or an action unit that the policy maps"
                row = _row(scan, files, reason=Reason.NOT_USED, expected=expected, found=decision.reason)
                left_out.append(replace(row, stage="policy"))
            elif missing := self._missing(folder, scan, files):
                found = "no such file" + ("s" if len(missing) > 1 else "")
                rejections.append(
                    _row(scan, files, reason=Reason.MISSING_FILE, expected=" and ".join(missing), found=found)
                )
            else:
                sample = _sample(root, scan, files, decision)
                samples.append(replace(sample, publishable=may_be_shown(scan.subject)))
        kept, duplicates = without_duplicates(samples)
        listing = Listing(
            samples=tuple(kept),
            rejected=(*rejections, *duplicates),
            left_out=tuple(sorted(left_out, key=lambda row: row.sample_id)),
            warnings=(
                *remarks,
                *facs.warnings,
                *unmarked_warnings(kept, roles=("landmarks_2d", "landmarks_3d")),
                *tree_warnings(tree),
            ),
        )
        return with_views(listing, views=Views.parse(self.views), seed=self.seed)

    def decide_all(self, root: Path) -> tuple[list[DecidedScan], tuple[str, ...]]:
        """What the policy says of every scan of the tree, and the warnings of reading it."""
        tree, scans, _, facs = self._read_tree(root)
        decided: list[DecidedScan] = []
        for (folder, scan), files in scans.items():
            decision = self._decide(scan, facs) or Decision(emotion="", reason=f"unknown code {scan.code}")
            missing = ", ".join(name_of(path) for path in self._missing(folder, scan, files))
            decided.append(DecidedScan(scan.name, scan.token, decision, f"{missing} is missing" if missing else ""))
        return decided, (*facs.warnings, *tree_warnings(tree))

    def _read_tree(self, root: Path) -> tuple[RawTree, ScansByFolder, list[Rejection], FacsFiles]:
        """The files by scan, what is misnamed, and FACS scores; raises UsageError for a wrong policy or root."""
        _ = self.rules
        tree = walk_tree(root, title="Bosphorus", expected=TREE)
        scans, rejections = scans_of(tree)
        if not scans:
            refuse_foreign_tree(tree, title="Bosphorus", expected=TREE)
        return tree, scans, rejections, find_facs_scores(tree)

    def _decide(self, scan: Scan, facs: FacsFiles) -> Decision | None:
        """The category of a scan, or why it has none; None where its class has no such code."""
        if scan.kind == "N":
            return Decision(emotion="neutral", reason="neutral scan", strength="posed", source="the dataset")
        if scan.kind == "E":
            if scan.code not in EMOTION_CODES:
                return None
            emotion = EMOTION_CODES[scan.code]
            return Decision(emotion=emotion, reason="posed emotion", strength="posed", source="the dataset")
        if scan.kind in LEFT_OUT_CLASSES:
            return Decision(emotion="", reason=LEFT_OUT_CLASSES[scan.kind])
        return self.rules.decide(scan.token, facs_codes=facs.scores.get(scan.name.upper()))

    def _missing(self, folder: str, scan: Scan, files: dict[str, str]) -> list[str]:
        """The files that the scan lacks, relative to the root."""
        needed = ["grid", "rgb"] + (["landmarks_2d", "landmarks_3d"] if self.incomplete == "reject" else [])
        return [f"{folder}/{scan.name}.{SUFFIXES[role]}".lstrip("/") for role in needed if role not in files]

    def load(self, sample: Sample) -> Scene:
        """Read grid, picture and landmarks of one scan."""
        return load_scene(sample, renderer=self.renderer)


def _sample(root: Path, scan: Scan, files: dict[str, str], decision: Decision) -> Sample:
    by_action_unit = scan.kind in ACTION_UNIT_CLASSES
    return Sample(
        id=f"bosphorus/{scan.name}",
        dataset="bosphorus",
        subject=f"bosphorus:{scan.subject}",
        emotion=decision.emotion,
        label_source="action-unit" if by_action_unit else "posed",
        source_file=files["grid"],
        files={role: root / path for role, path in sorted(files.items())},
        action_unit=scan.token if by_action_unit else "",
    )


def _row(scan: Scan, files: dict[str, str], *, reason: Reason, expected: str, found: str) -> Rejection:
    name = f"bosphorus/{scan.name}"
    return Rejection(source_file=main_file(files), sample_id=name, reason=reason, expected=expected, found=found)
