"""Engines by name, as the commands offer them: a new one is a module with the engine's class and one line here."""

from __future__ import annotations

import importlib
from typing import Final

from fer_prep.engines.engine import Engine, default_engine
from fer_prep.errors import UsageError

ENGINES: Final = ("processes", "dask")

CROWDED_THREADS: Final = 2
"""Items side by side in a worker at most where every processor may have a worker: more only get into each other's way,
one less would wait for files (``docs/decisions/0025-where-aligning-spends-its-time.md``, "Full machines")."""


def make_engine(
    name: str = "processes", *, workers: int | None = None, threads: int = 1, scheduler: str = ""
) -> Engine:
    """The engine called ``name``.

    ``workers`` processes on this machine (by default one a usable processor), or those of the running cluster at
    ``scheduler``. Each works at ``threads`` items side by side where processors are to spare, else at
    ``CROWDED_THREADS`` at most. Raises UsageError for an unknown name, for options that contradict each other, and
    where the engine's package is missing.
    """
    if name not in ENGINES:
        raise UsageError(f"no --engine {name!r}; known: {', '.join(ENGINES)}")
    if scheduler and name == "processes":
        raise UsageError("--scheduler is of no use to --engine processes", hint="add --engine dask, or leave it out")
    few = min(threads, CROWDED_THREADS)
    if name == "processes":
        engine = default_engine(workers=workers, threads=threads)
        return engine if engine.spare_processors else default_engine(workers=workers, threads=few)
    if scheduler and workers is not None:
        raise UsageError("--scheduler has its own workers; found --workers as well", hint="leave one of the two out")
    if workers == 0:
        raise UsageError("--workers 0 works inside this process; found --engine dask", hint="leave one of the two out")
    try:
        module = importlib.import_module("fer_prep.engines.dask_engine")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--engine dask needs the Python package {error.name}, which is not installed",
            hint="pip install 'fer-rgbd[cluster]'",
        ) from None
    return module.DaskEngine(scheduler=scheduler, workers=workers or 0, threads=few)
