"""Exceptions that are not our own as our two lines: missing packages, the operating system, wrong options."""

from __future__ import annotations

import errno
import os
import re
from typing import Any, Final

import typer

from fer_prep.errors import FerError

INSTALL_ALL: Final = "pip install 'fer-rgbd[all]' brings it; fer-prep doctor says what else is missing"
ASK_DOCTOR: Final = "fer-prep doctor gives the one line that installs it"


def explain(error: FerError | ImportError | OSError, *, then: str) -> FerError | None:
    """The two-line form; None for what is a fault of our own. ``then`` says how the stopped command goes on."""
    if isinstance(error, FerError):
        return error
    return _of_import(error) if isinstance(error, ImportError) else _of_system(error, then=then)


def _of_import(error: ImportError) -> FerError | None:
    package = (error.name or "").split(".")[0]
    if "cannot open shared object file" in str(error):
        return FerError(f"{package or 'a package'} lacks a system library: {error}", hint=ASK_DOCTOR)
    if isinstance(error, ModuleNotFoundError) and package not in ("", "fer_prep", "fer_train"):
        return FerError(f"the Python package {package} is not installed", hint=INSTALL_ALL)
    return None


def _of_system(error: OSError, *, then: str) -> FerError:
    more = f"; {then}" if then else ""
    hints = {
        errno.ENOSPC: f"free some space or choose another disk{more}",
        errno.EDQUOT: f"your quota is used up: free some space or choose another disk{more}",
        errno.EACCES: "choose a place that you may read and write, or change its permissions",
        errno.EPERM: "choose a place that you may read and write, or change its permissions",
        errno.EROFS: "this file system is read-only: choose another place with --out",
        errno.EISDIR: "expected a file; this is a folder",
        errno.ENOTDIR: "expected a folder; this, or a part of its path, is a file",
        errno.EEXIST: "expected a new place; something is there already",
        errno.ENAMETOOLONG: "choose a shorter name",
        errno.EMFILE: "too many open files: raise the limit with ulimit -n 4096, or use fewer --workers",
    }
    reason = error.strerror or str(error) or type(error).__name__
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else None
    return FerError(reason[:1].lower() + reason[1:], path=path, hint=hints.get(error.errno or 0, ""))


def explain_usage(error: typer.TyperException) -> FerError:
    """What Typer refuses: an option, argument or command that does not exist, or a value that does not fit."""
    context: typer.Context | None = getattr(error, "ctx", None)
    parameter: Any = getattr(error, "param", None)
    message = _plainer(error)
    if context is None:
        return FerError(message)
    source = context.get_parameter_source(parameter.name) if parameter is not None and parameter.name else None
    if source is not None and source.name == "DEFAULT_MAP":
        return FerError(f"{context.command_path}: {message}", path="fer.toml", hint="correct the file, or take it out")
    return FerError(f"{context.command_path}: {message}", hint=f"{context.command_path} --help shows what it takes")


def _plainer(error: typer.TyperException) -> str:
    """Typer's sentence in our words, and with the value that was found, which pydantic's sentences leave out."""
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message.replace("Value error, ", "").replace("Input should be", "expected")
    message = re.sub(r", unable to parse string as an? \w+", "", message)
    message = message.replace("a valid integer", "a whole number").replace("a valid number", "a number")
    cause: Any = error.__cause__
    if ": expected" in message and hasattr(cause, "errors"):
        message += f"; found {cause.errors()[0]['input']!r}"
    return message[:1].lower() + message[1:]
