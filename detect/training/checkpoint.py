"""What a run leaves on disk: weights that describe themselves, and all it takes to go on. No pickle, no half files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.optim import Optimizer

from detect.atomic import write_whole
from detect.errors import WeightsError

__all__ = [
    "check_resumed",
    "fill",
    "load_state",
    "read_state_dict",
    "read_tensors",
    "restore",
    "save_state",
    "save_tensors",
]


def save_tensors(path: Path, model: nn.Module, metadata: Mapping[str, str]) -> None:
    """Write a network's weights and what they say of themselves."""
    write_whole(path, save(_plain(model.state_dict()), dict(metadata)), overwrite=True)


def save_state(
    path: Path, *, model: nn.Module, ema: nn.Module, optimizer: Optimizer, progress: Mapping[str, Any]
) -> None:
    """Write all that a run needs to go on as if it had never stopped, in one file.

    Args:
        path: Where to.
        model: The network in training.
        ema: Its averaged twin.
        optimizer: With its state.
        progress: Whatever else, as JSON: the step, the options, the best result.
    """
    saved = optimizer.state_dict()
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    tensors |= {f"ema.{key}": value for key, value in ema.state_dict().items()}
    numbers: dict[str, dict[str, Any]] = {}
    for row, values in saved["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{row}.{name}"] = value
            else:
                numbers.setdefault(str(row), {})[name] = value
    tensors["rng.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["rng.cuda"] = torch.cuda.get_rng_state()
    metadata = {
        "progress": json.dumps(dict(progress), ensure_ascii=False),
        "optimizer": json.dumps({"groups": saved["param_groups"], "numbers": numbers}),
    }
    write_whole(path, save(_plain(tensors), metadata), overwrite=True)


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, str], dict[str, Any]]:
    """Read what `save_state` wrote: tensors, metadata and progress; `restore` puts the first two back.

    Raises:
        WeightsError: The file cannot be read, or is no such state.
    """
    tensors, metadata = read_tensors(path)
    if "progress" not in metadata or "optimizer" not in metadata:
        raise WeightsError(f"{path}: holds no training state (weights alone cannot be resumed)")
    return tensors, metadata, json.loads(metadata["progress"])


def restore(
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    *,
    model: nn.Module,
    ema: nn.Module,
    optimizer: Optimizer,
) -> None:
    """Put a state back, bit by bit, into objects built with the same options."""
    model.load_state_dict(_part(tensors, "model."))
    ema.load_state_dict(_part(tensors, "ema."))
    saved = json.loads(metadata["optimizer"])
    state: dict[int, dict[str, Any]] = {int(row): dict(values) for row, values in saved["numbers"].items()}
    for key, value in _part(tensors, "optimizer.").items():
        row, name = key.split(".", 1)
        state.setdefault(int(row), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": saved["groups"]})
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                # Laid out as the parameter is: where the two differ, torch updates one parameter after the other.
                values[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)
    torch.set_rng_state(tensors["rng.cpu"])
    if "rng.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["rng.cuda"])


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A safetensors file's tensors and metadata.

    Raises:
        WeightsError: It cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot read the weights, the file may be damaged or cut short: {error}") from error


def check_resumed(
    progress: Mapping[str, Any], *, names: Sequence[str], state: Path, pictures: str = "", nsfw: Sequence[str] = ()
) -> None:
    """Refuse to go on with other data than a run began with: it would come out as no run of either.

    Args:
        progress: As `load_state` gives it; what it does not say of the data is not held against them.
        names: Labels of the data, in order.
        state: Named in errors.
        pictures: Digest of the pictures and of what is said of them; empty where it does not count.
        nsfw: Those of `names` that mean NSFW; none where none does.

    Raises:
        WeightsError: The labels, the pictures or what means NSFW are others now.
    """
    before = progress.get("names")
    if before is not None and list(names) != before:
        raise WeightsError(
            f"{state}: the run began with the labels {', '.join(before)}, and now they are {', '.join(names)}; "
            "start another one in a folder of its own"
        )
    if sorted(nsfw) != sorted(meant := progress.get("nsfw", nsfw)):
        raise WeightsError(
            f"{state}: the run began with {', '.join(meant)} as what means NSFW, and now it is {', '.join(nsfw)}; "
            "start another one in a folder of its own"
        )
    if pictures and progress.get("pictures", pictures) != pictures:
        raise WeightsError(
            f"{state}: the pictures to learn from, or their labels, are not those that the run began with; "
            "start another one in a folder of its own"
        )


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the weights of a network: a safetensors file, or what `torch.save` made of a state_dict.

    Raises:
        WeightsError: It cannot be read, or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        raise WeightsError(f"{path}: cannot read the backbone's weights: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: expected a state_dict of tensors")
    return state


def fill(part: nn.Module, state: Mapping[str, Tensor], *, source: str, what: str) -> None:
    """Put trained weights into a network, or a part of one.

    Args:
        part: Changed in place.
        state: May hold more than the part does.
        source: Where the weights came from; named in errors.
        what: What they should be, such as ``a resnet50``.

    Raises:
        WeightsError: One is missing, or has another shape.
    """
    wanted = part.state_dict()
    given = {key: value for key, value in state.items() if key in wanted}
    # A pretrained BatchNorm may lack its counter, which nothing reads here.
    missing = [key for key in wanted if key not in given and not key.endswith("num_batches_tracked")]
    odd = [key for key, value in given.items() if value.shape != wanted[key].shape]
    if missing or odd:
        detail = f"{missing[0]!r} is missing" if missing else f"{odd[0]!r} has shape {tuple(given[odd[0]].shape)}"
        raise WeightsError(f"{source}: not the weights of {what}: {detail}")
    part.load_state_dict(given, strict=False)


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
