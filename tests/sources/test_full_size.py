"""Trees of the full datasets' size, names only: what the sources list reproduces the published counts."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fer_prep.emotions import EMOTIONS
from fer_prep.folds.selection import Selection
from fer_prep.sample import Listing
from fer_prep.sources import make_source

# the thesis: samples by class after its own alignment and relabelling, in label order
CALD3R_AND_MEND3S = dict(zip(EMOTIONS, (881, 1101, 554, 1197, 3422, 1186, 375), strict=True))
BOSPHORUS = dict(zip(EMOTIONS, (116, 145, 101, 182, 98, 102, 158), strict=True))
BU3DFE = dict.fromkeys(EMOTIONS, 400) | {"neutral": 100}
MERGED = dict(zip(EMOTIONS, (1397, 1646, 1055, 1779, 3620, 1688, 933), strict=True))

EMOTION_CODES = {
    "anger": "ANGER",
    "disgust": "DISGUST",
    "fear": "FEAR",
    "happiness": "HAPPY",
    "sadness": "SADNESS",
    "surprise": "SURPRISE",
}
POSED_EMOTIONS = {"anger": 71, "disgust": 69, "fear": 70, "happiness": 106, "sadness": 66, "surprise": 71}
"""Bosphorus scans E_*: 453 in all."""
UNITS = {
    "anger": "LFAU_24",
    "disgust": "LFAU_9",
    "fear": "UFAU_1",
    "happiness": "LFAU_12",
    "sadness": "LFAU_15",
    "surprise": "UFAU_2",
}


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def write_bu3dfe_names(root: Path) -> None:
    people = [f"F{n:04d}" for n in range(1, 57)] + [f"M{n:04d}" for n in range(1, 45)]
    expressions = [f"{code}{level:02d}" for code in ("AN", "DI", "FE", "HA", "SA", "SU") for level in range(1, 5)]
    for number, person in enumerate(people):
        ancestry = ("WH", "BL", "LA", "AE", "AM", "IN")[number % 6]
        for expression in (*expressions, "NE00"):
            stem = f"{person}_{expression}{ancestry}"
            touch(root / person, *(f"{stem}_{end}" for end in ("F3D.wrl", "F3D.bnd", "F3D.bmp", "F2D.bmp")))


def write_bosphorus_names(root: Path) -> None:
    people = [f"bs{n:03d}" for n in range(105)]
    scans = []
    for emotion, code in EMOTION_CODES.items():
        posed = POSED_EMOTIONS[emotion]
        scans += [f"{people[n % 105]}_E_{code}_{n // 105}" for n in range(posed)]
        scans += [f"{people[n]}_{UNITS[emotion]}_0" for n in range(BOSPHORUS[emotion] - posed)]
    # three neutral scans of most people; what must not count as AU 12 or as a category at all beside them
    scans += [f"{person}_N_N_{k}" for person in people[:98] for k in range(3)]
    others = ("LFAU_12L_0", "LFAU_12R_0", "LFAU_12LW_0", "CAU_A12A15_0", "YR_R10_0", "O_EYE_0", "IGN_IGN_0")
    scans += [f"{person}_{code}" for person in people[:20] for code in others]
    for scan in scans:
        touch(root / scan[:5], *(f"{scan}{end}" for end in (".bnt", ".png", ".lm2", ".lm3")))
    for person in people[98:103]:
        touch(root / person, *(f"{person}_N_N_0{end}" for end in (".bnt", ".lm2", ".lm3")))  # no picture


def write_pair_names(root: Path) -> None:
    """Three of five recordings are CalD3r's; ninety more lack their depth."""
    for emotion, count in CALD3R_AND_MEND3S.items():
        folder = {name: root / name / emotion.capitalize() for name in ("CalD3r", "MenD3s")}
        for number in range(count):
            name, digits = ("CalD3r", 3) if number % 5 < 3 else ("MenD3s", 2)
            code, person = divmod(number // 5, 50)
            stem = f"{'FM'[number % 2]}_{person + 1:0{digits}d}_{code * 5 + number % 5}_{emotion}"
            touch(folder[name] / "RGB", f"{stem}_Color.png")
            touch(folder[name] / "DEPTH", f"{stem}_Depth.png")
    for number in range(90):
        touch(root / "CalD3r" / "Anger" / "RGB", f"F_{200 + number}_0_anger_Color.png")


@pytest.fixture(scope="module")
def listings(tmp_path_factory) -> dict[str, Listing]:
    """Every dataset's listing of its full tree."""
    root = tmp_path_factory.mktemp("full")
    write_bu3dfe_names(root / "BU3DFE")
    write_bosphorus_names(root / "BosphorusDB")
    write_pair_names(root)
    places = {"bu3dfe": "BU3DFE", "bosphorus": "BosphorusDB", "cald3r": "CalD3r", "mend3s": "MenD3s"}
    return {dataset: make_source(dataset).list_samples(root / place) for dataset, place in places.items()}


def counts(*listings: Listing) -> Counter[str]:
    return Counter(sample.emotion for listing in listings for sample in listing.samples)


def test_bu3dfe_has_400_of_each_expression_and_100_neutral(listings):
    listing = listings["bu3dfe"]
    assert counts(listing) == BU3DFE
    assert len({sample.subject for sample in listing.samples}) == 100
    assert Counter(sample.intensity for sample in listing.samples) == {0: 100, 1: 600, 2: 600, 3: 600, 4: 600}
    assert not listing.rejected


def test_cald3r_and_mend3s_together_have_the_thesis_counts(listings):
    assert counts(listings["cald3r"], listings["mend3s"]) == CALD3R_AND_MEND3S
    assert len(listings["cald3r"].rejected) == 90
    assert not listings["mend3s"].rejected


def test_bosphorus_emotions_and_mapped_units_have_the_thesis_counts(listings):
    found = counts(listings["bosphorus"])
    assert {name: found[name] for name in EMOTION_CODES} == {name: BOSPHORUS[name] for name in EMOTION_CODES}
    sources = Counter(s.label_source for s in listings["bosphorus"].samples if s.emotion != "neutral")
    assert sources == {"posed": 453, "action-unit": 351}
    assert len(listings["bosphorus"].left_out) == 20 * 7


def test_one_neutral_a_subject_gives_the_merged_set_of_the_thesis(listings):
    samples = sorted(itertools.chain(*(listing.samples for listing in listings.values())), key=lambda s: s.id)
    columns = {name: np.array([getattr(s, name) for s in samples]) for name in ("id", "subject", "dataset")}
    columns |= {name: np.array([getattr(s, name) for s in samples]) for name in ("intensity", "label_source")}
    emotions = np.array([sample.emotion for sample in samples])
    rows = Selection(neutrals_per_subject={"bosphorus": 1}).rows(columns, emotions=emotions, classes=EMOTIONS)
    assert Counter(emotions[rows].tolist()) == MERGED
    assert Counter(emotions[rows][columns["dataset"][rows] == "bosphorus"].tolist()) == BOSPHORUS
    assert len(rows) == 12_118
