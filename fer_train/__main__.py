"""Entry point of the ``fer-train`` script and of ``python -m fer_train``."""

from __future__ import annotations

from fer_prep.cli.entry import run


def main() -> None:
    """Run the program."""
    run("fer_train.cli.app", program="fer-train")


if __name__ == "__main__":
    main()
