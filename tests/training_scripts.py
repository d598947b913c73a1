"""The training scripts as modules, and what makes their runs comparable digit by digit."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]


def load_script(name: str) -> ModuleType:
    """A script of the repository's root, imported without being run."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


@contextmanager
def single_threaded() -> Iterator[None]:
    """Sums in another order differ in their last digit, and runs are compared digit for digit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def start_script(
    name: str, arguments: Sequence[str], *, said: Path, environment: Mapping[str, str] | None = None
) -> BaseProcess:
    """Run a script in a process of its own, whose words go to a file.

    It is the child of one that has imported torch and done nothing else: importing that takes longer than small runs.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["torch", "torchvision", "timm", "torch.utils.tensorboard", "detect.training.runlog"]
    )
    process = context.Process(target=_run, args=(name, list(arguments), str(said), dict(environment or {})))
    process.start()
    return process


def start_two(name: str, arguments: Sequence[str], *, folder: Path) -> list[BaseProcess]:
    """Two processes that share a run, as torchrun starts them: it says who is who in the environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        start_script(
            name, arguments, said=folder / f"said{rank}", environment=together | {"RANK": rank, "LOCAL_RANK": rank}
        )
        for rank in ("0", "1")
    ]


def _run(name: str, arguments: Sequence[str], said: str, environment: Mapping[str, str]) -> None:
    import torch

    os.environ.update(environment)
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    torch.set_num_threads(1)
    sys.exit(load_script(name).main(list(arguments)))
