"""What each input tells of people who were not seen: one table of small networks, each alone, on the same folds.

Every row is a cross-validated run by the product's own loop, with the same small network for pictures (``SMALL`` on top
of the preset ``demo``), ``pointnet`` and ``voxnet`` for what is none, the same epochs, augmentation and seed.
Accuracy is out of fold, with a 95 % interval over people; the test is paired over people against RGB + depth, its p
adjusted for the number of rows (``fer_train.metrics.resampling``). Runs that are finished in ``--out`` are kept.

    OMP_NUM_THREADS=1 python -m benchmarks.inputs global.h5 --out runs/inputs
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from fer_prep.atomic_files import write_atomically
from fer_prep.dataset.reader import DatasetFile
from fer_train.analysis.compare import compare_runs
from fer_train.config import Config
from fer_train.metrics.registry import METRICS
from fer_train.report.results import write_summary
from fer_train.settings_file import load_preset, override
from fer_train.training.cross_validate import FoldChoice, cross_validate
from fer_train.training.run_folder import RunFolder, Task

# nothing of these two is behind a backbone: all of them learns at the rate that backbones have in the others
ALONE = {"optimiser.fusion_rate": 1e-3}
# every stream's features reach the classifier; the thesis's fusion passes on those of the first input alone
JOINED = {"model.fusion": "concat"}
ROWS: dict[str, dict[str, object]] = {
    "rgb+depth": {"model.inputs": "rgb,depth", **JOINED},
    "rgb": {"model.inputs": "rgb"},
    "depth": {"model.inputs": "depth"},
    "normals": {"model.inputs": "normals"},
    "shape-index": {"model.inputs": "shape-index"},
    "rgb+normals": {"model.inputs": "rgb,normals", **JOINED},
    "rgb+depth+normals": {"model.inputs": "rgb,depth,normals", **JOINED},
    "points": {"model.network": "pointnet", **ALONE},
    "voxels": {"model.network": "voxnet", **ALONE},
    "rgb+depth, masks": {"model.inputs": "rgb,depth"},
    "rgb+normals, masks": {"model.inputs": "rgb,normals"},
}
"""The first is what the others are compared with."""
SMALL: dict[str, object] = {
    "model.with_classical": False,
    "model.weights": "",
    "model.backbone": "test_resnet",
    "model.fusion": "attention",
    "model.spatial_attention": "lanet",
    "model.aggregation": "encoder-mean",
    "model.dropout": 0.0,
    "model.token_width": 128,
    "model.encoder_depth": 1,
    "model.encoder_heads": 4,
    "model.mlp_width": 256,
    "optimiser.fusion_rate": 3e-4,
    "optimiser.warm_up": 0.15,
    "augmentation.rotation_degrees": 10.0,
    "augmentation.scale": 0.0,
    "augmentation.shift": 0.0,
    "augmentation.brightness": 0.1,
    "augmentation.contrast": 0.1,
    "augmentation.saturation": 0.1,
    "augmentation.mixup": 0.0,
    "augmentation.erase": 0.0,
    "training.batch_size": 16,
    "training.micro_batch_size": 16,
    "data.image_size": 64,
    "data.points": 256,
    "machine.threads": 1,
    "machine.device": "cpu",
}
PROCESSOR = "processor_seconds.json"


def train(data: Path, *, config: Config, run: RunFolder, folds: FoldChoice) -> float:
    """Finish the run of a row; the processor seconds that training and judging took."""
    spent = run.path / PROCESSOR
    if run.finished:
        run.refuse_other(config, Task(data))
    else:
        begin = time.process_time()
        trained = cross_validate(data, config=config, folds=folds, run=run)
        write_atomically(spent, content=json.dumps(time.process_time() - begin))
        write_summary(run, trained)
        trained.data.close()
    return json.loads(spent.read_text())


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, help="default: the folds beside the data")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--epochs", type=int, default=16)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    small = override(load_preset(args.preset), {**SMALL, "training.epochs": args.epochs})
    seconds: dict[str, float] = {}
    for name, settings in ROWS.items():
        config = override(small, {**settings, "name": name})
        run = RunFolder(args.out / name)
        seconds[name] = train(args.data, config=config, run=run, folds=FoldChoice(manifest=args.manifest))
        print(f"{name}: {seconds[name]:.0f} s", flush=True)
    found = compare_runs([args.out / name for name in ROWS], args.data)
    with DatasetFile.open(args.data) as file:
        digest = file.digest
    print(
        f"\n{args.data.name} (digest {digest[:12]}): {found.samples} samples of {found.people} people, "
        f"{len(found.classes)} classes, protocol {found.runs[0].protocol}, preset {args.preset} at "
        f"{small.data.image_size}², {args.epochs} epochs, seed {small.training.seed}"
    )
    for note in found.notes:
        print(note)
    accuracy, average = METRICS[:2]
    print(
        f"{'looks at':20}{accuracy.title:>20}{'95 % over people':>19}{average.title:>20}"
        f"{'against ' + found.runs[0].name:>20}{'95 %':>18}{'p (Holm)':>10}{'processor s':>13}"
    )
    for row in found.runs:
        ends = json.loads((args.out / row.name / "summary.json").read_text())[accuracy.key]["ci95"]
        line = f"{row.name:20}{row.scores[accuracy.key]:20.1f}{_ends(ends):>19}{row.scores[average.key]:20.1f}"
        if row.versus_first:
            there = row.versus_first[accuracy.key]
            line += f"{there.difference:+20.1f}{_ends(there.ci95, sign='+'):>18}{there.p_adjusted:10.3f}"
        else:
            line += " " * 48
        print(f"{line}{seconds[row.name]:13.0f}")


def _ends(ends: list[float] | tuple[float, float] | None, *, sign: str = "") -> str:
    return "too few people" if ends is None else f"{ends[0]:{sign}.1f} to {ends[1]:{sign}.1f}"


if __name__ == "__main__":
    main()
