"""``fer-train bench``: four loops in one run, one table or one JSON object."""

from __future__ import annotations

import json
import sys

import pytest
from tiny_training import TINY, tiny_config, write_telling_data

from fer_prep.errors import UsageError
from fer_train.bench import bench

KEYS = {"device", "preset", "ceiling_images_per_second", "loop_images_per_second", "streaming_images_per_second",
        "plain_images_per_second", "loop_share_of_ceiling", "streaming_share_of_ceiling",
        "peak_memory_bytes"}  # fmt: skip


@pytest.mark.slow
def test_json_has_the_promised_keys(tmp_path, monkeypatch, capsys):
    from fer_train.__main__ import main

    data = write_telling_data(tmp_path / "global.h5", subjects=6)
    settings = [f"--set={key}={json.dumps(value)}" for key, value in TINY.items() if "." in key]
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
    assert found["ceiling_share_of_ceiling"] == 1
    assert min(found[f"{name}_share_of_ceiling"] for name in ("loop", "streaming", "plain")) > 0
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
