"""One small head, shared by the tests of this folder."""

from __future__ import annotations

import numpy as np
import pytest

from fer_prep.sample_data.action_unit_shapes import Action
from fer_prep.sample_data.head import Sitter
from fer_prep.sample_data.people import draw_person


@pytest.fixture(scope="session")
def person():
    return draw_person("F", rng=np.random.default_rng(5))


@pytest.fixture(scope="session")
def showing(person):
    """A function: the head of the person with the given action units at full intensity."""
    sitter = Sitter(person)

    def build(*units):
        return sitter.show(tuple(Action(unit=u, left=1.0, right=1.0) for u in units))

    return build
