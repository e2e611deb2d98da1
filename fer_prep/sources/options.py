"""What a user may decide about each of the sources here.

Apart from the sources themselves, so that ``--help`` need not load what reads their files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from fer_prep.action_units import DEFAULT_POLICY
from fer_prep.emotions import LABEL_SOURCES
from fer_prep.geometry.renderers import DEFAULT_RENDERER, RENDERERS
from fer_prep.options import option
from fer_prep.resources import manifest_names


@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """Of every source whose recordings are geometry."""

    incomplete: Literal["reject", "keep"] = "keep"
    """What becomes of a recording that lacks only its landmark files; keep finds landmarks in the picture."""
    renderer: str = option(DEFAULT_RENDERER, names=tuple(RENDERERS))
    """What casts the rays at the mesh: one of those that fer-prep doctor lists; numpy works on every machine."""
    views: str = option("", metavar="ANGLES", show_default="the frontal view alone")
    """Further views of every recording in whole degrees: "yaw=-30,0,30 pitch=-15,0,15" is every yaw with every pitch,
    "random=8 yaw=-40..40 pitch=-20..20" draws eight for each. The frontal view is always there."""
    seed: int = option(0, min=0)
    """What the random views are drawn from, with the recording's id."""


@dataclass(frozen=True, kw_only=True)
class Bu3dfeOptions(RenderOptions):
    """Of BU-3DFE."""

    mesh: Literal["f3d", "raw"] = "f3d"
    """Which mesh is shown: the cropped face, or the uncropped _RAW.wrl, registered to the other by the face on both."""
    rgb: Literal["texture", "photo"] = "texture"
    """Colour from the mesh's own texture, registered exactly, or from the frontal photograph with a camera solved from
    landmarks. Where one cannot be had, the other is used."""


@dataclass(frozen=True, kw_only=True)
class BosphorusOptions(RenderOptions):
    """Of Bosphorus."""

    policy: str = option(DEFAULT_POLICY, metavar="NAME|FILE", names=partial(manifest_names, "policies"))
    """Which action unit counts as which emotion: a policy of manifests/policies, or a TOML file of that kind."""


@dataclass(frozen=True, kw_only=True)
class RgbdOptions:
    """Of CalD3r and MenD3s."""

    depth_unit_mm: float = option(0.125, name="--depth-unit")
    """Millimetres per step of the recorded depth."""
    focal_px: float | None = option(None, min=1, metavar="PX", show_default="unknown")
    """Focal length of the recorded pictures, if you know it: the depth unit is then checked exactly, and landmarks get
    their places in millimetres."""


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Of a folder of pictures with a table."""

    dataset: str = option()
    """A name for the dataset: lower case, digits, hyphens."""
    table: str = "samples.csv"
    """The CSV table, relative to the folder."""
    columns: list[str] = option(factory=list[str], name="--column", metavar="NAME=COLUMN")
    """What a column of the table is where it is called otherwise: image=rgb; notes= leaves one out; repeatable."""
    labels: list[str] = option(factory=list[str], name="--label", metavar="NAME=CLASS")
    """Which class a label of the table is: happy=happiness; repeatable."""
    outside: bool = option(False, name="--outside")
    """Allow paths that lead out of the folder."""
    classes: str = option("", show_default="the seven, or what else the table has")
    """A class set (seven, eight …), or names with commas between, in label order."""
    depth_unit_mm: float = option(1.0, name="--depth-unit")
    """Millimetres per step of the depth pictures."""
    focal_px: float | None = option(None, min=1, metavar="PX", show_default="unknown")
    """Focal length of the pictures, if you know it: landmarks then get their places in millimetres."""
    renderer: str = option(DEFAULT_RENDERER, names=tuple(RENDERERS))
    """What casts the rays at meshes: one of those that fer-prep doctor lists; numpy works on every machine."""
    label_source: str = option("posed", names=LABEL_SOURCES)
    """For lines of the table that do not say it."""
