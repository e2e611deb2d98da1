"""A trained fold for use elsewhere: safetensors + JSON, and an ONNX graph that is checked against PyTorch.

The exported folder can be used wherever the folder of a fold can (``fer-train predict``, ``evaluate``). The ONNX graph
needs nothing of this project: normalisation and softmax are inside it.

==========  ==================  ==================================================================
graph       shape               meaning
==========  ==================  ==================================================================
rgb         (B, 3, H, W) f4     sRGB / 255
depth       (B, 1, H, W) f4     stored depth / 65535; 0 is no data, larger is farther
(output)    (B, K) f4           ``probabilities`` of the classes in ``config.json``
==========  ==================  ==================================================================

A graph has those that its network's inputs are computed from. It is the network alone: discriminants
beside it (``with_classical``) and the mean over the mirror image are left out, which ``export.json`` says.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor, nn

from fer_prep.atomic_files import replacing, write_atomically
from fer_prep.errors import FerError, InstallationError, UsageError
from fer_train import __version__
from fer_train.data.inputs import STORED
from fer_train.inference.predictor import Predictor
from fer_train.models.model_file import save_model
from fer_train.training.run_folder import RunFolder

OPSET: Final = 18
TOLERANCE: Final = 1e-4
"""Largest difference of a probability between ONNX Runtime and PyTorch."""
MEANING: Final = {"rgb": "sRGB / 255", "depth": "stored depth / 65535, 0 is no data"}
"""Modality → the numbers that the graph wants."""
ONNX_PACKAGES: Final = ("onnx", "onnxscript", "onnxruntime")


@final
class Deployable(nn.Module):
    """A network with its normalisation before it and a softmax behind it; inputs as in the module's table."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.network, self.normalisation = predictor.networks[0], predictor.description.normalisation
        self.modalities, self.image_size = predictor.modalities, predictor.description.image_size

    def forward(self, *pictures: Tensor) -> Tensor:
        """The pictures of ``modalities``, in their order → (B, K) probabilities."""
        images = dict(zip(self.modalities, pictures, strict=True))
        return self.network(self.normalisation(images)).logits.softmax(dim=1)


def export_fold(run: Path, out: Path, *, fold: int = 0, onnx: bool = False) -> dict[str, Any]:
    """Write fold ``fold`` of a run into the new or empty folder ``out``; returns the content of ``export.json``."""
    source = RunFolder.open(run).fold(fold)
    if not source.is_dir():
        raise UsageError(f"this run has no fold {fold}", path=run, hint="folds are counted from 0")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("expected a new or empty folder for the export; found other things", path=out)
    if onnx:
        require_onnx()
    predictor = Predictor.load(source, device=torch.device("cpu"))
    if onnx and predictor.networks[0].fitted:
        raise UsageError("features are computed outside of PyTorch: there is no ONNX graph", hint="leave out --onnx")
    if onnx and predictor.is_metric:
        raise UsageError("inputs computed from metric depth have no ONNX graph", hint="leave out --onnx")
    save_model(out, predictor.networks[0].state_dict(), description=predictor.description)
    difference = write_onnx(Deployable(predictor).eval(), out / "model.onnx") if onnx else None
    content = describe_export(run, fold, predictor=predictor, onnx_difference=difference)
    write_atomically(out / "export.json", content=json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return content


def left_out(predictor: Predictor) -> list[str]:
    """Settings of ``[model]`` that add to the network's own answer, which is all that a graph gives."""
    settings = predictor.description.model
    return [name for name in ("with_classical", "mirror_average") if getattr(settings, name)]


def require_onnx() -> None:
    """Raise InstallationError that names the packages which are missing."""
    missing = [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise InstallationError(
            f"ONNX export needs packages that are not installed: {', '.join(missing)}",
            hint="pip install 'fer-rgbd[onnx]', or export without --onnx",
        )


def write_onnx(deployable: Deployable, path: Path) -> float:
    """Write the graph, run it by ONNX Runtime, and return the largest difference to PyTorch; too large is an error."""
    names = list(deployable.modalities)
    trial = _pictures(deployable, batch=2, seed=0)
    with replacing(path) as part, warnings.catch_warnings():
        # torch.onnx warns of its own internals; whether the graph is right is measured below
        warnings.simplefilter("ignore")
        torch.onnx.export(
            deployable,
            tuple(trial),
            part,
            input_names=names,
            output_names=["probabilities"],
            dynamic_shapes=(tuple({0: torch.export.Dim("batch")} for _ in names),),
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
        # another number of pictures than the graph was traced with
        difference = onnx_difference(deployable, part, pictures=_pictures(deployable, batch=3, seed=1))
        if not difference <= TOLERANCE:
            raise FerError(
                f"ONNX Runtime's probabilities differ from PyTorch's by up to {difference:.2g}: not written",
                path=path,
                hint="export without --onnx, and report the backbone",
            )
    return difference


def onnx_difference(deployable: Deployable, path: Path, *, pictures: list[Tensor]) -> float:
    """Largest absolute difference of a probability between the graph in ``path`` and the module."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    feeds = {name: picture.numpy() for name, picture in zip(deployable.modalities, pictures, strict=True)}
    [found] = session.run(["probabilities"], feeds)
    with torch.no_grad():
        expected = deployable(*pictures).numpy()
    return float(np.abs(np.asarray(found) - expected).max())


def describe_export(run: Path, fold: int, *, predictor: Predictor, onnx_difference: float | None) -> dict[str, Any]:
    """Where the network comes from and how it must be fed: the content of ``export.json``."""
    description, modalities = predictor.description, predictor.modalities
    size = description.image_size
    return {
        "run": run.resolve().name,
        "fold": fold,
        "created_by": f"fer-train {__version__}",
        "classes": list(description.classes),
        "input": {
            **{name: f"(B, {STORED[name].channels}, {size}, {size}) float32, {MEANING[name]}" for name in modalities},
            "used": list(modalities),
            "luma_equalised_before": description.equalise_luma,
            "prepared_by": "fer-prep: aligned and framed as the training data",
        },
        "onnx": None
        if onnx_difference is None
        else {
            "file": "model.onnx",
            "opset": OPSET,
            "largest_difference_to_pytorch": onnx_difference,
            "leaves_out": left_out(predictor),
        },
    }


def _pictures(deployable: Deployable, *, batch: int, seed: int) -> list[Tensor]:
    """Random pictures of each modality; where 0 means no data there are holes."""
    generator = torch.Generator().manual_seed(seed)
    pictures: list[Tensor] = []
    for kind in (STORED[name] for name in deployable.modalities):
        size = deployable.image_size
        values = torch.rand(batch, kind.channels, size, size, generator=generator)
        pictures.append(torch.where(values < 0.2, 0.0, values) if kind.holes else values)
    return pictures
