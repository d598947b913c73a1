"""The training scripts as modules, and what makes their runs comparable digit by digit."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import runpy
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    return _child(_run, name, list(arguments), str(said), dict(environment or {}))


def run_command(command: Sequence[str], *, folder: Path, said: Path) -> int:
    """Run `python SCRIPT …` or `python -m MODULE …` in a folder, as `start_script` does; gives the exit code."""
    python, *arguments = command
    assert python == "python"
    process = _child(_run_line, arguments, str(folder), str(said))
    process.join(600)
    assert process.exitcode is not None, f"{command} has not ended"
    return process.exitcode


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


def _child(function: Callable[..., None], *arguments: object) -> BaseProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["torch", "torchvision", "timm", "torch.utils.tensorboard", "detect.training.runlog"]
    )
    process = context.Process(target=function, args=arguments)
    process.start()
    return process


def _run(name: str, arguments: Sequence[str], said: str, environment: Mapping[str, str]) -> None:
    os.environ.update(environment)
    _speak_to(said)
    sys.exit(load_script(name).main(list(arguments)))


def _run_line(arguments: Sequence[str], folder: str, said: str) -> None:
    os.chdir(folder)
    sys.path[:0] = [folder, str(ROOT)]
    _speak_to(said)
    if arguments[0] == "-m":
        sys.argv = list(arguments[1:])
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(arguments)
        runpy.run_path(arguments[0], run_name="__main__")


def _speak_to(said: str) -> None:
    import torch

    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    # One thread: other tests run beside this, and threads that wait for their like do so at full load.
    torch.set_num_threads(1)
