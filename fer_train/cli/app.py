"""The ``fer-train`` program: options, one library call, print.

Commands import the library inside their bodies, so that ``--help`` does not load torch.
"""

from __future__ import annotations

from fer_prep.cli.config_command import add_config_command
from fer_prep.cli.program import make_app
from fer_train import __version__

CONTINUES = "the same command continues where this one stopped"

app = make_app(
    "fer-train",
    version=__version__,
    help="Cross-validated training on a fer-rgbd dataset.",
    continues={
        **dict.fromkeys(("kfold", "fit"), f"{CONTINUES}, with --resume where it named no --out"),
        **dict.fromkeys(("tune", "reproduce"), CONTINUES),
    },
)
add_config_command(app, example="kfold")


# importing a command module registers its commands, in the order in which they are met
from fer_train.cli import train  # noqa: E402, F401, I001
from fer_train.cli import use  # noqa: E402, F401
from fer_train.cli import studies  # noqa: E402, F401
from fer_train.cli import experiments  # noqa: E402, F401
from fer_train.cli import machine  # noqa: E402, F401
