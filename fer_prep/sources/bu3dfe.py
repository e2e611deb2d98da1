"""BU-3DFE: posed expressions as textured face meshes with 83 landmarks.

Tree, after unpacking the distribution's one archive per subject::

    F0001/ … F0056/, M0001/ … M0044/        (flat; the folders may lie deeper, under any names)
        F0001_AN01WH_F3D.wrl                cropped face mesh, mm, +y up, +z toward the viewer
        F0001_AN01WH_F3D.bnd                83 landmarks on it
        F0001_AN01WH_F3D.bmp                its texture, addressed by the mesh's texture coordinates
        F0001_AN01WH_F2D.bmp                a frontal photograph, not registered to the mesh
        F0001_AN01WH_RAW.wrl                uncropped mesh in another frame, with the same texture: --mesh raw
        F0001_AN01WH_RAW.pse                a pose, in a layout that is not publicly documented: not used

Names: gender F/M, 4-digit number (F0001 and M0001 are two people), expression AN DI FE HA NE SA SU, intensity 01–04
(00 for NE, and only there), two letters of ancestry. 100 subjects, 2500 recordings: 6 expressions × 4 intensities and
one neutral each. Licence: research only, on application; see ``manifests/bu3dfe.toml``.

Reference: L. Yin, X. Wei, Y. Sun, J. Wang, M. Rosato, "A 3D facial expression database for facial behavior research",
FG 2006.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from fer_prep.errors import Reason
from fer_prep.sample import Listing, Rejection, Sample, Scene
from fer_prep.sources.bu3dfe_scene import load_scene
from fer_prep.sources.options import Bu3dfeOptions
from fer_prep.sources.raw_tree import (
    RawTree,
    keep_first,
    misnamed,
    name_of,
    refuse_foreign_tree,
    tree_warnings,
    unmarked_warnings,
    walk_tree,
    without_duplicates,
)
from fer_prep.sources.views import Views, with_views

TREE: Final = "subject folders F0001 … M0044 with files such as F0001/F0001_AN01WH_F3D.wrl"
NAME: Final = "{F|M}{4 digits}_{AN|DI|FE|HA|NE|SA|SU}{00–04}{2 letters}_{F3D|F2D|RAW}"

EXPRESSIONS: Final = {
    "AN": "anger",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
ETHNICITIES: Final = {
    "WH": "White",
    "BL": "Black",
    "LA": "Latino",
    "AE": "East Asian",
    "AM": "Middle-East Asian",
    "IN": "Indian",
}

_NAME: Final = re.compile(
    r"(?P<subject>[FM]\d{4})_(?P<expression>AN|DI|FE|HA|NE|SA|SU)(?P<intensity>0[0-4])(?P<ancestry>[A-Z]{2})"
    r"_(?P<kind>F3D|F2D|RAW)\.(?P<suffix>wrl|bnd|bmp|png|jpe?g|pse)",
    re.IGNORECASE | re.ASCII,
)
_OURS: Final = (".wrl", ".bnd", ".bmp", ".png", ".jpg", ".jpeg", ".pse")
_ROLES: Final = {
    ("F3D", "wrl"): "mesh",
    ("F3D", "bnd"): "landmarks",
    ("RAW", "wrl"): "raw",
    **{("F3D", suffix): "texture" for suffix in ("bmp", "png", "jpg", "jpeg")},
    **{("F2D", suffix): "photo" for suffix in ("bmp", "png", "jpg", "jpeg")},
}


@dataclass(frozen=True, kw_only=True)
class Bu3dfe(Bu3dfeOptions):
    """The source of BU-3DFE."""

    def __post_init__(self) -> None:
        if self.rgb not in ("texture", "photo"):
            raise ValueError(f"expected rgb texture or photo; found {self.rgb!r}")
        if self.mesh not in ("f3d", "raw"):
            raise ValueError(f"expected mesh f3d or raw; found {self.mesh!r}")
        if Views.parse(self.views) != Views() and self.rgb == "photo":
            raise ValueError("--views needs --rgb texture: a photograph has one view")

    @property
    def dataset(self) -> str:
        """``bu3dfe``."""
        return "bu3dfe"

    def settings(self) -> Mapping[str, Any]:
        """All options."""
        return asdict(self)

    def load_settings(self) -> Mapping[str, Any]:
        """The options that change pixels."""
        return {"rgb": self.rgb, "mesh": self.mesh, "renderer": self.renderer}

    def list_samples(self, root: Path) -> Listing:
        """Group the files of every recording by name; what is wrongly named or incomplete is rejected."""
        tree = walk_tree(root, title="BU-3DFE", expected=TREE)
        recordings, rejections, warnings = _recordings(tree)
        if not recordings:
            refuse_foreign_tree(tree, title="BU-3DFE", expected=TREE)
        samples: list[Sample] = []
        for (folder, name), files in recordings.items():
            outcome = self._sample(root, folder, name, files)
            (samples if isinstance(outcome, Sample) else rejections).append(outcome)  # type: ignore[arg-type]
        kept, duplicates = without_duplicates(samples)
        if unknown := {sample.ethnicity for sample in kept if sample.ethnicity not in ETHNICITIES.values()}:
            warnings.append(f"unknown ancestry codes in file names, kept as they are: {', '.join(sorted(unknown))}")
        warnings += unmarked_warnings(kept, roles=("landmarks",))
        warnings += tree_warnings(tree)
        listing = Listing(samples=tuple(kept), rejected=(*rejections, *duplicates), warnings=tuple(warnings))
        return with_views(listing, views=Views.parse(self.views), seed=self.seed)

    def _sample(self, root: Path, folder: str, name: str, files: dict[str, str]) -> Sample | Rejection:
        expression, intensity, ancestry = name[6:8], int(name[8:10]), name[10:12]
        missing = self._missing(folder, name, files)
        if missing:
            known = files.get("mesh") or sorted(files.values())[0]
            return Rejection(
                source_file=known,
                sample_id=f"bu3dfe/{name}",
                reason=Reason.MISSING_FILE,
                expected=missing,
                found="no such file",
            )
        if (expression == "NE") != (intensity == 0):
            return Rejection(
                source_file=files["mesh"],
                sample_id=f"bu3dfe/{name}",
                reason=Reason.BAD_LABEL,
                expected="intensity 00 for NE, and 01 to 04 for the other expressions",
                found=f"{expression}{intensity:02d}",
            )
        return Sample(
            id=f"bu3dfe/{name}",
            dataset="bu3dfe",
            subject=f"bu3dfe:{name[:5]}",
            emotion=EXPRESSIONS[expression],
            label_source="posed",
            source_file=files["mesh"],
            files={role: root / path for role, path in sorted(files.items()) if role != "raw" or self.mesh == "raw"},
            gender=name[0],
            ethnicity=ETHNICITIES.get(ancestry, ancestry),
            intensity=intensity,
        )

    def _missing(self, folder: str, name: str, files: dict[str, str]) -> str:
        """What a recording lacks, as the files that were expected; empty where it is whole."""
        stem = f"{folder}/{name}".lstrip("/")
        missing: list[str] = []
        if "mesh" not in files:
            missing.append(f"{stem}_F3D.wrl")
        if "raw" not in files and self.mesh == "raw":
            missing.append(f"{stem}_RAW.wrl")
        if "landmarks" not in files and self.incomplete == "reject":
            missing.append(f"{stem}_F3D.bnd")
        if "texture" not in files and "photo" not in files:
            missing.append(f"{stem}_F3D.bmp or {stem}_F2D.bmp")
        return " and ".join(missing)

    def load(self, sample: Sample) -> Scene:
        """Read mesh, landmarks and picture of one recording."""
        return load_scene(sample, rgb=self.rgb, renderer=self.renderer)


_Recordings = dict[tuple[str, str], dict[str, str]]
"""(folder, canonical name) → role → relative path."""


def _recordings(tree: RawTree) -> tuple[_Recordings, list[Rejection], list[str]]:
    """The files of every recording, rejections for wrong names, and warnings."""
    recordings: _Recordings = defaultdict(dict)
    rejections: list[Rejection] = []
    astray: list[str] = []
    doubles: dict[str, Rejection] = {}
    for path in tree.with_suffix(*_OURS):
        match = _NAME.fullmatch(name_of(path))
        if match is None:
            rejections.append(misnamed(path, expected=NAME))
            continue
        kind, suffix = match["kind"].upper(), match["suffix"].lower()
        name = name_of(path)[:12].upper()
        folder = path.rpartition("/")[0]
        if (kind, suffix) not in _ROLES:
            continue
        # sorted paths: a .bmp comes before a re-encoded .png of the same name and is preferred
        role, files = _ROLES[kind, suffix], recordings[folder, name]
        keep_first(files, role, path, doubles=doubles, sample_id=f"bu3dfe/{name}", main=role == "mesh")
        owner = folder.rpartition("/")[2].upper()
        if re.fullmatch(r"[FM]\d{4}", owner) and owner != name[:5]:
            astray.append(path)
    rejections += doubles.values()
    warnings: list[str] = []
    if astray:
        warnings.append(f"{len(astray)} file(s) lie in another subject's folder, such as {astray[0]}: the name counts")
    return dict(recordings), rejections, warnings
