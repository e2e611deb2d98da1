"""Engines by name, as the commands offer them: a new one is a module with the engine's class and one line here."""

from __future__ import annotations

import importlib
from typing import Final

from fer_prep.engines.engine import Engine, InProcessEngine, usable_cpus
from fer_prep.engines.process_engine import ProcessEngine
from fer_prep.errors import InstallationError, UsageError

ENGINES: Final = ("processes", "dask")


def make_engine(name: str = "processes", *, workers: int | None = None, scheduler: str = "") -> Engine:
    """The engine called ``name``.

    ``workers`` processes on this machine (by default one a usable processor; 0: inside this process), or those of the
    running cluster at ``scheduler``. Raises UsageError for an unknown name, for options that contradict each other, and
    where the engine's package is missing.
    """
    if name not in ENGINES:
        raise UsageError(f"no --engine {name!r}; known: {', '.join(ENGINES)}")
    if scheduler and name == "processes":
        raise UsageError("--scheduler is of no use to --engine processes", hint="add --engine dask, or leave it out")
    if name == "processes":
        return InProcessEngine() if workers == 0 else ProcessEngine(workers=workers or usable_cpus())
    if scheduler and workers is not None:
        raise UsageError("--scheduler has its own workers; found --workers as well", hint="leave one of the two out")
    if workers == 0:
        raise UsageError("--workers 0 works inside this process; found --engine dask", hint="leave one of the two out")
    try:
        module = importlib.import_module("fer_prep.engines.dask_engine")
    except ModuleNotFoundError as error:
        raise InstallationError(
            f"--engine dask needs the Python package {error.name}, which is not installed",
            hint="pip install 'fer-rgbd[cluster]'",
        ) from None
    return module.DaskEngine(scheduler=scheduler, workers=workers or 0)
