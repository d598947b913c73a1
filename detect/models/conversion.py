"""From a model file as its authors ship it to one that describes itself, and shows where its verdict comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect.errors import ModelError
from detect.models.catalogue import KnownModel, Tail
from detect.runtime.telemetry import import_quietly

__all__ = ["TOLERANCE", "convert"]

TOLERANCE = 1e-5
"""How far a converted network may be from the original: of a probability, or of the largest number of an output."""

_SEED = 13

Array = NDArray[np.float32]


def convert(content: bytes, known: KnownModel) -> bytes:
    """Make a known model describe itself.

    The batch becomes free, and the size where the network allows it. A classifier gets two outputs: ``scores``, the
    probabilities (B, K), and ``heat`` (B, h, w), what each cell of the last feature map says by itself: the linear
    layer and the softmax applied there, and summed over the labels that mean NSFW. For a network that ends in a global
    mean and a linear layer the scores' logits are the mean of the cells' logits, so the map is exact.

    Args:
        content: The whole original file.
        known: What it is; the caller has checked its SHA-256.

    Returns:
        An ONNX file that `detect.runtime` loads, and that answered on seeded noise what the original did.

    Raises:
        ModelError: The module `onnx` is missing; or the graph is not what the catalogue says, or the result answers
            otherwise than the original.

    Source:
        Zhou et al., Learning Deep Features for Discriminative Localization (arXiv:1512.04150), § 2: class activation
        maps. We keep each cell's probability instead of the logit alone: it can be held against a threshold.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{known.name}: converting a model needs {error.name}: pip install 'nsfw-censor[models]'"
        ) from error
    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # protobuf has an error of its own for each of its builds
        raise ModelError(f"{known.name}: the original file is no ONNX model") from error
    weights = {tensor.name for tensor in model.graph.initializer}
    picture = [given for given in model.graph.input if given.name not in weights]
    if len(picture) != 1:
        raise ModelError(f"{known.name}: the original has {len(picture)} inputs, not one")
    fed = picture[0].name
    transposed = _drop_transpose(model.graph, fed)
    if known.tail is not None:
        linear = _read_linear(model.graph, known, known.tail)
        _replace_tail(model.graph, known, known.tail, linear)
    _rename_outputs(model.graph, known.outputs)
    _regroup_gelus(model.graph)
    _prune(model.graph, fed)
    _free_shapes(model.graph, fed, known)
    onnx.helper.set_model_props(model, _metadata(model, known))
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"{known.name}: the converted graph is not valid: {str(error).splitlines()[0]}") from error
    converted = bytes(model.SerializeToString())
    _compare(content, converted, known, transposed=transposed)
    return converted


def _metadata(model: Any, known: KnownModel) -> dict[str, str]:
    """What the original says of itself, and on top of it what the catalogue knows."""
    said = {prop.key: prop.value for prop in model.metadata_props}
    said |= {
        "task": "classify" if known.tail else "detect",
        "name": known.name,
        "names": repr(list(known.names)),
        "imgsz": repr(list(known.size)),
        "license": known.license,
        "source": known.source,
        "source_sha256": known.sha256,
    }
    if known.stride is not None:
        said["stride"] = str(known.stride)
    if known.tail is not None:
        said["nsfw"] = repr(list(known.nsfw))
    return said | dict(known.said)


def _drop_transpose(graph: Any, fed: str) -> bool:
    """Let a network that turns (B, H, W, 3) round first take (B, 3, H, W); was it one?"""
    users = [node for node in graph.node if fed in node.input]
    if [node.op_type for node in users] != ["Transpose"]:
        return False
    turned = users[0].output[0]
    graph.node.remove(users[0])
    for node in graph.node:
        node.input[:] = [fed if name == turned else name for name in node.input]
    return True


def _read_linear(graph: Any, known: KnownModel, tail: Tail) -> tuple[Array, Array]:
    """Weights (C, K) and bias (K,) of what stands between the pooled features and the softmax."""
    from onnx import helper, numpy_helper

    makers = {output: node for node in graph.node for output in node.output}
    constants = {tensor.name: numpy_helper.to_array(tensor).astype(np.float64) for tensor in graph.initializer}

    def read(name: str) -> tuple[Any, Any]:
        node = makers.get(name)
        kind, given = (node.op_type, list(node.input)) if node else ("", [])
        options = (
            {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute} if node else {}
        )
        if kind in ("MatMul", "Gemm") and given[0] == tail.pooled and given[1] in constants:
            if (options.get("alpha", 1), options.get("beta", 1), options.get("transA", 0)) == (1, 1, 0):
                weight = constants[given[1]].T if options.get("transB") else constants[given[1]]
                return weight, constants[given[2]] if len(given) > 2 else np.zeros(weight.shape[1])
        elif kind == "Add" and given[1] in constants:
            weight, bias = read(given[0])
            return weight, bias + constants[given[1]]
        elif kind == "Add":
            parts = [read(each) for each in given]
            return parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]
        elif kind == "Div" and given[1] in constants:
            weight, bias = read(given[0])
            return weight / constants[given[1]], bias / constants[given[1]]
        raise ModelError(f"{known.name}: {name!r} is not the linear layer behind {tail.pooled!r} that was expected")

    last = makers.get(graph.output[0].name)
    if last is None or last.op_type != "Softmax":
        raise ModelError(f"{known.name}: the original does not end in a softmax")
    weight, bias = read(last.input[0])
    if weight.ndim != 2 or bias.shape != (len(known.names),) or weight.shape[1] != len(known.names):
        raise ModelError(f"{known.name}: the linear layer does not have {len(known.names)} labels")
    return weight.astype(np.float32), bias.astype(np.float32)


def _replace_tail(graph: Any, known: KnownModel, tail: Tail, linear: tuple[Array, Array]) -> None:
    """The same end twice: of the mean of all cells for the scores, of each cell for the heat."""
    from onnx import TensorProto, helper, numpy_helper

    counted = np.array([name in tail.nsfw for name in known.names], np.float32)
    constants = {"tail/weight": linear[0], "tail/bias": linear[1], "tail/nsfw": counted, "tail/one": np.float32(1)}
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())
    node = helper.make_node
    graph.node.extend(
        [
            node("GlobalAveragePool", [tail.features], ["tail/mean"]),
            node("Flatten", ["tail/mean"], ["tail/pooled"], axis=1),
            node("MatMul", ["tail/pooled", "tail/weight"], ["tail/product"]),
            node("Add", ["tail/product", "tail/bias"], ["tail/logits"]),
            node("Softmax", ["tail/logits"], ["scores"], axis=1),
            node("Transpose", [tail.features], ["tail/cells"], perm=[0, 2, 3, 1]),
            node("MatMul", ["tail/cells", "tail/weight"], ["tail/cell_product"]),
            node("Add", ["tail/cell_product", "tail/bias"], ["tail/cell_logits"]),
            # Before opset 13 a softmax over the last axis took all axes before it as one: the same here.
            node("Softmax", ["tail/cell_logits"], ["tail/cell_scores"], axis=3),
            node("MatMul", ["tail/cell_scores", "tail/nsfw"], ["tail/sum"]),
            node("Min", ["tail/sum", "tail/one"], ["heat"]),  # rounded, a sum of all labels may pass 1
        ]
    )
    del graph.output[:]
    graph.output.extend(
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", len(known.names)]),
            helper.make_tensor_value_info("heat", TensorProto.FLOAT, ["batch", "rows", "columns"]),
        ]
    )


def _rename_outputs(graph: Any, names: Sequence[str]) -> None:
    renamed = dict(zip([output.name for output in graph.output], names, strict=True)) if names else {}
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for output in graph.output:
        output.name = renamed.get(output.name, output.name)


def _regroup_gelus(graph: Any) -> None:
    """Turn x (.5 (1 + erf …)) into (x (1 + erf …)) .5, the product that onnxruntime knows as a GELU.

    It then computes each in one pass instead of five, and need not lay the pixels out anew before and after.
    """
    makers = {output: node for node in graph.node for output in node.output}
    constants = {tensor.name for tensor in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(output.name for output in graph.output)

    def made_by(kind: str, names: Sequence[str]) -> Any:
        return next((makers[name] for name in names if name in makers and makers[name].op_type == kind), None)

    for last in graph.node:
        half = made_by("Mul", last.input) if last.op_type == "Mul" else None
        if half is None or uses[half.output[0]] > 1:
            continue
        added = made_by("Add", half.input)
        if added is None or made_by("Erf", added.input) is None:
            continue
        numbers = [name for name in half.input if name in constants]
        given = [name for name in last.input if name != half.output[0] and name not in constants]
        if numbers and given:
            half.input[:], last.input[:] = [*given, added.output[0]], [half.output[0], *numbers]


def _prune(graph: Any, fed: str) -> None:
    """Leave what the outputs are computed from; shapes noted on the way were those of the original's one size."""
    makers = {output: node for node in graph.node for output in node.output}
    waiting, needed = [output.name for output in graph.output], set()
    while waiting:
        if (name := waiting.pop()) not in needed:
            needed.add(name)
            waiting += makers[name].input if name in makers else ()
    for entries, is_needed in (
        (graph.node, lambda node: needed.intersection(node.output)),
        (graph.initializer, lambda tensor: tensor.name in needed),
        (graph.input, lambda given: given.name == fed),
        (graph.value_info, lambda _: False),
    ):
        kept = [entry for entry in entries if is_needed(entry)]
        del entries[:]
        entries.extend(kept)


def _free_shapes(graph: Any, fed: str, known: KnownModel) -> None:
    """Name the axes that any picture may set, and forget what the outputs' were at one size."""
    from onnx import TensorProto, helper

    sides = known.size if known.stride is None else ("height", "width")
    wanted = helper.make_tensor_value_info(fed, TensorProto.FLOAT, ["batch", 3, *sides])
    graph.input[0].CopyFrom(wanted)
    for output in graph.output if known.outputs else ():
        dims = output.type.tensor_type.shape.dim
        for axis, label in ((0, "batch"), (2, "rows"), (3, "columns")):
            dims[axis].dim_param = label


def _compare(original: bytes, converted: bytes, known: KnownModel, *, transposed: bool) -> None:
    """Run both on seeded noise, and refuse a conversion that answers otherwise."""
    extra = known.tail.features if known.tail else None
    try:
        before, after = _session(original, extra), _session(converted, None)
    except Exception as error:  # each release has its own
        raise ModelError(f"{known.name}: onnxruntime does not take it: {str(error).splitlines()[0]}") from error
    fixed = [side if isinstance(side, int) and side > 0 else None for side in before.get_inputs()[0].shape]
    batch = fixed[0] or 2
    sides = [given or side for given, side in zip(fixed[1:3] if transposed else fixed[2:4], known.size, strict=True)]
    noise = np.random.default_rng(_SEED).uniform(0, 255, (batch, 3, *sides)).astype(np.float32)
    # Where one probability takes all, faults would hide: strong noise may do that, weak noise less.
    for given in (noise, noise / 16) if known.said.get("head") != "yolov8" else (noise / 255,):
        fed = np.ascontiguousarray(given.transpose(0, 2, 3, 1)) if transposed else given
        expected = before.run(None, {before.get_inputs()[0].name: fed})
        if known.tail is not None:
            expected[1] = _expected_heat(original, expected[1], known, known.tail)
        _compare_outputs(expected, after.run(None, {after.get_inputs()[0].name: given}), known)


def _compare_outputs(expected: Sequence[Array], found: Sequence[Array], known: KnownModel) -> None:
    if len(found) != len(expected):
        raise ModelError(f"{known.name}: converted, it has {len(found)} outputs instead of {len(expected)}")
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        near = one.shape == other.shape and np.abs(one - other).max() <= TOLERANCE * max(1.0, np.abs(one).max())
        if not near:  # NaN is near nothing
            raise ModelError(f"{known.name}: converted, its output {number} is not what the original answers")


def _expected_heat(original: bytes, features: Array, known: KnownModel, tail: Tail) -> Array:
    """What each cell says by itself, worked out from the original's features without its or our graph."""
    import onnx

    weight, bias = _read_linear(onnx.load_from_string(original).graph, known, tail)
    logits = features.transpose(0, 2, 3, 1).astype(np.float64) @ weight + bias
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities = odds / odds.sum(axis=-1, keepdims=True)
    picked: Array = probabilities[..., [known.names.index(name) for name in tail.nsfw]].sum(axis=-1).astype(np.float32)
    return picked


def _session(content: bytes, extra: str | None) -> Any:
    """A file in onnxruntime, which answers one inner tensor too where it is named."""
    import onnx

    onnxruntime = import_quietly("onnxruntime")
    if extra is not None:
        model = onnx.load_from_string(content)
        model.graph.output.append(onnx.helper.make_tensor_value_info(extra, onnx.TensorProto.FLOAT, None))
        content = model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # of the initializers that the originals list without using them
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
