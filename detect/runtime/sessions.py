"""Running an ONNX file: what it says of itself, and numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detect.errors import InferenceError, WeightsError

__all__ = ["ENGINES", "OnnxRuntimeSession", "OpenVinoSession", "Session"]


class Session(Protocol):
    """A network with one image input, ready to run; safe to call from several threads."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """The file's metadata map."""
        ...

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Shape of the image input; None where the network takes any size."""
        ...

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Every output of the network, in the file's order, for a batch of shape (B, 3, H, W).

        Raises:
            InferenceError: The network failed.
        """
        ...


class OnnxRuntimeSession:
    """A `Session` on onnxruntime."""

    def __init__(self, model: bytes, *, source: str, threads: int = 0) -> None:
        """Load a network.

        Args:
            model: The whole ONNX file.
            source: Where it came from; named in errors.
            threads: Threads for one run; 0 lets onnxruntime take every core.

        Raises:
            WeightsError: The bytes are no ONNX model that onnxruntime can run, or its input is not one float image.
            ValueError: `threads` is negative.
        """
        _check_threads(threads)
        import onnxruntime  # a tenth of a second, and `censor --help` does not need it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # what goes wrong is raised below; onnxruntime would print it as well
        try:
            self._session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no base class but Exception
            raise WeightsError(
                f"{source}: not a model that onnxruntime can run ({_first_line(error)}); "
                "the file may be damaged or cut short"
            ) from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
            found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
            raise WeightsError(f"{source}: expected one float input of shape (batch, 3, height, width), found {found}")
        self._input = inputs[0].name
        self._source = source
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.input_shape = tuple(side if isinstance(side, int) else None for side in inputs[0].shape)

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """See `Session.run`."""
        try:
            outputs: list[NDArray[np.float32]] = self._session.run(None, {self._input: batch})
        except Exception as error:  # as above
            raise InferenceError(
                f"{self._source}: the network failed on {batch.shape}: {_first_line(error)}"
            ) from error
        return outputs


class OpenVinoSession:
    """A `Session` on OpenVINO (the extra `openvino`), in float32 like onnxruntime."""

    def __init__(self, model: bytes, *, source: str, threads: int = 0) -> None:
        """Load a network; arguments and errors as for `OnnxRuntimeSession`.

        Raises:
            WeightsError: The bytes are no ONNX model that OpenVINO can run, its input is not one float image, or
                OpenVINO is not installed.
            ValueError: `threads` is negative.
        """
        _check_threads(threads)
        try:
            import openvino
        except ImportError as error:
            raise WeightsError(f"{source}: OpenVINO is not installed: pip install 'censor[openvino]'") from error
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        try:
            core = openvino.Core()
            network = core.read_model(model)
            self._compiled: Any = core.compile_model(network, "CPU", options)
        except RuntimeError as error:
            raise WeightsError(
                f"{source}: not a model that OpenVINO can run ({str(error).strip().splitlines()[-1]}); "
                "the file may be damaged or cut short"
            ) from error
        inputs = network.inputs
        shape = inputs[0].partial_shape
        if len(inputs) != 1 or inputs[0].element_type != openvino.Type.f32 or len(shape) != 4:
            raise WeightsError(f"{source}: expected one float input of shape (batch, 3, height, width), found {inputs}")
        self._source = source
        stated = network.get_rt_info(["framework"]).astype(dict) if network.has_rt_info(["framework"]) else {}
        self.metadata: Mapping[str, str] = {key: value.astype(str) for key, value in stated.items()}
        self.input_shape = tuple(side.get_length() if side.is_static else None for side in shape)

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """See `Session.run`. Each call has a request of its own: they may overlap."""
        try:
            answer = self._compiled.create_infer_request().infer([batch])
        except RuntimeError as error:
            raise InferenceError(
                f"{self._source}: the network failed on {batch.shape}: {str(error).strip().splitlines()[-1]}"
            ) from error
        return [np.array(output) for output in answer.values()]


def _check_threads(threads: int) -> None:
    if threads < 0:
        raise ValueError(f"threads is 0 for every core or a number of them, not {threads}")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__


ENGINES: Mapping[str, type[OnnxRuntimeSession | OpenVinoSession]] = {
    "onnxruntime": OnnxRuntimeSession,
    "openvino": OpenVinoSession,
}
"""What can run a network, by name."""
