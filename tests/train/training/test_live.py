"""The line that is watched while a fold trains."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from fer_train.training import live


@pytest.mark.parametrize("width", [80, 200])
def test_everything_is_in_the_line_even_in_80_columns(width, monkeypatch):
    seen = io.StringIO()
    console = Console(file=seen, force_terminal=True, width=width, _environ={"TERM": "xterm"})
    monkeypatch.setattr(live, "messages", console)
    with live.training_display("fold 9 (10 of 10)", total_steps=6000, batch_size=128) as show:
        for step in (3998, 3999, 4000):
            time.sleep(0.05)  # an unhurried pace: nobody trains millions of images a second
            show({"step": step, "train_loss": 1.234, "train_accuracy": 99.6, "rate_fusion": 1e-3,
                  **({"val_overall_accuracy": 87.4} if step > 3998 else {})})  # fmt: skip
    last = [line for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.getvalue()).splitlines() if "loss" in line][-1]
    for part in ("fold 9 (10 of 10)", "67%", "loss 1.23", "train 100%", "val 87%", "lr 1e-03", "/s", "left"):
        assert part in last
    assert "…" not in last
    assert re.search(r"left *[0-9:-]+$", last.strip())


def test_without_a_terminal_every_epoch_has_a_line(monkeypatch):
    seen: list[str] = []
    monkeypatch.setattr(live, "messages", Console(file=io.StringIO()))
    monkeypatch.setattr(live, "note", seen.append)
    with live.training_display("fold 0 (1 of 5)", total_steps=8, batch_size=8) as show:
        for step in range(1, 5):
            time.sleep(0.02)
            show({"step": step, "epoch": step / 2, "train_loss": 1.0, "train_accuracy": 50.0, "rate_fusion": 1e-3})
    assert [line.split(":")[0] for line in seen] == ["fold 0 (1 of 5), epoch 1", "fold 0 (1 of 5), epoch 2"]
    for part in ("loss 1.00", "train 50%", "lr 1e-03", "/s", "left 00:00"):
        assert part in seen[-1]
