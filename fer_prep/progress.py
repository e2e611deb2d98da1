"""How long-running library calls tell how far they are, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """Opens a stage of known length; inside it, call the yielded function with the number of steps done."""

    def __call__(
        self, description: str, *, total: int, unit: str = "samples"
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Open the stage ``description`` of ``total`` steps."""
        ...


@contextmanager
def silent(description: str, *, total: int, unit: str = "samples") -> Generator[Callable[[int], None]]:
    """A listener that says nothing: the default of library calls."""
    yield lambda steps: None
