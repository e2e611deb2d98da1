"""Start a backbone from a local weight file: a state dict (``.pt``, ``.pth``) or safetensors, made for the whole model.

The VGGFace2 weights of HSEmotion (EmotiEffLib) are state dicts of timm's EfficientNets with TensorFlow padding: load
``enet_b2`` files into the backbone ``tf_efficientnet_b2``. (``efficientnet_b2`` has the same names and shapes, so the
file fits it too, but its convolutions pad differently.)
"""

from __future__ import annotations

import difflib
import pickle
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
import torch
from timm.models import adapt_input_conv
from torch import Tensor, nn

from fer_prep.errors import FormatError, UsageError
from fer_train.models.backbone import Backbone

_WRAPPERS: Final = ("state_dict_ema", "state_dict", "model_state_dict", "model", "net", "weights")
"""Keys under which training programs put the state dict in their checkpoints."""
_SHOWN: Final = 4


@dataclass(frozen=True, kw_only=True)
class LoadedWeights:
    """What became of a weight file."""

    path: Path
    loaded: int
    """Tensors of the backbone that now hold the file's values: all of them."""
    prefix: str
    """What was taken off the file's names, e.g. ``module.``."""
    ignored: tuple[str, ...]
    """Names in the file that lie behind the last feature map (head convolution, classifier)."""


def load_backbone_weights(backbone: Backbone, path: Path, *, trust_pickle: bool = False) -> LoadedWeights:
    """Put the file's weights into the backbone; a file that does not fit is an error that says where.

    ``trust_pickle`` allows files that are Python pickles of whole modules: loading one runs the code in it.
    A stem with another number of input channels is adapted as timm does it (one channel: the sum over the three).
    """
    found = read_state_dict(path, trust_pickle=trust_pickle)
    expected = backbone.trunk.state_dict()
    prefix = _common_prefix(found, expected)
    found = {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}
    _adapt_stem(backbone.trunk, found, expected)
    _check_fit(found, expected, path=path, backbone=backbone)
    backbone.trunk.load_state_dict({name: found.get(name, kept) for name, kept in expected.items()})
    ignored = tuple(sorted(set(found) - set(expected)))
    return LoadedWeights(path=path, loaded=len(set(found) & set(expected)), prefix=prefix, ignored=ignored)


def read_state_dict(path: Path, *, trust_pickle: bool = False) -> dict[str, Tensor]:
    """Names and tensors of a safetensors file, a state dict, or (if trusted) a pickled module."""
    if not path.is_file():
        raise UsageError("no such weight file", path=path)
    with path.open("rb") as stream:
        head = stream.read(9)
    # safetensors: eight bytes of header length, then JSON; torch: a zip archive, or a bare pickle (old files)
    if head[8:9] == b"{" and not head.startswith(b"PK"):
        try:
            return safetensors.torch.load_file(path)
        except safetensors.SafetensorError as error:
            raise FormatError(path=path, expected="a whole safetensors file", found=str(error)) from error
    return _tensors_in(_read_torch_file(path, trust_pickle=trust_pickle), path)


def _read_torch_file(path: Path, *, trust_pickle: bool) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except pickle.UnpicklingError as error:
        if "weights only" not in str(error).lower():
            raise _not_weights(path, error) from error
        raise UsageError(
            "this file is a pickle that holds more than tensors; loading it would run code that it brings",
            path=path,
            hint="if you trust where it comes from, add --trust-pickle",
        ) from error
    except (AttributeError, ModuleNotFoundError) as error:
        raise FormatError(
            path=path,
            expected="a pickled module of installed libraries",
            found=str(error),
            hint="ask for its state dict instead, or make one where those libraries are installed",
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise _not_weights(path, error) from error


def _not_weights(path: Path, error: Exception) -> FormatError:
    with path.open("rb") as stream:
        found = f"{path.stat().st_size} bytes that begin with {stream.read(8)!r} ({type(error).__name__})"
    return FormatError(path=path, expected="whole PyTorch or safetensors weights", found=found)


def _tensors_in(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict inside whatever a training program saved."""
    if isinstance(content, nn.Module):
        return content.state_dict()
    if isinstance(content, Mapping):
        for key in _WRAPPERS:
            if isinstance(content.get(key), Mapping | nn.Module):
                return _tensors_in(content[key], path)
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    raise FormatError(path=path, expected="a state dict of tensors", found=type(content).__name__)


def _common_prefix(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """The prefix that most of the file's names carry before a name of the backbone (``""`` where none does)."""
    # the longest names say most: "weight" alone ends every other name
    telling = sorted(expected, key=len, reverse=True)[:50]
    votes = Counter(name[: -len(own)] for own in telling for name in found if name == own or name.endswith(f".{own}"))
    return votes.most_common(1)[0][0] if votes else ""


def _adapt_stem(trunk: nn.Module, found: dict[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Bring the first convolution of a file made for three channels to the backbone's number of channels."""
    first = getattr(trunk, "pretrained_cfg", {}).get("first_conv") or ()
    for layer in (first,) if isinstance(first, str) else first:
        name = f"{layer}.weight"
        if name in found and name in expected and found[name].dim() == 4:
            channels = expected[name].shape[1]
            if found[name].shape[1] == 3 != channels:
                found[name] = adapt_input_conv(channels, found[name])


def _check_fit(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, path: Path, backbone: Backbone) -> None:
    """Every tensor of the backbone must be there in its shape, and the parts they share must be equally long."""
    # a counter that BatchNorm keeps beside its statistics; old files lack it and nothing depends on it
    missing = [name for name in expected if name not in found and not name.endswith("num_batches_tracked")]
    differing = [name for name in expected if name in found and found[name].shape != expected[name].shape]
    parts = {name.split(".", 1)[0] for name in expected}
    foreign = [name for name in found if name not in backbone.whole_model_names]
    surplus = [name for name in foreign if name not in expected and name.split(".", 1)[0] in parts]
    if not (missing or differing or surplus):
        return
    complaints: list[str] = []
    if missing:
        complaints.append(f"{len(missing)} of {len(expected)} tensors are missing ({_some(missing)})")
    if differing:
        shapes = [f"{name} {tuple(found[name].shape)} instead of {tuple(expected[name].shape)}" for name in differing]
        complaints.append(f"{len(differing)} have other shapes ({_some(shapes)})")
    if surplus:
        complaints.append(f"{len(surplus)} are too many ({_some(surplus)})")
    raise UsageError(
        f"these weights do not fit {backbone.name}: {'; '.join(complaints)}", path=path, hint=_hint(found, expected)
    )


def _hint(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """What the file seems to be, for someone who gave the wrong one."""
    example = next(iter(expected))
    nearest = difflib.get_close_matches(example, list(found), n=1, cutoff=0.0)
    begins = f"; the nearest name to {example} in it is {nearest[0]}" if nearest and nearest[0] != example else ""
    return f"the file has {len(found)} tensors{begins}. Give the weights of this backbone, or the backbone of these"


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
