"""What each choice of the training step is worth on this machine: a step with it, and a step without, in one run.

    python -m benchmarks.train_options [--preset demo|thesis] [--rounds 20] [--steps 4] [--compile]

Forward, backward, clipping and step of one fixed micro-batch, as ``FoldTraining`` does them (``fer-train bench`` times
the whole loop). Variants take turns in every round; a ratio is the median over the rounds of (time of the default) /
(time of the variant): below 1 the default is faster. On a GPU, precision is that of ``machine.precision = auto``.
``--compile`` adds torch.compile with the seconds that its first steps take. Last, validation at several batch sizes.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from fer_train.config import Config
from fer_train.environment import describe_device
from fer_train.losses import CrossEntropyLoss
from fer_train.models.model_file import build_network
from fer_train.models.network import ExpressionNetwork
from fer_train.settings_file import load_preset
from fer_train.training.machine import make_fabric, set_up_machine
from fer_train.training.schedule import make_optimiser

CLASSES = 7


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to do a step; the defaults are what the training does."""

    channels_last: bool = True
    optimiser: str = "fused"
    compiled: bool = False


VARIANTS = {
    "as it is": Variant(),
    "contiguous, not channels_last": Variant(channels_last=False),
    "AdamW foreach, not fused": Variant(optimiser="foreach"),
    "AdamW in a plain loop": Variant(optimiser="loop"),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    config = load_preset(options.preset)
    device = set_up_machine(config.machine)
    size = config.training.micro_batch_size
    print(
        f"{options.preset} on {describe_device(device).get('name', device.type)}, PyTorch {torch.__version__}, ", end=""
    )
    print(f"micro-batches of {size}, {options.rounds} rounds of {options.steps} steps")
    variants = VARIANTS | ({"torch.compile": Variant(compiled=True)} if options.compile else {})
    network = build_network(config.model, classes=CLASSES, image_size=config.data.image_size, pretrained=False)
    network.to(device)
    steps = {name: step_of(network, variant, config=config, device=device) for name, variant in variants.items()}
    report(steps, rounds=options.rounds, repeats=options.steps, images=size, device=device)
    judge = {f"validation, {n} at once": judging_of(network, n, config=config, device=device) for n in (256, 64, 512)}
    report(judge, rounds=max(3, options.rounds // 4), repeats=1, images=512, device=device)


def pictures(count: int, *, config: Config, device: torch.device, last: bool = True) -> tuple[torch.Tensor, ...]:
    """(rgb, depth, labels): noise of the network's input shape."""
    side, form = config.data.image_size, torch.channels_last if last else torch.contiguous_format
    rgb = torch.randn(count, 3, side, side, device=device).to(memory_format=form)
    depth = torch.randn(count, config.model.depth_channels, side, side, device=device).to(memory_format=form)
    return rgb, depth, torch.arange(count, device=device) % CLASSES


def step_of(
    template: ExpressionNetwork, variant: Variant, *, config: Config, device: torch.device
) -> Callable[[], None]:
    """A training step of a network of its own."""
    form: Any = torch.channels_last if variant.channels_last else torch.contiguous_format
    network = copy.deepcopy(template).to(memory_format=form)
    optimiser = make_optimiser(network, config.optimiser, fused=variant.optimiser == "fused")
    if variant.optimiser != "fused":
        for group in optimiser.param_groups:
            group["foreach"] = variant.optimiser == "foreach"
    fabric = make_fabric(device, config.machine)
    forward: Any = torch.compile(network) if variant.compiled else network
    forward, optimiser = fabric.setup(forward, optimiser)
    loss = CrossEntropyLoss(classes=CLASSES).to(device)
    rgb, depth, labels = pictures(
        config.training.micro_batch_size, config=config, device=device, last=variant.channels_last
    )

    def step() -> None:
        forward.train()
        output = forward(rgb, depth)
        fabric.backward(loss(output.logits, output.features, labels))
        fabric.clip_gradients(forward, optimiser, max_norm=config.optimiser.clip_norm or 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return step


def judging_of(template: ExpressionNetwork, count: int, *, config: Config, device: torch.device) -> Callable[[], None]:
    """512 pictures in evaluation mode without gradients, ``count`` at once."""
    network = copy.deepcopy(template).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    fabric = make_fabric(device, config.machine)
    rgb, depth, _ = pictures(512, config=config, device=device)

    def judge() -> None:
        with torch.no_grad(), fabric.autocast():
            for some, its_depth in zip(rgb.split(count), depth.split(count), strict=True):
                network(some, its_depth)

    return judge


def report(
    steps: Mapping[str, Callable[[], None]], *, rounds: int, repeats: int, images: int, device: torch.device
) -> None:
    """Time them in turns; one line each, against the first."""
    first = {name: timed(step, 1, device) for name, step in steps.items()}
    for step in steps.values():
        timed(step, 2, device)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            seconds[name].append(timed(step, repeats, device) / repeats)
    base = seconds[next(iter(steps))]
    for name, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(base, times, strict=True))
        rate = images / statistics.median(times)
        print(f"{name:32} {rate:9.1f} images/s   ratio {ratio:5.2f}   first {first[name]:6.1f} s", flush=True)


def timed(step: Callable[[], None], repeats: int, device: torch.device) -> float:
    """Seconds of ``repeats`` steps, to the end of what the device was given."""
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
