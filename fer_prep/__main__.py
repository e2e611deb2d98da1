"""Entry point of the ``fer-prep`` script and of ``python -m fer_prep``."""

from __future__ import annotations

from fer_prep.cli.entry import run


def main() -> None:
    """Run the program."""
    run("fer_prep.cli.app", program="fer-prep")


if __name__ == "__main__":
    main()
