"""Divide groups (subjects) into parts so that every part has its share of every stratum, and every class.

Own and deterministic: equal counts, weights and generator state give the same parts on every machine.
The cost is the squared distance from each part's ideal share, per stratum (class × dataset) and in all, plus
a large penalty for every class that a part lacks. Greedy from the largest group down, then moves and exchanges
until none helps; where that leaves a class out, an exact search decides whether it can be avoided at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FoldsError

_MISSING_CLASS: Final = 1e6
_RESTARTS: Final = 8
_SEARCH_STEPS: Final = 200_000


@dataclass(frozen=True, kw_only=True)
class Groups:
    """What the splitter needs to know: how much of what each group holds."""

    strata: NDArray[np.float64]
    """(G, S) samples of group g in stratum s."""
    classes: NDArray[np.float64]
    """(G, K) samples of group g in class k."""
    class_names: Sequence[str]


def split_groups(groups: Groups, *, shares: Sequence[float], rng: np.random.Generator) -> NDArray[np.int64]:
    """(G,) the part each group goes to; ``shares`` are the parts' ideal shares of the samples, summing to 1.

    Raises FoldsError where some class cannot be in every part, saying which and how many groups have it.
    """
    parts = len(shares)
    _refuse_the_impossible(groups, parts)
    problem = _Problem(groups, np.asarray(shares, np.float64))
    best, best_cost = np.zeros(len(groups.strata), np.int64), np.inf
    for attempt in range(_RESTARTS):
        assignment = problem.greedy(rng)
        problem.improve(assignment)
        cost = problem.cost(assignment)
        if cost < best_cost:
            best, best_cost = assignment, cost
        if problem.covered(best) and attempt >= 1:
            return best
    covering = _cover_exactly(groups.classes > 0, parts, rng, groups.class_names)
    problem.improve(covering)
    return covering


def _refuse_the_impossible(groups: Groups, parts: int) -> None:
    count = len(groups.strata)
    if count < parts:
        raise FoldsError(f"{parts} parts need at least {parts} subjects or groups; found {count}")
    holders = (groups.classes > 0).sum(axis=0)
    short = [f"{name} ({n})" for name, n in zip(groups.class_names, holders, strict=True) if n < parts]
    if short:
        raise FoldsError(
            f"every class must be in every one of {parts} parts, so at least {parts} subjects or groups must "
            f"have it; too few have: {', '.join(short)}",
            hint=f"at most {int(holders.min(initial=count))} folds are possible with these classes"
            if holders.min(initial=count) >= 2
            else "choose fewer classes (--classes) or add data",
        )


class _Problem:
    """The cost of an assignment of groups to parts, and its improvement."""

    def __init__(self, groups: Groups, shares: NDArray[np.float64]) -> None:
        size = groups.strata.sum(axis=1, keepdims=True)
        # the size counts as a stratum of its own, weighted as much as all the others together
        self.counts = np.hstack([groups.strata, size])  # (G, S + 1)
        total = self.counts.sum(axis=0)
        self.target = shares[:, None] * total  # (P, S + 1)
        weights = 1 / np.maximum(total, 1) ** 2
        weights[-1] *= groups.strata.shape[1]
        self.weights = weights * len(shares)
        self.has = groups.classes > 0  # (G, K)
        self.parts = len(shares)

    def loads(self, assignment: NDArray[np.int64]) -> NDArray[np.float64]:
        """(P, S + 1) what each part holds."""
        loads = np.zeros_like(self.target)
        np.add.at(loads, assignment, self.counts)
        return loads

    def holders(self, assignment: NDArray[np.int64]) -> NDArray[np.int64]:
        """(P, K) how many groups of each part have each class."""
        holders = np.zeros((self.parts, self.has.shape[1]), np.int64)
        np.add.at(holders, assignment, self.has.astype(np.int64))
        return holders

    def covered(self, assignment: NDArray[np.int64]) -> bool:
        """True when every class is in every part."""
        return bool(self.holders(assignment).all())

    def cost(self, assignment: NDArray[np.int64]) -> float:
        """Imbalance plus the penalty of missing classes."""
        imbalance = ((self.loads(assignment) - self.target) ** 2 * self.weights).sum()
        return float(imbalance + _MISSING_CLASS * (self.holders(assignment) == 0).sum())

    def greedy(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Groups from the largest down (ties in random order), each to the part where it lowers the cost most."""
        order = rng.permutation(len(self.counts))
        order = order[np.argsort(-self.counts[order, -1], kind="stable")]
        assignment = np.zeros(len(self.counts), np.int64)
        loads, holders = np.zeros_like(self.target), np.zeros((self.parts, self.has.shape[1]), np.int64)
        for group in order:
            before = (loads - self.target) ** 2
            after = (loads + self.counts[group] - self.target) ** 2
            gain = ((after - before) * self.weights).sum(axis=1)
            gain -= _MISSING_CLASS * ((holders == 0) & self.has[group]).sum(axis=1)
            part = int(np.argmin(gain))
            assignment[group] = part
            loads[part] += self.counts[group]
            holders[part] += self.has[group]
        return assignment

    def improve(self, assignment: NDArray[np.int64]) -> None:
        """Move one group, or exchange two, as long as the cost falls (in place)."""
        for _ in range(4 * len(assignment)):
            if not (self._best_move(assignment) or self._best_exchange(assignment)):
                return

    def _best_move(self, assignment: NDArray[np.int64]) -> bool:
        """Try every group in every other part; True when the best of them was better and is done."""
        groups = np.arange(len(assignment))
        excess, holders = self.loads(assignment) - self.target, self.holders(assignment)
        old, counts = excess[assignment], self.counts
        leave = ((old - counts) ** 2 - old**2) @ self.weights  # (G,)
        leave += _MISSING_CLASS * ((holders[assignment] == 1) & self.has).sum(axis=1)
        # (e + c)² − e² = c² + 2ec, for all groups and parts at once
        enter = (counts**2 @ self.weights)[:, None] + 2 * (counts * self.weights) @ excess.T  # (G, P)
        enter -= _MISSING_CLASS * (self.has.astype(float) @ (holders == 0).T.astype(float))
        change = leave[:, None] + enter
        change[groups, assignment] = np.inf
        group, part = np.unravel_index(np.argmin(change), change.shape)
        # a part must not run empty
        if change[group, part] > -1e-12 or np.count_nonzero(assignment == assignment[group]) == 1:
            return False
        assignment[group] = part
        return True

    def _best_exchange(self, assignment: NDArray[np.int64]) -> bool:
        """Try to exchange each group with each other; True when the first improvement found was made."""
        excess, holders = self.loads(assignment) - self.target, self.holders(assignment)
        for group in range(len(assignment)):
            others = np.flatnonzero(assignment > assignment[group])
            if not len(others):
                continue
            delta = self.counts[others] - self.counts[group]  # (O, S + 1): what comes here and leaves there
            here, there = excess[assignment[group]], excess[assignment[others]]
            change = (2 * delta * (here - there) + 2 * delta**2) @ self.weights
            gained = self.has[others].astype(np.int64) - self.has[group]
            mine, theirs = holders[assignment[group]], holders[assignment[others]]
            lost = ((mine + gained) == 0).sum(axis=1) - (mine == 0).sum()
            lost += ((theirs - gained) == 0).sum(axis=1) - (theirs == 0).sum(axis=1)
            change += _MISSING_CLASS * lost
            best = int(np.argmin(change))
            if change[best] < -1e-12:
                other = others[best]
                assignment[group], assignment[other] = assignment[other], assignment[group]
                return True
        return False


def _cover_exactly(
    has: NDArray[np.bool_], parts: int, rng: np.random.Generator, class_names: Sequence[str]
) -> NDArray[np.int64]:
    """(G,) an assignment in which every part has every class, by backtracking over the rarest need first."""
    assignment = np.full(len(has), -1, np.int64)
    holders = np.zeros((parts, has.shape[1]), np.int64)
    order = rng.permutation(len(has))
    steps = 0

    def search() -> bool:
        nonlocal steps
        steps += 1
        if steps > _SEARCH_STEPS:
            raise FoldsError(
                f"found no way to have all of {', '.join(class_names)} in every one of {parts} parts",
                hint="ask for fewer folds, or choose fewer classes",
            )
        needs = holders == 0
        if not needs.any():
            return True
        free = assignment < 0
        supply = has[free].sum(axis=0)
        demand = needs.sum(axis=0)
        if (supply < demand).any():
            return False
        rarest = int(np.argmin(np.where(demand > 0, supply - demand, len(has) + 1)))
        part = int(np.flatnonzero(needs[:, rarest])[0])
        # groups that serve the same needs of this part are interchangeable only if they hold the same classes
        tried: set[bytes] = set()
        for group in order[np.argsort(-(has[order] & needs[part]).sum(axis=1), kind="stable")]:
            if assignment[group] >= 0 or not has[group, rarest] or has[group].tobytes() in tried:
                continue
            tried.add(has[group].tobytes())
            assignment[group] = part
            holders[part] += has[group]
            if search():
                return True
            assignment[group] = -1
            holders[part] -= has[group]
        return False

    if not search():
        raise FoldsError(
            f"it is impossible to have all of {', '.join(class_names)} in every one of {parts} parts: "
            "too few subjects have the rarer ones together",
            hint="ask for fewer folds, or choose fewer classes",
        )
    for group in order[assignment[order] < 0]:
        assignment[group] = int(np.argmin(np.bincount(assignment[assignment >= 0], minlength=parts)))
    return assignment
