"""A published network of faces in colour, frozen, from an ONNX file: its features as a block, and what it says itself.

A TOML file of the same name beside it says how it wants its pictures::

    size = 260                       # pixels a side
    mean = [0.485, 0.456, 0.406]     # of red, green and blue in [0, 1]: what is subtracted,
    std = [0.229, 0.224, 0.225]      # and what it is divided by
    order = "rgb"                    # or "bgr"
    features = ""                    # the tensor to take; empty: what its last matrix product gets
    classes = ["anger", "", "fear"]  # its answers in our names, in its order; "" for one that we do not have
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fer_prep.errors import InstallationError, UsageError
from fer_prep.validated import checked, read_toml

PRODUCTS: Final = ("Gemm", "MatMul")
"""Operations of ONNX that a classifying layer is made of."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What the TOML file says; see the module."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    order: Literal["rgb", "bgr"] = "rgb"
    features: str = ""
    classes: tuple[str, ...] = ()

    @classmethod
    def beside(cls, path: Path) -> Preprocessing:
        """Of the ONNX file ``path``; a UsageError says what is missing or unknown."""
        beside = path.with_suffix(".toml")
        try:
            said = checked(cls, read_toml(beside), path=beside)
        except FileNotFoundError:
            hint = "size, mean, std, and classes: docs/explanation/few-people.md has an example"
            raise UsageError("expected it to say how the network wants its pictures", path=beside, hint=hint) from None
        if min(said.std) <= 0 or said.size < 1:
            raise UsageError(path=beside, expected="size and std above 0", found=f"{said.size}, {said.std}")
        return said


@final
class FrozenNetwork:
    """An ONNX file, run by ONNX Runtime; ``width`` is how many features it has."""

    def __init__(self, path: Path) -> None:
        try:
            import onnx
            import onnxruntime
        except ImportError as error:
            hint = "pip install 'fer-rgbd[onnx]'"
            raise InstallationError(f"features of an ONNX file need {error.name}", hint=hint) from error
        if not path.is_file():
            raise UsageError("no such file", path=path)
        self.path, self.how = path, Preprocessing.beside(path)
        content = path.read_bytes()
        self.digest = hashlib.sha256(content + repr(self.how).encode()).hexdigest()
        try:
            model: Any = onnx.load_from_string(content)
        except Exception as error:  # protobuf raises many types for what is none of its files
            raise UsageError("cannot be read as an ONNX file", path=path) from error
        products = [node for node in model.graph.node if node.op_type in PRODUCTS]
        self._features = self.how.features or (products[-1].input[0] if products else "")
        self._says: str = model.graph.output[0].name
        there = {name for node in model.graph.node for name in (*node.input, *node.output)}
        if self._features not in there:
            found = f"none called {self._features!r}" if self._features else "no matrix product that it goes into"
            hint = f'name it in {path.with_suffix(".toml").name}: features = "…"'
            raise UsageError(path=path, expected="the tensor of its features", found=found, hint=hint)
        if self._features not in {output.name for output in model.graph.output}:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(self._features))
        providers = ["CPUExecutionProvider"]
        self._session: Any = onnxruntime.InferenceSession(model.SerializeToString(), providers=providers)
        given = self._session.get_inputs()[0]
        self._input: str = given.name
        # names stand for whatever comes
        batch, *shape = [length if isinstance(length, int) else None for length in given.shape] or [0]
        size = self.how.size
        fits = len(shape) == 3 and all(a in (None, b) for a, b in zip(shape, (3, size, size), strict=True))
        if not fits or batch not in (None, 1):
            expected = f"an input of (pictures, 3, {size}, {size}), pictures free or 1"
            raise UsageError(path=path, expected=expected, found=str(tuple(given.shape)))
        self._one_by_one = batch == 1

    @cached_property
    def width(self) -> int:
        """D of ``features``."""
        return self.features(np.zeros((1, 3, self.how.size, self.how.size), np.float32)).shape[1]

    def features(self, rgb: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, 3, S, S) in [0, 1] → (B, D)."""
        return self._run(self._features, torch.from_numpy(rgb))

    def answers(self, rgb: Tensor, *, classes: Sequence[str]) -> NDArray[np.float64]:
        """(B, 3, S, S) in [0, 1] → (B, K) in the order of ``classes``, 0 for those that it does not know."""
        said = torch.from_numpy(self._run(self._says, rgb)).double()
        if said.shape[1] < len(self.how.classes):
            raise UsageError(f"says {said.shape[1]} numbers, but classes beside it has {len(self.how.classes)}")
        known = [name for name in self.how.classes if name in classes]
        if not known:
            raise UsageError("its classes are none of the dataset's", path=self.path.with_suffix(".toml"))
        found = np.zeros((len(said), len(classes)))
        own = said[:, [self.how.classes.index(name) for name in known]].softmax(dim=1).numpy()
        found[:, [classes.index(name) for name in known]] = own
        return found

    def _run(self, name: str, rgb: Tensor) -> NDArray[np.float32]:
        size = self.how.size
        picture = functional.interpolate(rgb, (size, size), mode="bilinear", antialias=True)
        mean, std = (torch.tensor(each).reshape(1, 3, 1, 1) for each in (self.how.mean, self.how.std))
        picture = (picture - mean) / std
        if self.how.order == "bgr":
            picture = picture.flip(1)
        parts = picture.split(1) if self._one_by_one else [picture]
        try:
            found = [self._session.run([name], {self._input: part.numpy()})[0] for part in parts]
        except Exception as error:  # ONNX Runtime's own types
            raise UsageError(f"cannot be run on pictures of {size}²: {str(error)[:200]}", path=self.path) from error
        return np.concatenate(found).astype(np.float32).reshape(len(rgb), -1)


@lru_cache(maxsize=4)
def frozen_network(path: str) -> FrozenNetwork:
    """Opened once."""
    return FrozenNetwork(Path(path).expanduser())
