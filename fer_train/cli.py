"""The ``fer-train`` program: options, one library call, print.

Commands import the library inside their bodies, so that ``--help`` does not load torch.
"""

from __future__ import annotations

from fer_prep.console import make_app
from fer_train import __version__

app = make_app(
    "fer-train",
    version=__version__,
    help="Cross-validated training on a fer-rgbd dataset.",
)


def main() -> None:
    """Entry point of the ``fer-train`` script."""
    app()


# importing a command module registers its commands, in the order in which they are met
from fer_train import train_commands  # noqa: E402, F401, I001
from fer_train import use_commands  # noqa: E402, F401
from fer_train import study_commands  # noqa: E402, F401
from fer_train import experiment_commands  # noqa: E402, F401
