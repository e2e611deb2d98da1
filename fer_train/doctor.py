"""Which parts of fer-train work on this machine, and the one line that mends each part that does not.

Every probe really uses the part: multiplies on the GPU, builds a network and trains it for a step.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from fer_prep.cli.diagnosis import Diagnosis, disk, memory, packages, pip, python_version, run_python

MEMORY_GB: Final = 6.0
"""The Global dataset at 260² is 4.1 GB, and lives in memory where there is no GPU."""

_GPU: Final = """
import json, shutil, subprocess, torch
found = {"seen": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "built": torch.version.cuda}
if shutil.which("nvidia-smi"):
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    found["driver_sees"] = [line.split(" (UUID")[0] for line in done.stdout.splitlines() if line.startswith("GPU")]
if found["seen"]:
    one = torch.ones(512, 512, device="cuda")
    assert (one @ one).sum().item() == 512**3
    free, total = torch.cuda.mem_get_info()
    found |= {"name": torch.cuda.get_device_name(), "count": torch.cuda.device_count(), "free": free, "total": total,
              "bf16": torch.cuda.is_bf16_supported(including_emulation=False)}
print(json.dumps(found))
"""
_STEP: Final = """
import torch
from fer_train.models.two_stream import TwoStreamNetwork
torch.manual_seed(0)
network = TwoStreamNetwork(classes=2, image_size=32, backbone="test_resnet", token_width=16, encoder_depth=1,
                           encoder_heads=2, mlp_width=16, attention_maps=2)
optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
before = [p.detach().clone() for p in network.parameters()]
inputs = {"rgb": torch.rand(4, 3, 32, 32), "depth": torch.rand(4, 1, 32, 32)}
loss = torch.nn.functional.cross_entropy(network(inputs).logits, torch.tensor([0, 1, 0, 1]))
loss.backward()
optimiser.step()
assert torch.isfinite(loss), f"the loss is {loss.item()}"
assert any((a != b).any() for a, b in zip(before, network.parameters())), "no weight moved"
"""


def examine(*, folder: Path) -> list[Diagnosis]:
    """Examine the machine; ``folder`` is where runs would be written."""
    return [
        python_version(),
        *packages(),
        *packages("train"),
        *packages("onnx", required=False),
        *packages("compression", required=False),
        _training_step(),
        _gpu(),
        memory(
            needed_gb=MEMORY_GB,
            needed_for=f"({MEMORY_GB:.0f} hold the whole Global dataset)",
            mend="fer-train kfold --preset demo",
        ),
        *disk(folder),
    ]


def _training_step() -> Diagnosis:
    ok, said = run_python(_STEP)
    found = "a small two-stream network learns from a batch" if ok else said
    mend = f"{pip()} install --force-reinstall 'fer-rgbd[train]'"
    return Diagnosis(part="training step", ok=ok, found=found, mend=mend)


def _gpu() -> Diagnosis:
    """A GPU is no duty; one that PyTorch does not use, or that computes wrongly, is said."""
    works, said = run_python(_GPU)
    reinstall = f"{pip()} install --force-reinstall torch torchvision"
    if not works:
        return Diagnosis(part="GPU", ok=False, found=said, mend=reinstall, required=False)
    found: dict[str, Any] = json.loads(said)
    if found["seen"]:
        precision = "bfloat16" if found["bf16"] else "float16 with scaled losses"
        memory_gb = f"{found['free'] / 1e9:.0f} of {found['total'] / 1e9:.0f} GB free"
        text = f"{found['count']} × {found['name']}, {memory_gb}, {precision}; multiplies rightly"
        return Diagnosis(part="GPU", ok=True, found=text, required=False)
    if seen := found.get("driver_sees"):
        why = f"PyTorch is built for CUDA {found['built']}" if found["built"] else "PyTorch is built without CUDA"
        mend = "sudo apt-get install --only-upgrade nvidia-driver" if found["built"] else reinstall
        return Diagnosis(part="GPU", ok=False, found=f"{seen[0]} is not used: {why}", mend=mend, required=False)
    text = "Apple's (mps)" if found["mps"] else "none; a CPU can finish the preset demo"
    return Diagnosis(part="GPU", ok=True, found=text, required=False)
