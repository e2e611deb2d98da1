"""The ``fer-prep`` program: options, one library call, print.

Commands live in one module per kind. They import the library inside the command body, and nowhere else in the
project is that done: ``--help`` and ``doctor`` must work where OpenCV or MediaPipe cannot even be imported.
"""

from __future__ import annotations

from fer_prep import __version__
from fer_prep.cli.config_command import add_config_command
from fer_prep.cli.program import make_app

app = make_app(
    "fer-prep",
    version=__version__,
    help="Raw 3D facial-expression datasets → registered RGB-D → one HDF5 dataset with subject-disjoint folds.",
    continues={
        **dict.fromkeys(
            ("render-bu3dfe", "render-bosphorus", "align", "all", "import"),
            "the same command continues where this one stopped",
        ),
        **dict.fromkeys(("sample-data", "merge", "folds", "export", "browse", "stats"), "the same command starts anew"),
    },
)
add_config_command(app, example="merge")


# importing a command module registers its commands, in the order of the pipeline
from fer_prep.cli import sample_data_command  # noqa: E402, F401, I001
from fer_prep.cli import prepare_commands  # noqa: E402, F401
from fer_prep.cli import all_command  # noqa: E402, F401
from fer_prep.cli import dataset_commands  # noqa: E402, F401
from fer_prep.cli import inspect_commands  # noqa: E402, F401
from fer_prep.cli import doctor  # noqa: E402, F401
