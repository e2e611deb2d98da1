"""``--max-rejected``: how much may be rejected before a command that did its work ends with exit code 1."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fer_prep.cli.console import warn


def parse_share(text: Any) -> float:
    """A share from 0 to 1, written as such or in percent; raises typer.BadParameter.

    >>> parse_share("0.05"), parse_share("5%"), parse_share("2.5 %")
    (0.05, 0.05, 0.025)
    """
    words = str(text).strip()
    try:
        share = float(words.removesuffix("%")) / (100 if words.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise typer.BadParameter(
            f"expected a share from 0 to 1, such as 0.05, or a percentage such as 5%; found {text}"
        )
    return share


MaxRejected = Annotated[
    float,
    typer.Option(
        parser=parse_share,
        metavar="SHARE",
        help="How much may be rejected before the exit code is 1: a share from 0 to 1, or a percentage such as 5%.",
    ),
]


def too_many_rejected(what: str, *, rejected: int, total: int, max_rejected: float, of: str = "") -> bool:
    """True where more than the share ``max_rejected`` was rejected, which is said on standard error.

    ``what`` was rejected is plural; ``of`` names the dataset where there may be several.
    """
    if total == 0 or rejected / total <= max_rejected:
        return False
    warn(
        f"{of and of + ': '}{rejected} of {total} {what} rejected ({_percent(rejected / total)}); "
        f"--max-rejected {max_rejected:g} allows {_percent(max_rejected)}"
    )
    return True


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
