"""The sides of a comparison, each in a process of its own: they would share thread pools and OpenCV's settings."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from detect.runtime.telemetry import QUIET, import_quietly
from suite.photographs import SAVED_AT

__all__ = [
    "BARE",
    "FACES",
    "PEER",
    "POLICY",
    "PackageLoop",
    "Side",
    "bare_codec",
    "command",
    "nudenet",
    "ours",
    "package_loops",
    "processes",
]

POLICY = "faces"
FACES = ["FACE_FEMALE", "FACE_MALE"]
"""What that policy hides: the peer is asked for the same."""

_JUDGING = "boxes"
"""What `check` judges by unless it is told: that of `POLICY` hides and gives no verdict."""

PEER = "nudenet"
BARE = "libjpeg-turbo: decode + encode"


class Prepared(NamedTuple):
    """What a side does with some pictures, and what is worth knowing about it."""

    work: Callable[[Sequence[Path]], object]
    about: dict[str, Any]


class Side:
    """A process that is ready, and works when it is told to."""

    def __init__(self, name: str, channel: Connection) -> None:
        """Wait until it is ready."""
        self._name = name
        self._channel = channel
        self.about: dict[str, Any] = self._answer()

    def on(self, paths: Sequence[Path]) -> Callable[[], float]:
        """For `alternate`: works the pictures off once, and returns the seconds, taken in the process itself."""

        def side() -> float:
            self._channel.send(list(paths))
            return float(self._answer())

        return side

    def _answer(self) -> Any:
        try:
            answer = self._channel.recv()
        except EOFError:
            raise RuntimeError(f"{self._name}: the process died") from None
        if isinstance(answer, str):
            raise RuntimeError(f"{self._name}: {answer}")
        return answer


@contextmanager
def processes(sides: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Side]]:
    """Start a process for each side; they end with the block.

    Args:
        sides: By name, a function of this module's kind that returns `Prepared`, and its arguments.

    Raises:
        RuntimeError: One could not be prepared, then or when told to work; with its own words.
    """
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        channels = {}
        for name, (prepare, *arguments) in sides.items():
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, prepare, arguments), daemon=True)
            process.start()
            there.close()
            stack.callback(process.join)
            stack.callback(here.close)  # closed first: the process reads the end of its orders, and ends
            channels[name] = here
        yield {name: Side(name, channel) for name, channel in channels.items()}


def _serve(channel: Connection, prepare: Callable[..., Prepared], arguments: Sequence[Any]) -> None:
    try:
        prepared = prepare(*arguments)
        channel.send(prepared.about)
        while True:
            paths = channel.recv()
            start = time.perf_counter()
            prepared.work(paths)
            channel.send(time.perf_counter() - start)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        pass
    except Exception as error:  # noqa: BLE001  # told to the process that asked
        traceback.print_exc()
        channel.send(f"{type(error).__name__}: {error}")


class PackageLoop:
    """A package's own calls, in an environment that holds it: see `peer_loops.py`, which runs there."""

    def __init__(self, python: Path, package: str) -> None:
        """Start it, and wait until it is ready."""
        self._package = package
        program = Path(__file__).parents[1] / "peer_loops.py"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        for quiet in QUIET.values():
            environment |= quiet.variables
        self._process = subprocess.Popen(
            [python, program, package], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._answer()

    def on(self, paths: Sequence[Path]) -> Callable[[], float]:
        """As `Side.on`."""

        def side() -> float:
            self._tell([str(path) for path in paths])
            return self._answer()

        return side

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _tell(self, paths: list[str]) -> None:
        if self._process.stdin is not None:
            print(json.dumps(paths), file=self._process.stdin, flush=True)

    def _answer(self) -> float:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"{self._package}: the process died")
        return float(line)


@contextmanager
def package_loops(python: Path, packages: Sequence[str]) -> Iterator[dict[str, PackageLoop]]:
    """A process for each package, which end with the block.

    Raises:
        RuntimeError: One died, then or when told to work; it has said why.
    """
    with ExitStack() as stack:
        loops = {}
        for package in packages:
            loops[package] = loop = PackageLoop(python, package)
            stack.callback(loop.close)
        yield loops


def nudenet(verb: str, out: Path) -> Prepared:
    """The package's own loop, as its README says."""
    import_quietly("onnxruntime")  # which the package imports as it comes
    from nudenet import NudeDetector

    detector = NudeDetector()

    def work(paths: Sequence[Path]) -> None:
        for path in paths:
            if verb == "check":
                detector.detect(str(path))
            else:
                detector.censor(str(path), classes=FACES, output_path=str(out / path.name))

    return Prepared(work, {})


def ours(verb: str, out: Path, arguments: Sequence[str] = (), at_once: int | None = None) -> Prepared:
    """What `censor VERB ARGUMENTS` does with a folder of many pictures, through its own code.

    Args:
        verb: "check" or "hide".
        out: Where censored copies go.
        arguments: Further options of the command.
        at_once: Pictures worked on at once, where that is to differ from what everything else is set for.
    """
    from censor.batch import run_grouped
    from censor.checking import together
    from detect.detections import HasEngine

    censor, workers = command(verb, *arguments)

    def some(paths: Sequence[Path]) -> Sequence[object]:
        if verb == "check":
            return censor.check_together(paths) if len(paths) > 1 else [censor.check(paths[0])]
        return [censor.apply_file(path, out / path.name, overwrite=True) for path in paths]

    def work(paths: Sequence[Path]) -> None:
        threads = min(at_once or workers, len(paths))
        size = together(len(paths), threads) if verb == "check" else 1
        for _ in run_grouped(paths, some, threads=threads, size=size):
            pass

    detector = censor.detector
    engine, precision = (detector.engine, detector.precision) if isinstance(detector, HasEngine) else (None, None)
    looking = [("the detector", detector), *((each.name, each) for each in censor.classifiers)]
    models = [(name, each.engine, each.precision) for name, each in looking if isinstance(each, HasEngine)]
    return Prepared(work, {"workers": workers, "engine": engine, "precision": precision, "models": models})


def command(verb: str, *arguments: str) -> tuple[Any, int]:
    """The `Censor` that the command would make of these options, and its number of workers.

    The policy is `faces`, and `boxes` for `check`, unless the options name another.
    """
    from censor.cli.check import check
    from censor.cli.groups import HidingOptions, SharedOptions
    from censor.cli.hide import hide
    from censor.cli.preparing import make_censor, preparing

    policy = ["--policy", _JUDGING if verb == "check" else POLICY]
    given = dict({"hide": hide, "check": check}[verb].make_context(verb, ["-", *policy, *arguments]).params)
    shared = SharedOptions.taken(given)
    try:
        with preparing():
            hiding = HidingOptions.taken(given) if verb == "hide" else None
            return make_censor(shared, hiding), shared.limits.workers
    except SystemExit as error:
        raise RuntimeError(f"`censor {verb} {' '.join(arguments)}` ends with exit code {error.code}") from error


def bare_codec() -> Prepared:
    """The same decoder and encoder as ours, at the same quality and subsampling, in memory, with nothing in between."""
    import simplejpeg

    held: dict[Path, bytes] = {}

    def work(paths: Sequence[Path]) -> None:
        for path in paths:
            if path not in held:
                held[path] = path.read_bytes()  # in the uncounted round
            pixels = simplejpeg.decode_jpeg(held[path], colorspace="RGB")
            simplejpeg.encode_jpeg(pixels, quality=SAVED_AT, colorsubsampling="420")

    return Prepared(work, {})
