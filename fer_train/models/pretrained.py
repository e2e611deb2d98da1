"""Start a backbone from a local weight file: a state dict (``.pt``, ``.pth``) or safetensors, made for the whole model.

The VGGFace2 weights of HSEmotion (EmotiEffLib) are pickled modules of timm's EfficientNets with TensorFlow's padding
and epsilon: ``enet_b2`` files belong into the backbone ``tf_efficientnet_b2``. Names and shapes of ``efficientnet_b2``
are the same; its outputs are not. A module is turned into safetensors once (``unpickled``), which keep both.
"""

from __future__ import annotations

import difflib
import pickle
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import timm
import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.models import adapt_input_conv
from torch import Tensor, nn

from fer_prep.atomic_files import replacing
from fer_prep.errors import FormatError, UsageError
from fer_train.models.backbone import Backbone

_WRAPPERS: Final = ("state_dict_ema", "state_dict", "model_state_dict", "model", "net", "weights")
"""Keys under which training programs put the state dict in their checkpoints."""
_SHOWN: Final = 4


def load_backbone_weights(backbone: Backbone, path: Path) -> str:
    """Put the file's weights into the backbone; a file that does not fit is an error that says where.

    Returns a line for the user where names and shapes fit two backbones that compute differently, and the file does
    not say which of them it is of; else ``""``. A stem with another number of input channels is adapted as timm does
    it (one channel: the sum over the three).
    """
    found, arithmetic = read_state_dict(path)
    expected = backbone.trunk.state_dict()
    prefix = _common_prefix(found, expected)
    found = {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}
    _adapt_stem(backbone.trunk, found, expected)
    _check_fit(found, expected, path=path, backbone=backbone)
    here, twin = _arithmetic_of(backbone.trunk), _twin_of(backbone.name)
    different = [f"{key} {value}, here {here[key]}" for key, value in arithmetic.items() if value != here.get(key)]
    if different:
        raise UsageError(
            f"these weights fit {backbone.name} by names and shapes, but were trained with other arithmetic: "
            f"{'; '.join(different)}",
            path=path,
            hint=f"try --backbone {twin}" if twin else "choose the backbone that they were trained with",
        )
    backbone.trunk.load_state_dict({name: found.get(name, kept) for name, kept in expected.items()})
    if arithmetic or not twin:
        return ""
    return (
        f"{path.name} does not say whether it is of {backbone.name} or {twin}: both have its names and shapes, but pad "
        "and normalise differently (HSEmotion's files are of the tf_ one)"
    )


def unpickled(path: Path) -> Path:
    """The safetensors file of a pickled module, made beside it, *by running the code in the pickle*.

    A file that is no pickled module is returned as it is. An existing file of other weights is never replaced.
    """
    if not path.is_file():
        return path
    try:
        read_state_dict(path)
    except UsageError:
        pass  # what only a pickle can be
    else:
        return path
    module = _read_torch_file(path, trust_pickle=True)
    weights = {name: each.detach().cpu().contiguous() for name, each in _tensors_in(module, path).items()}
    target = path.with_suffix(".safetensors")
    if not target.exists():
        metadata = _arithmetic_of(module) if isinstance(module, nn.Module) else {}
        with replacing(target) as part:
            part.write_bytes(safetensors.torch.save(weights, metadata=metadata))
        return target
    kept, _ = read_state_dict(target)
    if kept.keys() != weights.keys() or not all(torch.equal(kept[name], each) for name, each in weights.items()):
        raise UsageError(f"has other weights than {path.name}, from which it would be made", path=target)
    return target


def _arithmetic_of(module: nn.Module) -> dict[str, str]:
    """What names and shapes of weights do not show: the padding of convolutions, the epsilon of normalisations."""
    parts = list(module.modules())
    epsilons = {f"{part.eps:g}" for part in parts if isinstance(part, nn.BatchNorm2d)}
    padding = "as TensorFlow" if any(isinstance(part, Conv2dSame) for part in parts) else "symmetric"
    return {"padding": padding, "batch-norm epsilon": " ".join(sorted(epsilons))}


def _twin_of(name: str) -> str:
    """timm's other model of the same names and shapes, with or without TensorFlow's arithmetic; empty for none."""
    bare = name.split(".", 1)[0]
    twin = bare.removeprefix("tf_") if bare.startswith("tf_") else f"tf_{bare}"
    return twin if timm.is_model(twin) else ""


def read_state_dict(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Names and tensors of a safetensors file or a state dict, and what it says about their arithmetic, if anything."""
    if not path.is_file():
        raise UsageError("no such weight file", path=path)
    with path.open("rb") as stream:
        head = stream.read(9)
    # safetensors: eight bytes of header length, then JSON; torch: a zip archive, or a bare pickle (old files)
    if head[8:9] == b"{" and not head.startswith(b"PK"):
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                kept = {
                    key: value for key, value in (file.metadata() or {}).items() if key in _arithmetic_of(nn.Module())
                }
                return {name: file.get_tensor(name) for name in file.keys()}, kept  # noqa: SIM118 - no mapping
        except safetensors.SafetensorError as error:
            raise FormatError(path=path, expected="a whole safetensors file", found=str(error)) from error
    return _tensors_in(_read_torch_file(path), path), {}


def _read_torch_file(path: Path, *, trust_pickle: bool = False) -> Any:
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
