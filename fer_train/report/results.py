"""What follows training: ``predictions.csv``, ``summary.json``, ``figures/*.png`` and ``report.html`` of a run."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fer_prep.atomic_files import write_atomically
from fer_prep.errors import UsageError
from fer_prep.progress import Progress, silent
from fer_train.config import Config
from fer_train.inference.trained_run import TrainedRun
from fer_train.metrics.predictions import Predictions
from fer_train.models import network_class
from fer_train.report.baselines import compute_baselines
from fer_train.report.figures import draw_figures
from fer_train.report.sections import SECTIONS
from fer_train.report.summary import gather_predictions, over_seeds, summarise
from fer_train.report.views import VIEWS, by_yaw, joined, write_views
from fer_train.settings_file import override
from fer_train.training.cross_validate import CrossValidation, FoldChoice, Say, cross_validate
from fer_train.training.run_folder import PREDICTIONS, SUMMARY, RunFolder
from fer_train.training.torchrun import is_first_process

DRAWING_PACKAGES: Final = {"matplotlib": "matplotlib", "sklearn": "scikit-learn"}
"""Module → package: what the figures need and training does not."""
SEEDS_APART: Final = 1000
"""Every fold adds its number to the seed."""
FEWEST_SECONDS: Final = 180.0
"""That baselines may always take."""


def train_and_report(
    data_path: Path,
    *,
    config: Config,
    folds: FoldChoice,
    run: RunFolder,
    only: int | None = None,
    seeds: int = 1,
    baselines: bool = False,
    say: Say = lambda text: None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """``cross_validate``, and what follows from it in the first of several processes; return the summary.

    With ``seeds`` above 1 everything is trained so many times, the others in ``seed-S`` of the run folder and on the
    same folds; the summary has their spread. With ``baselines`` some stand beside the network, computed in a tenth of
    the time that the training took, or in three minutes.
    """
    begin = time.monotonic()
    if seeds > 1 and network_class(config.model.network).fitted:
        raise UsageError(f"--seeds: {config.model.network} draws nothing at random, every seed gives the same result")
    how: dict[str, Any] = {"only": only, "say": say, "progress": progress}
    trained = cross_validate(data_path, config=config, folds=folds, run=run, seeds=seeds, **how)
    others: list[RunFolder] = []
    for number in range(1, seeds):
        seed = config.training.seed + SEEDS_APART * number
        others.append(RunFolder(run.path / f"seed-{seed}"))
        if not others[-1].finished:
            say(f"seed {seed} ({number + 1} of {seeds})")
            changed = override(config, {"training.seed": seed})
            train_and_report(
                data_path, config=changed, folds=FoldChoice(manifest=trained.manifest), run=others[-1], **how
            )
    if not is_first_process():
        return {}
    seconds = max(FEWEST_SECONDS, (time.monotonic() - begin) / 10) if baselines else 0.0
    with run.writing():
        return write_results(run, trained, others=others, baseline_seconds=seconds, say=say, progress=progress)


def write_results(
    run: RunFolder,
    trained: CrossValidation,
    *,
    others: Sequence[RunFolder] = (),
    baseline_seconds: float = 0.0,
    say: Say,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write summary and report of a training, with the spread over it and ``others`` of other seeds, and with baselines
    where there is time for them; return the summary.

    Where the packages that draw are missing there is no report, and ``say`` hears what to install.
    """
    summary, predictions = write_summary(run, trained)
    if others:
        summary["seeds"] = over_seeds(
            {run.config.training.seed: summary} | {each.config.training.seed: each.read_summary() for each in others}
        )
    if baseline_seconds:
        beside = compute_baselines(run, trained, predictions, seconds=baseline_seconds, progress=progress)
        summary["baselines"] = beside
    run.write_json(SUMMARY, summary)
    missing = [package for module, package in DRAWING_PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        say(f"no report: {' and '.join(missing)} not installed; pip install {' '.join(missing)}")
    else:
        write_report(TrainedRun(run=run, manifest=trained.manifest, predictions=predictions, data=trained.data))
    return summary


def write_summary(run: RunFolder, trained: CrossValidation) -> tuple[dict[str, Any], Predictions]:
    """Write ``predictions.csv`` and ``summary.json``; return what they hold."""
    manifest = trained.manifest
    predictions = gather_predictions(trained.results, classes=manifest.classes)
    summary = summarise(
        trained.results, predictions=predictions, manifest=manifest, data=trained.data.file, config=run.config
    )
    if turned := [result.turned for result in trained.results if result.turned is not None]:
        write_views(joined(turned), run.path / VIEWS, data=trained.data.file)
        summary["views"] = by_yaw(joined([predictions, *turned]), data=trained.data.file)
    predictions.write(run.path / PREDICTIONS)
    run.write_json(SUMMARY, summary)
    return summary, predictions


def write_report(trained: TrainedRun) -> Path:
    """Draw all figures of a finished run and write its page, which needs no other file; return the page's path."""
    draw_figures(trained)
    summary, environment = trained.summary, trained.run.read_environment()
    count = len(summary["folds"])
    kind = f"{count}-fold result" if count > 1 else f"result of fold {summary['folds'][0]['index']} alone"
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = pages.get_template("report.html.j2").render(
        title=f"{summary['name']}: {kind}",
        subtitle=f"{summary['samples']} samples of {summary['subjects']} people, {len(summary['classes'])} classes · "
        f"protocol {summary['protocol']} · {environment['time'].replace('T', ' ')} · {environment['device']['type']}",
        sections=[(section.title, html) for section in SECTIONS if (html := section.html(trained))],
    )
    write_atomically(trained.run.report, content=page)
    return trained.run.report
