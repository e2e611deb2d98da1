"""The first code of both programs: nothing is imported before Ctrl-C is looked after."""

from __future__ import annotations

import os
from importlib import import_module


def run(module: str, *, program: str) -> None:
    """Run the ``app`` of a module under the program's name; Ctrl-C shows no traceback from first import to clean-up."""
    try:
        import_module(module).app(prog_name=program)
    except KeyboardInterrupt:
        os.write(2, b"interrupted\n")
        os._exit(130)
    finally:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_DFL)  # what is left is the interpreter's own clean-up
