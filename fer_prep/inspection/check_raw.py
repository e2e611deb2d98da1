"""Is a raw tree complete and intact? Compares it with its dataset's manifest; reads every file only when asked to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fer_prep.dataset_manifest import Count, DatasetManifest, load_manifest
from fer_prep.emotions import EMOTIONS
from fer_prep.errors import Reason, UsageError
from fer_prep.findings import CheckReport
from fer_prep.inspection.raw_files import add_damaged, add_empty_files, add_unfit
from fer_prep.progress import Progress, silent
from fer_prep.sample import Listing, Rejection, Sample
from fer_prep.sources import SOURCES, make_source
from fer_prep.sources.cald3r_mend3s import NUMBER_WIDTH
from fer_prep.sources.raw_tree import RawTree, refuse_foreign_tree, walk_tree

KIND: Final = "raw tree"
_STRICTLY: Final[dict[str, dict[str, str]]] = {name: {"incomplete": "reject"} for name in ("bu3dfe", "bosphorus")}
"""A recording that preparation can do with is incomplete all the same."""


@dataclass(frozen=True, kw_only=True)
class _Tree:
    """A raw tree with what its source makes of it."""

    dataset: str
    files: RawTree
    listing: Listing
    manifest: DatasetManifest


def check_raw_tree(path: Path, *, deep: bool = False, progress: Progress = silent) -> CheckReport:
    """Compare a raw tree with its manifest: what is missing, extra, damaged, duplicated.

    Which dataset it is, is found out from the names of its files. ``deep`` reads every file of it. Raises UsageError
    where the tree is of no known dataset, or of several.
    """
    tree = _recognised(path)
    report = CheckReport(path=str(path), kind=KIND)
    report.add("ok", "dataset", tree.manifest.title)
    _add_counts(report, tree)
    _add_rejections(report, tree.listing.rejected)
    _add_missing(report, tree)
    _add_extra(report, tree)
    for warning in tree.listing.warnings:
        report.add("warning", "names", warning)
    add_empty_files(report, tree.files)
    if deep:
        add_damaged(report, tree.files, progress=progress)
        add_unfit(report, tree.listing.samples, source=make_source(tree.dataset), progress=progress)
    return report


def _listings(path: Path) -> dict[str, Listing]:
    """What every source finds in the tree; those whose tree it is not are left out."""
    found: dict[str, Listing] = {}
    for dataset in SOURCES:
        try:
            listing = make_source(dataset, **_STRICTLY.get(dataset, {})).list_samples(path)
        except UsageError:
            continue
        if listing.samples or listing.left_out or any(row.sample_id for row in listing.rejected):
            found[dataset] = listing
    if {"cald3r", "mend3s"} <= found.keys():
        # the same grammar: the number of digits tells them apart, unless a root above both holds both
        shares = {name: _share_of_own_numbers(name, found[name].samples) for name in ("cald3r", "mend3s")}
        other = min(shares, key=lambda name: shares[name])
        if {sample.source_file for sample in found["cald3r"].samples} & {
            sample.source_file for sample in found["mend3s"].samples
        }:
            del found[other]
    return found


def _share_of_own_numbers(dataset: str, samples: Iterable[Sample]) -> float:
    """The share of samples whose subject number has as many digits as this dataset writes."""
    fitting = [len(sample.name.split("_")[1]) == NUMBER_WIDTH[dataset] for sample in samples]
    return sum(fitting) / max(len(fitting), 1)


def _recognised(path: Path) -> _Tree:
    files = walk_tree(path, title="raw dataset's", expected="the tree of one dataset, as its manifest describes it")
    found = _listings(path)
    if not found and files.archives():
        refuse_foreign_tree(files, title="dataset", expected="the unpacked files of one dataset")
    if len(found) != 1:
        what = f"the trees of {', '.join(found)}" if found else f"{len(files.files)} files of none"
        raise UsageError(
            f"expected the raw tree of one dataset ({', '.join(SOURCES)}); found {what}",
            path=path,
            hint="check each on its own" if found else "give the folder that holds the dataset's files",
        )
    (dataset, listing), *_ = found.items()
    return _Tree(dataset=dataset, files=files, listing=listing, manifest=load_manifest(dataset))


def _add_counts(report: CheckReport, tree: _Tree) -> None:
    samples = tree.listing.samples
    emotions = Counter(sample.emotion for sample in samples)
    by_class = ", ".join(f"{name} {emotions[name]}" for name in EMOTIONS)
    report.add("ok", "samples", f"{len(samples)} usable: {by_class}")
    if tree.listing.left_out:
        reasons = Counter(row.found for row in tree.listing.left_out)
        shown = tuple(f"{count} {reason}" for reason, count in reasons.most_common())
        report.add("note", "left out", f"{len(tree.listing.left_out)} that preparation does not use", shown)
    present = _present(tree)
    for count in tree.manifest.counts:
        found = present.get(count.what)
        if found is None:
            continue
        doubt = "" if count.verified else ", not verified"
        text = f"{found} of {count.value} {count.what} ({count.source}{doubt})"
        report.add(_severity(count, found), "counts", text)


def _severity(count: Count, found: int) -> Any:
    """More than there are is strange; fewer is a part of the dataset, which is said but is no fault."""
    if found > count.value and count.verified:
        return "warning"
    return "ok" if found == count.value else "note"


def _present(tree: _Tree) -> dict[str, int]:
    """The tree's own numbers under the names that manifests use."""
    samples, left_out = tree.listing.samples, tree.listing.left_out
    broken = [row for row in tree.listing.rejected if row.sample_id]
    posed = [sample for sample in samples if sample.label_source == "posed"]
    return {
        "subjects": len(_subjects(tree.listing)),
        "samples": len(samples),
        "scans": len(samples) + len(left_out) + len(broken),
        "emotion scans": sum(sample.emotion != "neutral" for sample in posed),
        "neutral scans": sum(sample.emotion == "neutral" for sample in posed),
    }


def _subjects(listing: Listing) -> set[str]:
    """The subjects of samples and of scans left out, without the dataset's name."""
    subjects = {sample.subject.partition(":")[2] for sample in listing.samples}
    return subjects | {row.sample_id.partition("/")[2].split("_")[0] for row in listing.left_out}


def _add_rejections(report: CheckReport, rejections: Iterable[Rejection]) -> None:
    kinds: dict[str, list[str]] = defaultdict(list)
    for row in rejections:
        if row.reason is Reason.DUPLICATE:
            kinds["duplicated"].append(row.found)
        elif row.reason is Reason.BAD_NAME:
            kinds["misnamed"].append(row.source_file)
        else:
            kinds["incomplete"].append(f"{row.source_file} (expected {row.expected}; {row.found})")
    for what, text in (
        ("incomplete", "recordings that lack a file or contradict themselves"),
        ("misnamed", "files whose names are not of the dataset"),
        ("duplicated", "names that occur more than once"),
    ):
        items = tuple(kinds[what])
        report.add("error" if items else "ok", what, f"{len(items) or 'no'} {text}", items)


def _add_missing(report: CheckReport, tree: _Tree) -> None:
    """Subjects and recordings of the manifest that are not in the tree: a part of a dataset is a legal tree."""
    manifest = tree.manifest
    if manifest.subjects:
        present = _subjects(tree.listing)
        absent = tuple(sorted(manifest.subjects - present))
        report.add("note" if absent else "ok", "missing subjects", f"{len(absent) or 'none'}", absent)
        strange = tuple(sorted(present - manifest.subjects))
        if strange:
            report.add("warning", "extra subjects", f"{len(strange)} that the manifest does not know", strange)
    if recordings := manifest.expected.recordings:
        have: dict[str, set[str]] = defaultdict(set)
        for sample in tree.listing.samples:
            have[sample.subject.partition(":")[2]].add(manifest.recording_of(sample.name))
        gone = tuple(f"{subject}_{key}" for subject in sorted(have) for key in recordings if key not in have[subject])
        text = f"{len(gone) or 'none'} of {len(have)} × {len(recordings)}"
        report.add("warning" if gone else "ok", "missing recordings", text, gone)


def _add_extra(report: CheckReport, tree: _Tree) -> None:
    root = tree.files.root
    used = {path.relative_to(root).as_posix() for sample in tree.listing.samples for path in sample.files.values()}
    named = {row.source_file for row in (*tree.listing.rejected, *tree.listing.left_out)}
    stems = {_stem(row.source_file) for row in (*tree.listing.left_out, *tree.listing.rejected)}
    extra = tuple(path for path in tree.files.files if path not in used | named and _stem(path) not in stems)
    report.add("note" if extra else "ok", "extra", f"{len(extra) or 'no'} files that preparation does not use", extra)


def _stem(path: str) -> str:
    """The path without its ending, in lower case: what the files of one scan have in common."""
    return path.lower().rpartition(".")[0]
