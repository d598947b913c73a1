"""The same network, with its weights in disorder: what a map shows of it, it would show of any."""

from __future__ import annotations

import numpy as np

from detect.errors import ExplanationError

__all__ = ["shuffled_weights"]


def shuffled_weights(content: bytes, *, source: str, seed: int = 0) -> bytes:
    """Put every weight of an ONNX file somewhere else in its own tensor.

    Vectors and single numbers, such as biases and sizes, stay: numbers keep their range, so that the network still
    answers, but it has learnt nothing.

    Args:
        content: The whole file.
        source: What errors call it.
        seed: Of the disorder.

    Raises:
        ExplanationError: The module `onnx` is missing, or the file is no ONNX.

    Source:
        Adebayo et al., Sanity Checks for Saliency Maps (arXiv:1810.03292), § 3, all layers at once.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ExplanationError(f"{source}: shuffling weights needs onnx: pip install 'nsfw-censor[models]'") from error
    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # protobuf has an error of its own for each of its builds
        raise ExplanationError(f"{source}: no ONNX file") from error
    rng = np.random.default_rng(seed)
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.ndim >= 2 and values.dtype.kind == "f":
            mixed = rng.permutation(values.ravel()).reshape(values.shape)
            tensor.CopyFrom(onnx.numpy_helper.from_array(mixed, tensor.name))
    return bytes(model.SerializeToString())
