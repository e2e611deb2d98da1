"""CalD3r and MenD3s: elicited expressions as pairs of a colour picture and a 16-bit depth map.

Tree (the same for both)::

    Anger/ Disgust/ Fear/ Happiness/ Neutral/ Sadness/ Surprise/
        RGB/    M_010_1_anger_Color.png
        DEPTH/  M_010_1_anger_Depth.png

Names: gender F/M, subject number (three digits in CalD3r, two in MenD3s; F_010 and M_010 are two people, and so are
M_01 of CalD3r and of MenD3s), a repetition code, the emotion in lower case, ``Color`` or ``Depth``. Depth is
``uint16`` in steps of 1/8 mm (inferred from the sensor family, therefore an option), 0 where nothing was measured, on
the same raster as the colour. Depth maps are missing for some pictures. Copies named ``aligned_…`` are the output of
an earlier alignment. Licence: on application to the authors; see ``manifests/cald3r.toml`` and ``mend3s.toml`` there.

Reference: "CalD3r and MenD3s: Spontaneous 3D facial expression databases", Journal of Visual Communication and Image
Representation, 2024.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from fer_prep.emotions import EMOTIONS
from fer_prep.errors import Reason
from fer_prep.sample import Listing, Rejection, Sample, Scene
from fer_prep.sources.options import RgbdOptions
from fer_prep.sources.raw_tree import (
    RawTree,
    keep_first,
    misnamed,
    name_of,
    refuse_foreign_tree,
    tree_warnings,
    walk_tree,
    without_duplicates,
)
from fer_prep.sources.recorded_pair import read_pair

TITLES: Final = {"cald3r": "CalD3r", "mend3s": "MenD3s"}
NUMBER_WIDTH: Final = {"cald3r": 3, "mend3s": 2}
TREE: Final = "Anger/RGB … Surprise/DEPTH with files such as Anger/RGB/M_010_1_anger_Color.png"
NAME: Final = "{F|M}_{number}_{code}_{emotion}_{Color|Depth}.png"

_NAME: Final = re.compile(
    r"(?P<aligned>aligned_)?(?P<gender>[FM])_(?P<number>\d{1,6})_(?P<code>.+)_(?P<emotion>[a-z]+)_(?P<role>Color|Depth)"
    r"\.(?:png|bmp|jpe?g)",
    re.IGNORECASE | re.ASCII,
)
_ALIASES: Final = {"angry": "anger", "happy": "happiness", "sad": "sadness", "surprised": "surprise"}
_KIND_FOLDERS: Final = ("rgb", "depth", "color")
_ROLES: Final = {"color": "rgb", "depth": "depth"}


@dataclass(frozen=True, kw_only=True)
class RgbdPairs(RgbdOptions):
    """The source of CalD3r or of MenD3s."""

    dataset: Literal["cald3r", "mend3s"] = "cald3r"

    def __post_init__(self) -> None:
        if self.dataset not in TITLES:
            raise ValueError(f"expected the dataset cald3r or mend3s; found {self.dataset!r}")
        if not 0 < self.depth_unit_mm < 100:
            raise ValueError(f"expected a depth unit between 0 and 100 mm; found {self.depth_unit_mm}")
        if self.focal_px is not None and not self.focal_px > 0:
            raise ValueError(f"expected a positive focal length; found {self.focal_px}")

    def settings(self) -> Mapping[str, Any]:
        """All options."""
        return asdict(self)

    def load_settings(self) -> Mapping[str, Any]:
        """The options that change depth and what it says of space."""
        return {"depth_unit_mm": self.depth_unit_mm, "focal_px": self.focal_px}

    def list_samples(self, root: Path) -> Listing:
        """Pair pictures and depth maps by name; what is wrongly named or has no partner is rejected."""
        title = TITLES[self.dataset]
        tree = walk_tree(root, title=title, expected=TREE)
        pairs, rejections = self._pairs(tree)
        if not pairs:
            refuse_foreign_tree(tree, title=title, expected=TREE)
        samples: list[Sample] = []
        left_out: list[Rejection] = []
        recorded = {name for _, name, aligned in pairs if not aligned}
        for (_, name, aligned), files in pairs.items():
            if aligned and name in recorded:
                left_out += [_aligned_copy(path, f"{self.dataset}/{name}") for path in files.values()]
                continue
            outcome = self._sample(root, name, files)
            (samples if isinstance(outcome, Sample) else rejections).append(outcome)  # type: ignore[arg-type]
        kept, duplicates = without_duplicates(samples)
        return Listing(
            samples=tuple(kept),
            rejected=(*rejections, *duplicates),
            left_out=tuple(left_out),
            warnings=(*self._warnings(kept), *tree_warnings(tree)),
        )

    def _pairs(self, tree: RawTree) -> tuple[dict[tuple[str, str, bool], dict[str, str]], list[Rejection]]:
        """(emotion folder, canonical name, is an aligned copy) → role → path; rejections for wrong names."""
        other = next(name for name in TITLES if name != self.dataset)
        pairs: dict[tuple[str, str, bool], dict[str, str]] = defaultdict(dict)
        rejections: list[Rejection] = []
        contradicting: dict[str, Rejection] = {}
        doubles: dict[str, Rejection] = {}
        for path in tree.with_suffix(".png", ".bmp", ".jpg", ".jpeg"):
            folders = path.lower().split("/")[:-1]
            if other in folders:
                continue  # a root above both datasets: the other one is not ours to list
            match = _NAME.fullmatch(name_of(path))
            if match is None:
                rejections.append(misnamed(path, expected=NAME))
                continue
            emotion = _emotion(match["emotion"])
            if emotion is None:
                rejections.append(
                    Rejection(
                        source_file=path,
                        reason=Reason.BAD_LABEL,
                        expected=f"one of {', '.join(EMOTIONS)}",
                        found=f"the emotion {match['emotion']!r}",
                    )
                )
                continue
            labelled = next((found for folder in reversed(folders) if (found := _emotion(folder))), emotion)
            name = f"{match['gender'].upper()}_{match['number']}_{match['code']}_{match['emotion'].lower()}"
            if labelled != emotion:
                # one row for both halves of a pair: the one of the last path, which is the picture's
                contradicting[f"{labelled} {name}"] = Rejection(
                    source_file=path,
                    sample_id=f"{self.dataset}/{name}",
                    reason=Reason.BAD_LABEL,
                    expected=f"the emotion of its folder, {labelled}",
                    found=f"{emotion} in the file name",
                )
                continue
            # both halves of a pair share their folders but for the one named after its kind
            holder = "/".join(part for part in path.split("/")[:-1] if part.lower() not in _KIND_FOLDERS)
            role = _ROLES[match["role"].lower()]
            files, sample_id = pairs[holder, name, bool(match["aligned"])], f"{self.dataset}/{name}"
            keep_first(files, role, path, doubles=doubles, sample_id=sample_id, main=role == "rgb")
        return dict(pairs), [*rejections, *contradicting.values(), *doubles.values()]

    def _sample(self, root: Path, name: str, files: dict[str, str]) -> Sample | Rejection:
        sample_id = f"{self.dataset}/{name}"
        if len(files) < 2:
            (present,) = files.values()
            wanted, kind = ("Depth", "DEPTH") if "rgb" in files else ("Color", "RGB")
            folders = [kind if part.lower() in _KIND_FOLDERS else part for part in present.split("/")[:-1]]
            expected = "/".join([*folders, f"{name}_{wanted}.png"])
            return Rejection(
                source_file=present,
                sample_id=sample_id,
                reason=Reason.MISSING_FILE,
                expected=f"{expected} beside it",
                found="no such file",
            )
        gender, number, rest = name.split("_", 2)
        emotion = _emotion(rest.rpartition("_")[2])
        return Sample(
            id=sample_id,
            dataset=self.dataset,
            subject=f"{self.dataset}:{gender}{int(number):0{NUMBER_WIDTH[self.dataset]}d}",
            emotion=str(emotion),
            label_source="elicited",
            source_file=files["rgb"],
            files={role: root / path for role, path in sorted(files.items())},
            gender=gender,
        )

    def _warnings(self, samples: list[Sample]) -> list[str]:
        warnings: list[str] = []
        width = NUMBER_WIDTH[self.dataset]
        strange = [sample for sample in samples if len(sample.name.split("_")[1]) != width]
        if strange:
            warnings.append(
                f"{len(strange)} of {len(samples)} subject numbers do not have the {width} digits of "
                f"{TITLES[self.dataset]}, such as {strange[0].name}: is this the other dataset's tree?"
            )
        copies = [sample for sample in samples if name_of(sample.source_file).lower().startswith("aligned_")]
        if copies:
            warnings.append(f"{len(copies)} sample(s) exist only as aligned_ copies: those are used")
        return warnings

    def load(self, sample: Sample) -> Scene:
        """Read one pair."""
        return read_pair(
            sample.files["rgb"],
            depth_file=sample.files["depth"],
            depth_unit_mm=self.depth_unit_mm,
            focal_px=self.focal_px,
        )


cald3r, mend3s = partial(RgbdPairs, dataset="cald3r"), partial(RgbdPairs, dataset="mend3s")


def _emotion(word: str) -> str | None:
    """The emotion of a folder or a name, whatever its case; None where the word is not one."""
    word = word.lower()
    word = _ALIASES.get(word, word)
    return word if word in EMOTIONS else None


def _aligned_copy(path: str, sample_id: str) -> Rejection:
    return Rejection(
        source_file=path,
        sample_id=sample_id,
        expected="a recording as it was made",
        found="an aligned_ copy; the recording itself is used",
        reason=Reason.NOT_USED,
    )
