"""The names of what can run a network: alone, so that a help text need not wait for numpy."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ENGINES", "PRECISIONS", "PROVIDERS"]

ENGINES = ("auto", "onnxruntime", "openvino")
"""What can run an ONNX file."""

PRECISIONS = ("auto", "f32", "bf16", "int8")
"""What a network can compute in."""

PROVIDERS: Mapping[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
"""What onnxruntime can run a network on, and its own name for that."""
