"""Search for settings with Optuna: random search as in the thesis, folds as the steps at which a trial may be given up.

Some people are held out of the whole search. The settings that are found are then judged once, by them
(``holdout.folds.json``): a score of folds that chose the settings is not a result.

Several processes may work on one search: each runs the same command, and they share the journal in its folder.
What trial number n tries follows from (seed, n) alone under random search, whoever runs it. A killed trial leaves a
gap; the search goes on until enough others are finished.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import optuna
from optuna.distributions import distribution_to_json
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

from fer_prep.atomic_files import write_atomically
from fer_prep.csv_tables import write_table
from fer_prep.dataset.reader import DatasetFile
from fer_prep.errors import FerError, UsageError
from fer_prep.folder_lock import taking_turns
from fer_prep.folds.splits import write_folds
from fer_prep.progress import Progress, silent
from fer_train.analysis.search_folds import make_search_folds
from fer_train.analysis.search_settings import SearchSettings
from fer_train.analysis.search_space import Space, suggest
from fer_train.config import Config
from fer_train.metrics.registry import metric_called
from fer_train.settings_file import config_to_toml, flatten, override
from fer_train.training.fold import open_data, run_fold
from fer_train.training.machine import set_up_machine

HOLDOUT: Final = "holdout.folds.json"
BEST: Final = "best.toml"
OUTCOME_LOCK: Final = ".outcome.lock"
STUDY: Final = "fer-train"
FRAME: Final = "frame"
JOURNAL: Final = "study.journal"
LOCK_GRACE_S: Final = 30
"""A lock of the journal that is this old was left by a killed process: appending takes milliseconds."""

Judge = Callable[[Config], Iterator[float]]
"""Settings → the score of one fold after the other, in percent."""


def tune(
    data_path: Path,
    *,
    config: Config,
    space: Space,
    settings: SearchSettings,
    out: Path,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = silent,
) -> optuna.Study:
    """Search until ``settings.trials`` are done, going on with the search that is in ``out``; write its files there."""
    metric, machine = metric_called(settings.metric), set_up_machine(config.machine)
    with DatasetFile.open(data_path) as file:
        manifest, holdout = make_search_folds(file, folds=settings.folds, holdout=settings.holdout, seed=settings.seed)
        frame = _frame(file, config=config, space=space, settings=settings)
        study = open_study(out, frame=frame, better=metric.better)
        if holdout is not None and not (out / HOLDOUT).exists():
            write_folds(holdout, out / HOLDOUT, data=file)
    data = open_data(
        data_path, config=config, device=machine.device, classes=manifest.classes, say=say, progress=progress
    )

    def judge(candidate: Config) -> Iterator[float]:
        with tempfile.TemporaryDirectory(dir=out, prefix=".trial-") as folder:
            for index in range(len(manifest.folds)):
                place = Path(folder) / f"fold-{index}"
                result = run_fold(index, manifest=manifest, data=data, config=candidate, machine=machine, folder=place)
                yield metric(result.labels, result.probabilities)

    search(study, judge=judge, config=config, space=space, settings=settings, out=out, say=say)
    return study


def open_study(out: Path, *, frame: dict[str, Any], better: Literal["higher", "lower"] = "higher") -> optuna.Study:
    """The search in ``out``, new or begun; one begun with other data, settings or space is refused.

    Its journal works on file systems that several machines share. The lock is a file made by ``open(O_EXCL)``, safe on
    NFS from version 3 on. Optuna's default, a symbolic link, is not used: seen from a folder or machine with another
    path it points nowhere, and Optuna then never notices that a killed process has left it.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    out.mkdir(parents=True, exist_ok=True)
    path = str(out / JOURNAL)
    lock = JournalFileOpenLock(path, grace_period=LOCK_GRACE_S)
    study = optuna.create_study(
        study_name=STUDY,
        storage=JournalStorage(JournalFileBackend(path, lock_obj=lock)),
        sampler=optuna.samplers.RandomSampler(),
        direction="maximize" if better == "higher" else "minimize",
        load_if_exists=True,
    )
    known = study.user_attrs.get(FRAME)
    if known is None:
        study.set_user_attr(FRAME, frame)
    elif known != frame:
        different = [key for key in frame if known.get(key) != frame[key]]
        raise UsageError(
            f"the search in this folder was begun with another {', '.join(different)}",
            path=out,
            hint="go on with the same options, or choose another --out",
        )
    return study


def search(
    study: optuna.Study,
    *,
    judge: Judge,
    config: Config,
    space: Space,
    settings: SearchSettings,
    out: Path,
    say: Callable[[str], None],
) -> None:
    """Ask, judge fold by fold, tell; until enough trials are done by all processes together."""
    study.pruner = optuna.pruners.MedianPruner() if settings.prune else optuna.pruners.NopPruner()
    while len(_done(study)) < settings.trials:
        trial = study.ask()
        study.sampler = _sampler(settings, number=trial.number)
        values = {key: suggest(trial, key, choices) for key, choices in space.items()}
        try:
            state, mean, folds = _run_trial(trial, judge(override(config, values)))
            study.tell(trial, mean if state == TrialState.COMPLETE else None, state=state)
            verdict = (
                f"{mean:.2f} %" if state == TrialState.COMPLETE else f"given up at {mean:.2f} % after {folds} folds"
            )
        except FerError as error:
            study.tell(trial, state=TrialState.FAIL)
            verdict = f"failed: {error.message}"
        say(f"trial {trial.number}: {verdict}; " + ", ".join(f"{key}={_short(value)}" for key, value in values.items()))
        write_outcome(study, config=config, space=space, out=out)


def _run_trial(trial: optuna.Trial, scores: Iterator[float]) -> tuple[TrialState, float, int]:
    """(state, mean so far, folds judged): the mean after every fold is what trials are compared by."""
    found: list[float] = []
    for value in scores:
        found.append(value)
        trial.report(float(np.mean(found)), step=len(found))
        if trial.should_prune():
            return TrialState.PRUNED, float(np.mean(found)), len(found)
    return TrialState.COMPLETE, float(np.mean(found)), len(found)


def write_outcome(study: optuna.Study, *, config: Config, space: Space, out: Path) -> None:
    """Write ``trials.csv``, and ``best.toml``: settings for ``--preset``, once a trial is complete.

    Processes that share the search take turns, and look at the study only when it is their turn: what is written last
    holds every trial that any of them has finished.
    """
    with taking_turns(out / OUTCOME_LOCK):
        trials = _done(study)
        lines = [
            (
                trial.number,
                trial.state.name.lower(),
                "" if trial.value is None else f"{trial.value:.4f}",
                len(trial.intermediate_values),
                *(trial.params.get(key, "") for key in space),
            )
            for trial in trials
        ]
        write_atomically(out / "trials.csv", content=write_table(("trial", "state", "score", "folds", *space), lines))
        if any(trial.state == TrialState.COMPLETE for trial in trials):
            best = override(config, study.best_trial.params | {"name": f"{config.name}-tuned"})
            write_atomically(out / BEST, content=config_to_toml(best))


def _done(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))


def _sampler(settings: SearchSettings, *, number: int) -> optuna.samplers.BaseSampler:
    """A sampler of this trial's own: processes that share a search must not draw the same values."""
    seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    if settings.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=seed, multivariate=False)
    return optuna.samplers.RandomSampler(seed=seed)


def _frame(file: DatasetFile, *, config: Config, space: Space, settings: SearchSettings) -> dict[str, Any]:
    """What all processes of one search must agree on; JSON-able."""
    # machine settings may differ between processes: another GPU, other threads
    fixed = {key: value for key, value in flatten(asdict(config)) if not key.startswith("machine.")}
    frame = {
        "dataset": file.digest,
        "configuration": fixed,
        "search space": {key: distribution_to_json(values) for key, values in space.items()},
        "number of folds": settings.folds,
        "holdout": settings.holdout,
        "metric": settings.metric,
        "seed": settings.seed,
    }
    return json.loads(json.dumps(frame))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
