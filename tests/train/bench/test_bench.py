"""``fer-train bench``: four loops in one run, one table or one JSON object."""

from __future__ import annotations

import json
import sys
from itertools import groupby

import pytest
import torch
from tiny_training import TINY, tiny_config, write_telling_data

from fer_prep.errors import UsageError
from fer_train.bench import bench as bench_module
from fer_train.bench.bench import bench

KEYS = {"device", "preset", "ceiling_images_per_second", "loop_images_per_second", "streaming_images_per_second",
        "plain_images_per_second", "loop_share_of_ceiling", "streaming_share_of_ceiling",
        "peak_memory_bytes"}  # fmt: skip


@pytest.mark.slow
def test_json_has_the_promised_keys(tmp_path, monkeypatch, capsys):
    from fer_train.__main__ import main

    data = write_telling_data(tmp_path / "global.h5", subjects=6)
    settings = [f"--set={key}={value}" for key, value in TINY.items() if "." in key]
    arguments = ["--data", str(data), "--preset", "demo", "--rounds", "2", "--seconds", "0.05", "--json", *settings]
    monkeypatch.setattr(sys, "argv", ["fer-train", "bench", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    found = json.loads(capsys.readouterr().out)
    assert found.keys() >= KEYS
    assert (found["device"], found["preset"], found["rounds"]) == ("cpu", "demo", 2)
    rates = [found[f"{name}_images_per_second"] for name in ("ceiling", "loop", "streaming", "plain", "validation")]
    assert min(rates) > 0
    for name in ("loop", "streaming"):
        low, high = found[f"{name}_share_quartiles"]
        assert low <= found[f"{name}_share_of_ceiling"] <= high
    assert found["peak_memory_bytes"] > 10e6
    # 2 epochs with 2 validations each, of 8,716 samples in 5 folds
    seen, judged = 2 * 8716 * 4, 2 * 2 * 8716
    expected = seen / found["loop_images_per_second"] + judged / found["validation_images_per_second"]
    assert found["thesis_run_seconds"] == pytest.approx(expected)


def test_too_little_data_is_named(tmp_path):
    data = write_telling_data(tmp_path / "global.h5", subjects=2)
    with pytest.raises(UsageError, match="at least two batches of 12; found 14") as raised:
        bench(data, config=tiny_config(), rounds=1, seconds=0.01)
    assert str(data) in str(raised.value)


def test_every_turn_uses_up_what_it_made_and_the_ceiling_s_is_as_long(monkeypatch):
    monkeypatch.setattr(bench_module, "_SETTLE_SECONDS", 0.0)
    steps: list[str] = []

    def loop(name: str, *, made_at_once: int) -> bench_module._Loop:
        def step() -> int:
            steps.append(name)
            return 16

        return bench_module._Loop(name, step, may_stop=lambda: steps.count(name) % made_at_once == 0)

    loops = [loop(name, made_at_once=count) for name, count in (("a", 1), ("b", 4), ("c", 3), ("d", 1))]
    found = list(bench_module._measure(loops, rounds=2, seconds=0.0, device=torch.device("cpu"), say=lambda text: None))
    turns = [(name, len(list(run))) for name, run in groupby(steps)]
    # the first step of each, which is timed by itself, and on to where it may stop; then a round like the other
    assert turns == [("a", 2), ("b", 4), ("c", 3), ("d", 2), *[("a", 4), ("b", 4), ("c", 3), ("d", 1)] * 2]
    assert [len(each.shares) for each in found] == [2, 2, 2, 2]
