"""Running an ONNX file: what it says of itself, and numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detect.errors import InferenceError, WeightsError

__all__ = ["OnnxRuntimeSession", "Session"]


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

    def __init__(
        self, model: bytes, *, source: str, providers: Sequence[str] = ("CPUExecutionProvider",), threads: int = 0
    ) -> None:
        """Load a network.

        Args:
            model: The whole ONNX file.
            source: Where it came from; named in errors.
            providers: onnxruntime execution providers, most wanted first.
            threads: Threads for one run; 0 lets onnxruntime take every core.

        Raises:
            WeightsError: The bytes are no ONNX model that onnxruntime can run, or its input is not one float image.
            ValueError: `threads` is negative.
        """
        if threads < 0:
            raise ValueError(f"threads is 0 for every core or a number of them, not {threads}")
        import onnxruntime  # a tenth of a second, and `censor --help` does not need it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # what goes wrong is raised below; onnxruntime would print it as well
        try:
            self._session: Any = onnxruntime.InferenceSession(model, options, providers=list(providers))
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


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
