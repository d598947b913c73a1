"""Which inner tensor of an ONNX file holds a classifier's last features, and a copy of the file that answers it too.

The wire format is read here and not by `onnx`, which is a large module for a few names.
"""

from __future__ import annotations

from collections.abc import Iterator

from detect.errors import WeightsError

__all__ = ["answering_features"]

_GRAPH = 7
_NODE, _CONSTANT, _INPUT, _OUTPUT = 1, 5, 11, 12
_LINEAR = ("Gemm", "MatMul", "Conv")
_FLOAT = b"\x12\x04\x0a\x02\x08\x01"
"""A tensor of float32 whose shape nobody states."""


def answering_features(model: bytes, source: str) -> tuple[bytes, int]:
    """A classifier's file that answers the input of its last linear layer besides what it answers anyway.

    Args:
        model: The whole ONNX file.
        source: Where it came from; named in errors.

    Returns:
        The file, and which of its outputs the features are.

    Raises:
        WeightsError: It is no ONNX file, or no linear layer with weights of its own stands before its first output.

    Source:
        onnx.proto: `ModelProto.graph` 7; `GraphProto.node` 1, `.initializer` 5, `.output` 12; `NodeProto.input` 1,
        `.output` 2, `.op_type` 4; `TensorProto.name` 8; `ValueInfoProto.name` 1, `.type` 2. Protocol Buffers, Encoding,
        "Last One Wins": of an embedded message that is there twice the two are merged, so that a second graph with one
        output and nothing else adds an output to the first.
    """
    try:
        graph = [part for number, value in _fields(model) if number == _GRAPH for part in _fields(_message(value))]
        outputs = [_text(value, 1) for number, value in graph if number == _OUTPUT]
        found = _before_last_linear(graph, outputs[0])
    except (IndexError, ValueError) as error:
        raise WeightsError(f"{source}: not a model: {error}") from error
    if found is None:
        raise WeightsError(f"{source}: has no features: there is no linear layer before its first output")
    if found in outputs:
        return model, outputs.index(found)
    named = _written(1, found.encode()) + _FLOAT
    return model + _written(_GRAPH, _written(_OUTPUT, named)), len(outputs)


def _before_last_linear(graph: list[tuple[int, memoryview | int]], output: str) -> str | None:
    """Name of what goes into the last linear layer on the way to an output; None if there is no such layer."""
    constants = {_text(value, 8) for number, value in graph if number == _CONSTANT}
    fed = {_text(value, 1) for number, value in graph if number == _INPUT} - constants
    makers: dict[str, tuple[str, list[str]]] = {}
    for node in (_message(value) for number, value in graph if number == _NODE):  # in the order in which they run
        inputs = [name for name in _texts(node, 1) if name and name not in constants]
        if not inputs:
            constants.update(_texts(node, 2))
        makers |= dict.fromkeys(_texts(node, 2), (next(iter(_texts(node, 4)), ""), inputs))
    name = output
    while name in makers:
        kind, inputs = makers[name]
        if not inputs:
            return None
        if kind in _LINEAR and len(inputs) == 1:
            return None if inputs[0] in fed else inputs[0]
        name = inputs[0]
    return None


def _fields(message: bytes | memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Number and value of each field: what has a length as its bytes, all else as a number that nobody here needs."""
    view, at = memoryview(message), 0
    while at < len(view):
        key, at = _varint(view, at)
        kind = key & 7
        if kind == 2:
            length, at = _varint(view, at)
            if at + length > len(view):
                raise ValueError("it is cut short")
            yield key >> 3, view[at : at + length]
            at += length
        elif kind == 0:
            number, at = _varint(view, at)
            yield key >> 3, number
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"there is no field of type {kind}")


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = view[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def _message(value: memoryview | int) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number stands where a message was expected")
    return value


def _texts(message: memoryview | int, wanted: int) -> list[str]:
    found = [value for number, value in _fields(_message(message)) if number == wanted]
    return [str(_message(value), "utf-8") for value in found]


def _text(message: memoryview | int, wanted: int) -> str:
    return next(iter(_texts(message, wanted)), "")


def _written(number: int, value: bytes) -> bytes:
    """A field with a length."""
    length, digits = len(value), bytearray([number << 3 | 2])
    while length > 127:
        digits.append(length & 127 | 128)
        length >>= 7
    return bytes(digits) + bytes([length]) + value
