"""Running an ONNX file: what it says of itself, and numbers in, numbers out."""

from __future__ import annotations

import os
import queue
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from detect.choices import PROVIDERS
from detect.errors import EngineError, InferenceError, WeightsError
from detect.runtime.metadata import check_input, read_size
from detect.runtime.telemetry import import_quietly

__all__ = [
    "CHECKED_ON_BOTH",
    "OWN_PRECISION",
    "OnnxRuntimeSession",
    "OpenVinoSession",
    "Session",
    "cores",
    "is_quantized",
    "openvino_core",
]


class Session(Protocol):
    """A network with one image input, ready to run; safe to call from several threads."""

    @property
    def engine(self) -> str:
        """What runs it: ``onnxruntime``, ``openvino`` or ``torch``."""
        ...

    @property
    def precision(self) -> str:
        """What it computes in: ``f32``, ``bf16``, ``int8`` for a quantised file, ``mixed`` where nobody can say."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """The file's metadata map."""
        ...

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of the image input; None where the network takes any size."""
        ...

    @property
    def step(self) -> int:
        """Sides of the input that are multiples of this many pixels keep it quick; 1 where it does not care."""
        ...

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Every output of the network, in the file's order, for a batch of shape (B, 3, H, W).

        Raises:
            InferenceError: The network failed.
        """
        ...


CHECKED_ON_BOTH = "checked on onnxruntime and openvino"
"""What `detect.models.quantize` writes into a file. Others were seen to find nothing at all on OpenVINO."""

OWN_PRECISION = ("tensorrt", "coreml")
"""Providers that round as they see fit and cannot be kept from it."""


_SMALL = 32 * 2**20
"""Bytes of a file up to which its network is compiled several times over rather than shared."""

_FIRST_USE = threading.Lock()
_CORES: list[Any] = []


class OnnxRuntimeSession:
    """A `Session` on onnxruntime: float32, or the whole numbers of a quantised file."""

    engine: ClassVar[str] = "onnxruntime"
    step: ClassVar[int] = 1

    def __init__(
        self, model: bytes, *, source: str, threads: int = 0, provider: str = "cpu", brief: bool = False
    ) -> None:
        """Load a network.

        Args:
            model: The whole ONNX file.
            source: Where it came from; named in errors.
            threads: Threads for one run; 0 lets onnxruntime take every core.
            provider: One of `PROVIDERS`.
            brief: It is for a few runs: weights are not laid out anew for the processor, which takes longer than a few
                runs gain from it. What comes out differs by float32's rounding.

        Raises:
            EngineError: The installed onnxruntime has no such provider, or could not start it.
            WeightsError: The bytes are no ONNX model that onnxruntime can run, or its input is not one float image.
            ValueError: `threads` is negative, or there is no such provider anywhere.
        """
        _check_threads(threads)
        onnxruntime = import_quietly("onnxruntime")  # a tenth of a second, and `censor --help` does not need it

        wanted = _provider(provider, source)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Or its threads go on spinning after a run, in the way of the next network's: with three, a picture took two
        # and a half times as long.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if brief:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.log_severity_level = 4  # what goes wrong is raised below; onnxruntime would print it as well
        try:
            self._session: Any = onnxruntime.InferenceSession(model, options, providers=[wanted])
        except Exception as error:  # onnxruntime's errors share no base class but Exception
            raise WeightsError(
                f"{source}: not a model that onnxruntime can run ({_first_line(error)}); "
                "the file may be damaged or cut short"
            ) from error
        if (name := PROVIDERS[provider]) not in (started := self._session.get_providers()):  # it falls back in silence
            raise EngineError(f"{source}: onnxruntime could not start {name} and would run on {', '.join(started)}")
        # A DirectML session must not be run by two threads at once.
        self._turn = threading.Lock() if provider == "directml" else nullcontext()
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
            found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
            raise WeightsError(f"{source}: expected one float input of shape (batch, 3, height, width), found {found}")
        self._input = inputs[0].name
        self._source = source
        exact = "int8" if is_quantized(model) else "f32"
        self.precision = "mixed" if provider in OWN_PRECISION else exact
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.input_shape = tuple(side if isinstance(side, int) else None for side in inputs[0].shape)

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """See `Session.run`."""
        try:
            with self._turn:
                outputs: list[NDArray[np.float32]] = self._session.run(None, {self._input: batch})
        except Exception as error:  # its errors share no base class but Exception
            raise InferenceError(
                f"{self._source}: the network failed on {batch.shape}: {_first_line(error)}"
            ) from error
        return outputs


class OpenVinoSession:
    """A `Session` on OpenVINO (the extra `openvino`): float32, bfloat16, or the whole numbers of a quantised file.

    A network that takes any size is compiled for each size that comes, which makes it a third faster than one that must
    expect another size at every run, and costs a fifth of a second and some 17 MB for each. Where it rounds anyway,
    `step` keeps sizes few; in float32 the padding, and so the boxes, are those of every other engine.

    A small network that runs on one thread is compiled once for each run that may go on at once, with a single stream:
    OpenVINO then runs it in the thread that asks. Streams are threads of OpenVINO's own, and waking them took longer
    than it sounds: two threads with two streams kept two cores busy for three quarters of the time. Large networks
    share their weights among streams instead.
    """

    engine: ClassVar[str] = "openvino"

    def __init__(
        self, model: bytes, *, source: str, threads: int = 0, streams: int = 0, precision: str = "f32"
    ) -> None:
        """Load a network; what is not said here is as for `OnnxRuntimeSession`.

        Args:
            model: The whole ONNX file.
            source: Where it came from; named in errors.
            threads: Threads for one run; 0 takes every core.
            streams: Runs that may go on at once, others wait; 0 for as many as the cores have room for.
            precision: What to compute in: ``f32``, or ``bf16`` where the processor has instructions for it. A quantised
                file computes in ``int8`` whatever is said here, and the layers that were left out in bfloat16 where the
                processor has instructions for it, else in float32.

        Raises:
            EngineError: OpenVINO is not installed, or does not compute in `precision` on this processor.
            WeightsError: The bytes are no ONNX model that OpenVINO can run, or its input is not one float image.
            ValueError: `threads` or `streams` is negative, or `precision` is another.
        """
        _check_threads(threads)
        if streams < 0 or precision not in ("f32", "bf16"):
            raise ValueError(f"need streams >= 0 and precision f32 or bf16, not {streams} and {precision!r}")
        core = openvino_core(source)
        openvino = import_quietly("openvino")
        has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and not has_bf16:
            raise EngineError(f"{source}: this processor has no bfloat16 instructions; run it in f32")
        self.precision = "int8" if (quantized := is_quantized(model)) else precision
        floats = ("bf16" if has_bf16 else "f32") if quantized else precision
        self._source, self._floats = source, floats
        self._lock, self._slots = threading.Lock(), defaultdict[tuple[int, int], _Slots](_Slots)
        try:
            self._network = core.read_model(model)
        except RuntimeError as error:
            raise self._unusable(error) from error
        inputs = self._network.inputs
        shape = inputs[0].partial_shape
        if len(inputs) != 1 or inputs[0].element_type != openvino.Type.f32 or len(shape) != 4:
            raise WeightsError(f"{source}: expected one float input of shape (batch, 3, height, width), found {inputs}")
        threads, self._at_once = _shared(threads, streams)
        self._alone = threads == 1 and len(model) <= _SMALL
        self._core, self._options = core, _options(threads, 1 if self._alone else self._at_once, floats)
        self.step = 1 if self.precision == "f32" else 64
        told = self._network.has_rt_info(["framework"])
        stated = self._network.get_rt_info(["framework"]).astype(dict) if told else {}
        self.metadata: Mapping[str, str] = {key: value.astype(str) for key, value in stated.items()}
        self.input_shape = tuple(side.get_length() if side.is_static else None for side in shape)
        check_input(self.input_shape, source)
        # Compiled here, what cannot run is found before a picture comes.
        with self._turn(*(self._sides() or read_size(self.metadata, source))):
            pass

    def _sides(self) -> tuple[int, int] | None:
        """Rows and columns of the input where the file fixes them."""
        rows, columns = self.input_shape[2:]
        return None if rows is None or columns is None else (rows, columns)

    @contextmanager
    def _turn(self, rows: int, columns: int) -> Iterator[Any]:
        """A network for pictures of one size, in batches of any, with a slot for a run that nobody else has."""
        with self._lock:
            slots = self._slots[rows, columns]
            if slots.free.empty() and slots.made < self._at_once:
                network = self._compile(rows, columns)
                for _ in range(1 if self._alone else self._at_once):
                    slots.free.put(network)
                    slots.made += 1
        network = slots.free.get()
        try:
            yield network
        finally:
            slots.free.put(network)

    def _compile(self, rows: int, columns: int) -> Any:
        network = self._network.clone()
        if self._sides() is None:
            network.reshape([self.input_shape[0] or -1, self.input_shape[1] or 3, rows, columns])
        try:
            compiled = self._core.compile_model(network, "CPU", self._options)
        except RuntimeError as error:
            raise self._unusable(error) from error
        taken = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        if taken != self._floats:  # to OpenVINO it was a hint
            raise EngineError(f"{self._source}: OpenVINO would compute in {taken}, not in {self._floats}")
        return compiled

    def _unusable(self, error: RuntimeError) -> WeightsError:
        return WeightsError(
            f"{self._source}: not a model that OpenVINO can run ({str(error).strip().splitlines()[-1]}); "
            "the file may be damaged or cut short"
        )

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """See `Session.run`. Each call has a request of its own: they may overlap, and nobody else has its memory."""
        with self._turn(*(self._sides() or batch.shape[2:])) as network:
            try:
                answer = network.create_infer_request().infer([batch], share_inputs=True, share_outputs=True)
            except RuntimeError as error:
                raise InferenceError(
                    f"{self._source}: the network failed on {batch.shape}: {str(error).strip().splitlines()[-1]}"
                ) from error
            return list(answer.values())


class _Slots:
    """Networks compiled for one size of input, each as often as it may run at once and does not."""

    def __init__(self) -> None:
        self.free: queue.LifoQueue[Any] = queue.LifoQueue()
        self.made = 0


def _provider(provider: str, source: str) -> str | tuple[str, dict[str, str]]:
    """What onnxruntime is told; a provider that it does not have would be passed over."""
    onnxruntime = import_quietly("onnxruntime")
    if provider not in PROVIDERS:
        raise ValueError(f"provider must be one of {', '.join(PROVIDERS)}, not {provider!r}")
    name, available = PROVIDERS[provider], onnxruntime.get_available_providers()
    if name not in available:
        raise EngineError(f"{source}: the installed onnxruntime has no {name}; it has {', '.join(available)}")
    return (name, {"use_tf32": "0"}) if provider == "cuda" else name  # TF32 keeps 10 bits of 23


def is_quantized(model: bytes) -> bool:
    """Whether an ONNX file rounds what its layers pass on: it has a node whose type is ``QuantizeLinear``.

    Source:
        onnx.proto: `NodeProto.op_type` is field 4, a string: the byte 0x22, its length, itself.
    """
    return b"\x22\x0eQuantizeLinear" in model


def openvino_core(source: str) -> Any:
    """The one `openvino.Core` of this process, made at the first call and kept to the end.

    The processor's plugin of each core installs a stack for signals, and puts back what it found there when it goes. Of
    two cores that go in the order in which they came, the second puts back what the first has freed, and the next
    signal, be it SIGTERM or that a child has ended, is a segmentation fault. This one never goes.

    Args:
        source: What is to be run; named in the error.

    Raises:
        EngineError: OpenVINO is not installed.
    """
    try:
        openvino = import_quietly("openvino")
    except ImportError as error:
        raise EngineError(f"{source}: OpenVINO is not installed: pip install 'nsfw-censor[openvino]'") from error
    with _FIRST_USE:
        if not _CORES:
            # Its binding to numpy sets itself up at the first use, and two threads that are first would wait for one
            # another for ever: one holds the setting up and wants Python's lock, the other the reverse.
            openvino.Type.f32.to_dtype()
            openvino.Tensor(np.zeros(1, np.float32), shared_memory=True)
            _CORES.append(openvino.Core())
    return _CORES[0]


def _shared(threads: int, streams: int) -> tuple[int, int]:
    """Threads of a run, and runs at once; all threads together are never more than there are cores."""
    room = cores()
    threads = min(threads or room, room)
    return threads, min(streams or room, room // threads) or 1


def _options(threads: int, streams: int, precision: str) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads * streams,
        "NUM_STREAMS": streams,
        # Pinned, two processes would sit on the same cores while others are idle.
        "ENABLE_CPU_PINNING": False,
    }


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_threads(threads: int) -> None:
    if threads < 0:
        raise ValueError(f"threads is 0 for every core or a number of them, not {threads}")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
