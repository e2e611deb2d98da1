"""What all tests of training share."""

from __future__ import annotations

import os

import torch

if "PYTEST_XDIST_WORKER" in os.environ:
    # threads of trainings side by side wait for each other: two trainings with two threads each, on two processors,
    # took up to 16 times as long
    torch.set_num_threads(1)
