"""Networks drawn from themselves: boxes in the order in which a forward pass meets them, with the shapes they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from fer_train.data.inputs import example_shape
from fer_train.models.network import ExpressionNetwork

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OPERATIONS: Final = {"relu": "ReLU", "mean": "mean over channels", "amax": "maximum over channels", "cat": "stacked"}


@final
@dataclass(frozen=True, kw_only=True)
class Box:
    """One step of a forward pass."""

    text: str
    level: int
    """How many steps come before it."""
    sources: tuple[int, ...]
    """Places of the boxes that it takes from."""


def boxes_of_module(module: nn.Module, example: Tensor) -> list[Box]:
    """Every operation of a small module, by symbolic tracing; ``example`` is what it is fed with."""
    traced = fx.symbolic_trace(module)
    ShapeProp(traced).propagate(example)
    place: dict[fx.Node, int] = {}
    boxes: list[Box] = []
    for node in traced.graph.nodes:
        if node.op == "output":
            continue
        sources = tuple(place[source] for source in node.all_input_nodes)
        called: Any = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        text = "feature map" if node.op == "placeholder" else _in_words(called, node)
        shape = node.meta["tensor_meta"].shape
        level = 1 + max((boxes[source].level for source in sources), default=-1)
        place[node] = len(boxes)
        boxes.append(Box(text=f"{text}\n{_shape(shape)}", level=level, sources=sources))
    return boxes


def boxes_of_network(network: ExpressionNetwork) -> list[Box]:
    """The large parts of a network: a box for each stream of a part that has one for every input."""
    met: list[tuple[str, nn.Module, Any]] = []
    handles = [
        part.register_forward_hook(lambda module, _, given, name=name: met.append((name, module, given)))
        for name, part in _parts(network)
    ]
    device = next(network.parameters()).device
    size = network.image_size
    images = {name: torch.zeros(1, *example_shape(name, image_size=size), device=device) for name in network.inputs}
    try:
        with torch.no_grad():
            network.eval()(images)
    finally:
        for handle in handles:
            handle.remove()
    boxes = [Box(text=f"{name}\n{_shape(image.shape)}", level=0, sources=()) for name, image in images.items()]
    newest = dict(zip(network.inputs, range(len(boxes)), strict=True))  # stream → its last box
    for name, module, given in met:
        stream = name.rpartition(".")[2]
        mine = [newest[stream]] if stream in newest else sorted(set(newest.values()))
        level = 1 + max(boxes[source].level for source in mine)
        weights = sum(parameter.numel() for parameter in module.parameters())
        shape = (given if isinstance(given, Tensor) else given[0]).shape
        *_, of, own = ["", *name.replace("_", " ").split(".")]
        title = f"{f'{of}, ' if of else ''}{own}: {type(module).__name__}"
        for each in [stream] if stream in newest else list(newest):
            newest[each] = len(boxes)
        boxes.append(Box(text=f"{title}\n{_shape(shape)} · {weights:,} weights", level=level, sources=tuple(mine)))
    return boxes


def draw_boxes(axes: Axes, boxes: Sequence[Box]) -> None:
    """From top to bottom; what happens at once stands side by side."""
    places: list[tuple[float, float]] = []
    for box in boxes:
        beside = [other for other in boxes if other.level == box.level]
        places.append((beside.index(box) - (len(beside) - 1) / 2, -float(box.level)))
    for box, (x, y) in zip(boxes, places, strict=True):
        frame = {"boxstyle": "round,pad=0.5", "facecolor": "#eef3f9", "edgecolor": "#1f5fa8", "linewidth": 0.8}
        axes.text(x, y, box.text, ha="center", va="center", fontsize=7, bbox=frame, zorder=2)
        for source in box.sources:
            arrow = {"arrowstyle": "-|>", "color": "#8a8f98", "shrinkA": 14, "shrinkB": 20}
            axes.annotate("", xy=(x, y), xytext=places[source], arrowprops=arrow, zorder=1)
    widest = max(abs(x) for x, _ in places)
    axes.set(xlim=(-widest - 0.7, widest + 0.7), ylim=(-max(box.level for box in boxes) - 0.5, 0.5))
    axes.set_axis_off()


def _parts(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The children of a network; of those that hold one for each input, each, and those inside others as well."""
    modules = {name: module for name, module in network.named_modules() if name.count(".") <= 2}
    dicts = {name for name, module in modules.items() if isinstance(module, nn.ModuleDict)}
    return [
        (name, module)
        for name, module in modules.items()
        if name and name not in dicts and ("." not in name or name.rpartition(".")[0] in dicts)
    ]


def _in_words(called: Any, node: fx.Node) -> str:
    if isinstance(called, nn.Conv2d):
        height, width = called.kernel_size
        return f"{height} × {width} convolution"
    if called is not None:
        return "batch norm" if isinstance(called, nn.BatchNorm2d) else type(called).__name__
    name = node.target if isinstance(node.target, str) else node.target.__name__
    return OPERATIONS.get(name, name)


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(str(length) for length in list(shape)[1:])
