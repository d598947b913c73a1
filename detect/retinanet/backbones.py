"""What sees the picture first: any network of torchvision's or timm's with feature maps at strides of 8, 16 and 32."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import gcd
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.ops.misc import FrozenBatchNorm2d

from detect.errors import WeightsError
from detect.training.checkpoint import fill, read_state_dict
from detect.training.normalization import IMAGENET_MEAN, IMAGENET_STD

__all__ = [
    "Backbone",
    "Norm",
    "Stages",
    "build_body",
    "check_name",
    "colors_of",
    "load_body",
    "probe",
    "resolve_norm",
    "synchronized",
]

Norm = Literal["frozen", "batch", "group", "own"]
NORMS: tuple[str, ...] = get_args(Norm)

STRIDES = (8, 16, 32)
"""Of the maps that the pyramid is built on."""

_TIMM = "timm/"
_NAME = re.compile(r"(timm/)?[a-z0-9_]+(\.[a-z0-9_]+)?")
"""timm reads other names as addresses, and downloads what they lead to."""


@dataclass(frozen=True)
class Backbone:
    """What is known of a network before any of its weights is made.

    Attributes:
        name: As torchvision calls it; with ``timm/`` in front, as timm does.
        channels: Of the maps at each of `STRIDES`.
        layers: Of torchvision's: paths of the layers from the picture to the last map. Empty for timm's.
        taken: Places of the maps, among the answers of `layers`, or among all maps that timm knows of the network.
        has_statistics: Whether it normalises by statistics, that is, by any kind of BatchNorm.
    """

    name: str
    channels: tuple[int, ...]
    layers: tuple[str, ...]
    taken: tuple[int, ...]
    has_statistics: bool


class Stages(nn.Module):
    """The layers of a network of torchvision's up to a stride of 32, under their own names; answers the three maps."""

    def __init__(self, model: nn.Module, *, layers: Sequence[str], taken: Sequence[int]) -> None:
        """Keep what is needed of a network.

        Args:
            model: Whose layers they are.
            layers: Paths of them, each of which takes what the one before answers.
            taken: Places of those whose answers are the maps.
        """
        super().__init__()
        self._layers, self._taken = tuple(layers), frozenset(taken)
        for path in layers:
            *parents, last = path.split(".")
            place: nn.Module = self
            for parent in parents:
                if not hasattr(place, parent):
                    place.add_module(parent, nn.Sequential())
                place = place.get_submodule(parent)
            place.add_module(last, model.get_submodule(path))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps at strides of 8, 16 and 32."""
        maps, values = [], images
        for place, path in enumerate(self._layers):
            values = self.get_submodule(path)(values)
            if place in self._taken:
                maps.append(values)
        return maps


def check_name(name: str) -> None:
    """Refuse what neither torchvision nor timm calls a network.

    Raises:
        ValueError: There is none of that name.
    """
    if _NAME.fullmatch(name):
        if name.startswith(_TIMM):
            import timm

            if timm.is_model(name.removeprefix(_TIMM)):
                return
        elif name in torchvision.models.list_models(module=torchvision.models):
            return
    raise ValueError(f"no network of torchvision's is called {name!r}, and none of timm's, which begin with timm/")


@lru_cache(maxsize=32)
def probe(name: str) -> Backbone:
    """Look at a network without making its weights.

    Raises:
        ValueError: There is none of that name, or it has no such feature maps for pictures of any size.
    """
    check_name(name)
    try:
        try:
            return _look(name, "meta")
        except NotImplementedError:  # it reckons with tensors as it is built, and there they have no values
            return _look(name, "cpu")
    except (RuntimeError, ValueError, AssertionError, TypeError, AttributeError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{name} is a network of another shape: its maps must lie at strides of 8, 16 and 32, for pictures of any "
            f"size ({reason})"
        ) from error


def _look(name: str, device: str) -> Backbone:
    with torch.device(device), torch.no_grad():
        layers: tuple[str, ...] = ()
        if name.startswith(_TIMM):
            taken = _last_of_each(_timm(name).feature_info.reduction())
            body: nn.Module = _timm(name, out_indices=taken)
        else:
            model = _torchvision(name).eval()
            layers, taken = _chain(model)
            body = Stages(model, layers=layers, taken=taken)
        body.eval()
        channels = []
        for height, width in ((64, 96), (160, 224)):
            shapes = [tuple(each.shape[1:]) for each in body(torch.zeros(2, 3, height, width))]
            channels = [shape[0] for shape in shapes]
            wanted = [(height // stride, width // stride) for stride in STRIDES]
            if [shape[1:] for shape in shapes] != wanted:
                raise ValueError(f"pictures of {height} x {width} make maps of {shapes}")
        has_statistics = any(isinstance(module, _BatchNorm) for module in body.modules())
    return Backbone(name, tuple(channels), layers, tuple(taken), has_statistics)


def resolve_norm(name: str, norm: str, *, is_pretrained: bool) -> Norm:
    """What normalises a backbone, if it can.

    Args:
        name: See `Backbone`.
        norm: One of `Norm`, or ``auto``: frozen where it was trained before, else batch; own where it has no BatchNorm.
        is_pretrained: Whether it was trained before.

    Raises:
        ValueError: It cannot; see `probe`, too.
    """
    has_statistics = probe(name).has_statistics
    if norm == "auto":
        norm = ("frozen" if is_pretrained else "batch") if has_statistics else "own"
    if (norm == "own") == has_statistics:
        what = "normalises by BatchNorm" if has_statistics else "has no BatchNorm"
        choices = "frozen, batch or group" if has_statistics else "own"
        raise ValueError(f"{name} {what}: its normalisation is {choices}, not {norm}")
    return norm  # type: ignore[return-value]  # checked by whoever read it


def build_body(name: str, *, norm: Norm) -> tuple[nn.Module, tuple[int, ...]]:
    """An untrained network that answers its maps, and their channels.

    Raises:
        ValueError: See `resolve_norm`.
    """
    resolve_norm(name, norm, is_pretrained=False)
    found = probe(name)
    body: nn.Module
    if name.startswith(_TIMM):
        body = _timm(name, out_indices=found.taken)
    else:
        body = Stages(_torchvision(name, zero_init=norm != "frozen"), layers=found.layers, taken=found.taken)
    if norm in ("frozen", "group"):
        for parent in list(body.modules()):
            for child, module in list(parent.named_children()):
                if isinstance(module, nn.BatchNorm2d):
                    setattr(parent, child, _replaced(module, norm))
    return body, found.channels


def colors_of(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each colour, in [0, 1], that a network's trained weights want."""
    if not name.startswith(_TIMM):
        return IMAGENET_MEAN, IMAGENET_STD
    import timm

    said = timm.get_pretrained_cfg(name.removeprefix(_TIMM), allow_unregistered=True)
    return (tuple(said.mean), tuple(said.std)) if said else (IMAGENET_MEAN, IMAGENET_STD)


def load_body(pyramid: nn.Module, source: str, *, name: str) -> None:
    """Fill a backbone with trained weights.

    Args:
        pyramid: A module with the backbone as ``body``; changed in place.
        source: ``imagenet`` for torchvision's weights, which torchvision downloads and checks; or a file: of the same
            network (.pth or .safetensors, its classifier ignored), or of a RetinaNet of ours or torchvision's, of which
            the feature pyramid is taken too, or of a classifier that `train_classifier.py` made of such a network.
        name: See `Backbone`.

    Raises:
        WeightsError: The file cannot be read, or is of another network.
    """
    if source != "imagenet":
        state = read_state_dict(Path(source))
    elif name.startswith(_TIMM):
        raise WeightsError(f"imagenet: these are torchvision's weights, and there are none of {name}; name a file")
    else:
        weights = torchvision.models.get_model_weights(name).DEFAULT
        state = dict(weights.get_state_dict(progress=True, check_hash=True))
    what = f"a {name} with this normalisation"
    if whole := _below(state, "backbone."):
        fill(pyramid, whole, source=source, what=what)
    else:
        # What a classifier of ours has in front of its last layer, under the network's own names.
        body = pyramid.get_submodule("body")
        state = _below(state, "body.net.") or _below(state, "body.") or state
        fill(body, _renamed(state, body) if name.startswith(_TIMM) else state, source=source, what=what)


def synchronized(model: Any) -> Any:
    """The same network, whose BatchNorm takes in what all processes see."""
    if any(isinstance(module, nn.BatchNorm2d) and hasattr(module, "act") for module in model.modules()):
        from timm.layers.norm_act import convert_sync_batchnorm

        return convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]


def _timm(name: str, **how: Any) -> Any:
    import timm

    return timm.create_model(name.removeprefix(_TIMM), pretrained=False, features_only=True, **how)


def _torchvision(name: str, *, zero_init: bool = True) -> nn.Module:
    how: dict[str, Any] = {"zero_init_residual": zero_init} if hasattr(torchvision.models.resnet, name) else {}
    if name == "googlenet":
        how = {"aux_logits": False, "init_weights": False}
    model: nn.Module = torchvision.models.get_model(name, weights=None, **how)
    return model


def _last_of_each(strides: Sequence[int]) -> tuple[int, ...]:
    """Places of the last of each stride that is wanted; others that are among them are nobody's."""
    last = {stride: place for place, stride in enumerate(strides) if stride in STRIDES}
    if sorted(last) != list(STRIDES):
        raise ValueError(f"they lie at {', '.join(map(str, strides)) or 'none'}")
    return tuple(last[stride] for stride in STRIDES)


def _chain(model: nn.Module) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The layers that follow one another from the picture to the last map, and the places of those that answer maps."""
    seen: list[tuple[str, Any, Any]] = []

    def note(path: str, _: nn.Module, given: tuple[Any, ...], answer: Any) -> None:
        seen.append((path, given[0] if given else None, answer))

    hooks = [module.register_forward_hook(partial(note, path)) for path, module in _paths(model)]
    images = values = torch.zeros(2, 3, 64, 96)
    model(images)
    for hook in hooks:
        hook.remove()
    layers, strides = [], []
    for path, given, answer in seen:
        if given is not values or not isinstance(answer, Tensor) or answer.ndim != 4:
            break  # something else happens in between
        values = answer
        layers.append(path)
        stride = 64 // max(1, answer.shape[2])
        strides.append(stride if answer.shape[2:] == (64 // stride, 96 // stride) else 0)
    taken = _last_of_each(strides)
    return tuple(layers[: taken[-1] + 1]), taken


def _paths(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """A network's layers; those of a row of them one by one."""
    for name, child in model.named_children():
        if type(child) is nn.Sequential and name in ("features", "layers", "trunk_output"):
            yield from ((f"{name}.{place}", layer) for place, layer in child.named_children())
        else:
            yield name, child


def _replaced(norm: nn.BatchNorm2d, kind: Norm) -> nn.Module:
    """Another normalisation in the place of BatchNorm; timm's may rectify what it has normalised, too."""
    new: Any
    if hasattr(norm, "act"):
        from timm.layers.norm_act import FrozenBatchNormAct2d, GroupNormAct

        count = norm.num_features
        new = (
            FrozenBatchNormAct2d(count, eps=norm.eps)
            if kind == "frozen"
            else GroupNormAct(count, gcd(32, count), eps=norm.eps)
        )
        new.drop, new.act = norm.drop, norm.act
    elif kind == "frozen":
        new = FrozenBatchNorm2d(norm.num_features, eps=norm.eps)
    else:
        new = nn.GroupNorm(gcd(32, norm.num_features), norm.num_features)
    new.load_state_dict({key: value for key, value in norm.state_dict().items() if key in new.state_dict()})
    return new  # type: ignore[no-any-return]  # timm has no types


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _renamed(state: Mapping[str, Tensor], body: nn.Module) -> dict[str, Tensor]:
    """Weights under the names that they have where a network answers its maps: timm writes some dots as _ there."""
    flat = {key.removeprefix("model.").removeprefix("body.").replace(".", "_"): key for key in body.state_dict()}
    return {flat[name]: value for key, value in state.items() if (name := key.replace(".", "_")) in flat}
