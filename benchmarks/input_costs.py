"""What a computed input costs in training: its processor time beside that of a step of the network that looks at it.

Every round times, for each input in turn, the making of a batch's inputs and then a whole step with them (forward,
backward, AdamW), on one thread, so that a busy machine slows both. Goal (issue 20): on a CPU an attribute map takes at
most 20 % of a step of a small network at 96².

    OMP_NUM_THREADS=1 python -m benchmarks.input_costs global.h5 --preset small-data
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import asdict
from pathlib import Path

import torch

from fer_train.config import Config
from fer_train.data.augment import Draws, augment_images
from fer_train.data.image_dataset import ImageDataset
from fer_train.data.images import to_floats
from fer_train.data.inputs import INPUTS, KEYS
from fer_train.data.normalise import FoldNormalisation
from fer_train.data.random_draws import sample_keys
from fer_train.models.model_file import build_network
from fer_train.settings_file import load_preset, override
from fer_train.training.optimiser import make_optimiser

NETWORKS = {"pictures": "two-stream", "points": "pointnet", "voxels": "voxnet"}


class Row:
    """One input and the network that looks at it, or at it beside ``rgb`` where it is a picture."""

    def __init__(self, name: str, path: Path, config: Config) -> None:
        kind = INPUTS[name].kind
        inputs = f"rgb,{name}" if kind == "pictures" and name != "rgb" else name
        config = override(config, {"model.network": NETWORKS[kind], "model.inputs": inputs})
        data = ImageDataset(path, inputs=config.model.input_names, image_size=config.data.image_size)
        rows = torch.arange(min(config.training.batch_size, len(data)))
        self.normalisation = FoldNormalisation.fit(
            data, torch.arange(len(data)), inputs=config.model.input_names, settings=asdict(config.data)
        )
        keys = sample_keys(rows, seed=0, epoch=0)
        images = to_floats(data.images(rows)) | {KEYS: keys}
        self.images = augment_images(images, Draws.of(keys), settings=config.augmentation)
        self.labels = data.labels[rows]
        self.network = build_network(
            config.model, classes=len(data.classes), image_size=config.data.image_size, pretrained=False
        )
        self.optimiser = make_optimiser(self.network, config.optimiser)
        self.weights = sum(p.numel() for p in self.network.parameters())
        self.making, self.stepping = list[float](), list[float]()

    def time_once(self) -> None:
        """Once more both."""
        begin = time.process_time()
        inputs = self.normalisation(self.images)
        middle = time.process_time()
        logits = self.network(inputs).logits
        torch.nn.functional.cross_entropy(logits, self.labels).backward()
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.making.append(middle - begin)
        self.stepping.append(time.process_time() - middle)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--preset", default="small-data")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of whole numbers")
    args = parser.parse_args()
    torch.set_num_threads(1)
    changes = {key: int(value) for key, _, value in (text.partition("=") for text in args.set)}
    config = override(load_preset(args.preset), {"model.with_classical": False, "model.weights": "", **changes})
    rows = {name: Row(name, args.data, config) for name in INPUTS}
    for row in rows.values():
        row.time_once()  # warm up
        row.making.clear()
        row.stepping.clear()
    for _ in range(args.rounds):
        for row in rows.values():
            row.time_once()
    print(
        f"{args.preset}, {config.data.image_size}², batches of {config.training.batch_size}, processor ms, one thread"
    )
    print(f"{'input':20}{'network':28}{'weights':>10}{'inputs':>9}{'step':>9}{'share of both':>15}")
    for name, row in rows.items():
        making, stepping = (1000 * statistics.median(times) for times in (row.making, row.stepping))
        looks_at = ", ".join(row.network.inputs)
        print(
            f"{name:20}{looks_at:28}{row.weights:>10,}{making:9.1f}{stepping:9.1f}{making / (making + stepping):14.1%}"
        )


if __name__ == "__main__":
    main()
