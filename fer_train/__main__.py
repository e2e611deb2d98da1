"""Entry point of the ``fer-train`` script and of ``python -m fer_train``."""

from __future__ import annotations

import os

from fer_prep.cli.entry import run


def main() -> None:
    """Run the program.

    Threads that wait do so asleep: spinning takes from other programs, and from the threads that are waited for. It
    is read when PyTorch's OpenMP library is loaded (GNU's or Intel's).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    run("fer_train.cli.app", program="fer-train")


if __name__ == "__main__":
    main()
