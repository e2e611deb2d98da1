"""Random numbers as a function of (seed, epoch, sample, which draw): no state, so no order, batch or device matters.

Keys are 64-bit counters scrambled by the finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom
number generators", OOPSLA 2014). All arithmetic is int64 modulo 2⁶⁴, equal on every device.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

_INCREMENT: Final = 0x9E3779B97F4A7C15
_FACTORS: Final = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_ALL_BITS: Final = (1 << 64) - 1


def sample_keys(rows: Tensor, *, seed: int, epoch: int) -> Tensor:
    """Keys (B,) int64 of the samples in ``rows`` (B,) int64, row numbers of the dataset, for one epoch of one run."""
    return _scramble(rows + _signed(_scramble_number(_scramble_number(seed) + epoch)))


def epoch_order(rows: Tensor, *, seed: int, epoch: int) -> Tensor:
    """``rows`` (n,) int64 in the order in which one epoch of one run visits them."""
    return rows[torch.argsort(sample_keys(rows, seed=seed, epoch=epoch), stable=True)]


def uniforms(keys: Tensor, *, draws: int) -> Tensor:
    """The first uniform numbers of every key: (B,) int64 → (draws, B) float32 in [0, 1), multiples of 2⁻²⁴."""
    numbers = torch.arange(1, draws + 1, device=keys.device)
    return _shift_right(_scramble(keys + numbers[:, None] * _signed(_INCREMENT)), 40).float() * 2.0**-24


def network_seed(*, seed: int, step: int, part: int) -> int:
    """What PyTorch's generators are seeded with before micro-batch ``part`` of ``step``: dropout follows from it."""
    return _scramble_number(_scramble_number(_scramble_number(~seed) + step) + part)


def _scramble(values: Tensor) -> Tensor:
    """SplitMix64's mixing of int64 taken as 64 unsigned bits."""
    values = values + _signed(_INCREMENT)
    values = (values ^ _shift_right(values, 30)) * _signed(_FACTORS[0])
    values = (values ^ _shift_right(values, 27)) * _signed(_FACTORS[1])
    return values ^ _shift_right(values, 31)


def _scramble_number(value: int) -> int:
    """The same mixing of one Python integer: the lowest 64 bits of it, unsigned."""
    value = (value + _INCREMENT) & _ALL_BITS
    value = ((value ^ (value >> 30)) * _FACTORS[0]) & _ALL_BITS
    value = ((value ^ (value >> 27)) * _FACTORS[1]) & _ALL_BITS
    return value ^ (value >> 31)


def _shift_right(values: Tensor, bits: int) -> Tensor:
    """Logical shift: int64's own carries the sign along."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    """The int64 with the lowest 64 bits of ``value``."""
    value &= _ALL_BITS
    return value - (1 << 64) if value >> 63 else value
