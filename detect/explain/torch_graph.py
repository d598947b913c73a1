"""A small reading of ONNX in torch, of the operators of the known classifiers: so that signals can be sent back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from detect.errors import ExplanationError

__all__ = ["GraphSession", "Node", "Rule", "TorchGraph", "load_graph", "rectified"]


class Rule(Enum):
    """What passes a rectifier on the way back."""

    GRADIENT = "gradient"
    """What its derivative says: what passes where something came through on the way there."""
    DECONVNET = "deconvnet"
    """What is positive, wherever; Zeiler and Fergus (arXiv:1311.2901), § 2.1."""
    GUIDED = "guided"
    """What is positive, where something came through; Springenberg et al. (arXiv:1412.6806), § 3.4."""


@dataclass(frozen=True)
class Node:
    """One operator: what it takes and gives, by name, and its attributes."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: Mapping[str, Any]


class _Rectified(torch.autograd.Function):
    """ReLU or GELU there, and a rule back. GELU is taken for a soft ReLU: the papers know none."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, rule: Rule, is_soft: bool) -> Tensor:
        ctx.save_for_backward(given)
        ctx.rule = rule
        return functional.gelu(given) if is_soft else functional.relu(given)

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None, None]:
        (signal,), (given,) = signals, ctx.saved_tensors
        passed = signal.clamp(min=0)
        return passed * (given > 0) if ctx.rule is Rule.GUIDED else passed, None, None


def rectified(given: Tensor, *, rule: Rule = Rule.GRADIENT, is_soft: bool = False) -> Tensor:
    """ReLU, or GELU if it is soft, with what the rule sends back through it."""
    if rule is Rule.GRADIENT:
        return functional.gelu(given) if is_soft else functional.relu(given)
    out: Tensor = _Rectified.apply(given, rule, is_soft)
    return out


@dataclass(frozen=True, kw_only=True, eq=False)
class TorchGraph:
    """A network that was read.

    Attributes:
        nodes: In the order in which they can be run.
        constants: Weights by name.
        given: Name of the input.
        answers: Names of the outputs.
        metadata: What the file says of itself.
        source: What errors call it.
        opset: Version of the operators.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, Tensor]
    given: str
    answers: tuple[str, ...]
    metadata: Mapping[str, str]
    source: str
    opset: int

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of what rectifiers answer, the first layer first: what units are asked for."""
        return tuple(node.outputs[0] for node in self.nodes if node.kind in ("Relu", "Gelu"))

    @property
    def logits(self) -> str:
        """Name of what the softmax of the first answer is made from, or of that answer itself."""
        (made,) = [node for node in self.nodes if self.answers[0] in node.outputs]
        return made.inputs[0] if made.kind in ("Softmax", "Sigmoid") else self.answers[0]

    def run(self, images: Tensor, *wanted: str, rule: Rule = Rule.GRADIENT) -> tuple[Tensor, ...]:
        """Compute tensors by their names, as far as needed; a rule says what goes back through rectifiers.

        Raises:
            ExplanationError: There is no tensor of a name.
        """
        needed = self._needed(wanted)
        values: dict[str, Tensor] = {self.given: images, **self.constants}
        for node in self.nodes:
            if needed.intersection(node.outputs):
                arguments = [values[name] if name else None for name in node.inputs]
                values[node.outputs[0]] = _run(node, arguments, rule)
        return tuple(values[name] for name in wanted)

    def _needed(self, wanted: Sequence[str]) -> set[str]:
        makers = {output: node for node in self.nodes for output in node.outputs}
        if unknown := [name for name in wanted if name not in makers]:
            raise ExplanationError(f"{self.source}: has no tensor {unknown[0]!r}")
        waiting, needed = list(wanted), set()
        while waiting:
            if (name := waiting.pop()) not in needed:
                needed.add(name)
                waiting += makers[name].inputs if name in makers else ()
        return needed


class GraphSession:
    """A `detect.runtime.sessions.Session` of a graph: what it feeds and reads is then what production does."""

    engine, precision, step = "torch", "f32", 1

    def __init__(self, graph: TorchGraph, input_shape: tuple[int | None, ...] = (None, 3, None, None)) -> None:
        """Wrap a graph."""
        self._graph = graph
        self.metadata = dict(graph.metadata)
        self.input_shape = input_shape

    @torch.no_grad()
    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """All answers for a batch."""
        return [each.numpy() for each in self._graph.run(torch.from_numpy(batch), *self._graph.answers)]


def load_graph(content: bytes, *, source: str) -> TorchGraph:
    """Read an ONNX file.

    Args:
        content: The whole file.
        source: What errors call it.

    Raises:
        ExplanationError: The module `onnx` is missing, the file is no ONNX, or has an operator that is not read.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ExplanationError(
            f"{source}: reading it in torch needs onnx: pip install 'nsfw-censor[models]'"
        ) from error
    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # protobuf has an error of its own for each of its builds
        raise ExplanationError(f"{source}: no ONNX file") from error
    constants = {
        tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()) for tensor in model.graph.initializer
    }
    nodes = [
        Node(
            node.op_type,
            tuple(node.input),
            tuple(node.output),
            {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute},
        )
        for node in model.graph.node
    ]
    if unknown := sorted({node.kind for node in nodes} - _KINDS):
        raise ExplanationError(f"{source}: operators that are not read in torch: {', '.join(unknown)}")
    given = [each.name for each in model.graph.input if each.name not in constants]
    if len(given) != 1 or not model.graph.output:
        raise ExplanationError(f"{source}: expected one input and at least one output, not {len(given)} inputs")
    return TorchGraph(
        nodes=tuple(_with_gelus(nodes, constants)),
        constants=constants,
        given=given[0],
        answers=tuple(each.name for each in model.graph.output),
        metadata={each.key: each.value for each in model.metadata_props},
        source=source,
        opset=max(each.version for each in model.opset_import if each.domain in ("", "ai.onnx")),
    )


def _with_gelus(nodes: Sequence[Node], constants: Mapping[str, Tensor]) -> list[Node]:
    """Exporters write GELU as five nodes, x * (.5 * (1 + erf(x / sqrt(2)))): one rectifier again, in whatever order."""
    makers = {node.outputs[0]: node for node in nodes}

    def made_by(name: str, kind: str) -> Node | None:
        node = makers.get(name)
        return node if node is not None and node.kind == kind else None

    def is_number(name: str, value: float) -> bool:
        return name in constants and constants[name].numel() == 1 and math.isclose(constants[name].item(), value)

    def gates(name: str) -> str | None:
        """What 1 + erf(x / sqrt(2)) is of, if a name is that of one."""
        plus = made_by(name, "Add")
        erf = made_by(plus.inputs[0], "Erf") if plus and is_number(plus.inputs[1], 1) else None
        div = made_by(erf.inputs[0], "Div") if erf else None
        if div is None or abs(constants[div.inputs[1]].item() - math.sqrt(2)) > 1e-6:
            return None
        return div.inputs[0]

    def folded(node: Node) -> Node:
        for one, other in itertools.permutations(node.inputs) if node.kind == "Mul" else ():
            product = made_by(one, "Mul")
            given = () if product is None else (*product.inputs, other)
            for each in given if any(is_number(factor, 0.5) for factor in given) else ():
                if (gated := gates(each)) in given:
                    return Node("Gelu", (gated,), node.outputs, {})
        return node

    return [folded(node) for node in nodes]  # what is left over of the five is never asked for


_PLAIN: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div, "MatMul": torch.matmul,
    "Min": torch.minimum,
}  # fmt: skip
"""Operators that torch has under another name."""

_KINDS = {
    *_PLAIN, "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv", "Erf", "Expand", "Flatten",
    "GlobalAveragePool", "MaxPool", "ReduceL2", "ReduceSum", "Relu", "Reshape", "Shape", "Softmax", "Transpose",
}  # fmt: skip


def _run(node: Node, given: Sequence[Tensor | None], rule: Rule) -> Tensor:
    """One operator; arguments that may be left out are None."""
    first, *others = (each for each in given if each is not None)
    if node.kind in ("Relu", "Gelu"):
        return rectified(first, rule=rule, is_soft=node.kind == "Gelu")
    if node.kind in _PLAIN:
        return _PLAIN[node.kind](first, others[0])
    if node.kind in ("Conv", "AveragePool", "MaxPool", "GlobalAveragePool", "BatchNormalization"):
        return _layer(node, first, others)
    if node.kind in ("Softmax", "Erf", "Clip", "ReduceL2", "ReduceSum"):
        return _numbers(node, given, first)
    return _shape(node, first, others)


def _numbers(node: Node, given: Sequence[Tensor | None], first: Tensor) -> Tensor:
    if node.kind == "Softmax":
        return first.softmax(dim=node.options.get("axis", -1))
    if node.kind == "Erf":
        return first.erf()
    if node.kind == "Clip":
        low, high = (None if each is None else each.item() for each in (*given[1:], None, None)[:2])
        return first.clamp(low, high)
    axes, keep = given[1], bool(node.options.get("keepdims", 1))
    dims = None if axes is None else tuple(axes.tolist())
    return first.square().sum(dims, keep).sqrt() if node.kind == "ReduceL2" else first.sum(dims, keep)


def _layer(node: Node, first: Tensor, others: Sequence[Tensor]) -> Tensor:
    if node.kind == "GlobalAveragePool":
        return first.mean((2, 3), keepdim=True)
    if node.kind == "BatchNormalization":
        scale, bias, mean, variance = others
        return functional.batch_norm(first, mean, variance, scale, bias, eps=node.options.get("epsilon", 1e-5))
    top, left, bottom, right = node.options.get("pads", (0, 0, 0, 0))
    strides = tuple(node.options.get("strides", (1, 1)))
    if node.options.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise ExplanationError(f"{node.outputs[0]}: padding {node.options['auto_pad']!r} is not read in torch")
    if node.kind == "AveragePool":
        if (top, left) != (bottom, right):
            raise ExplanationError(f"{node.outputs[0]}: means over padding of one side alone are not read in torch")
        return functional.avg_pool2d(
            first, tuple(node.options["kernel_shape"]), strides, (top, left),
            ceil_mode=bool(node.options.get("ceil_mode", 0)),
            count_include_pad=bool(node.options.get("count_include_pad", 0)),
        )  # fmt: skip
    if node.kind == "MaxPool":  # torch pads both sides alike, and nothing may win against what is there
        padded = functional.pad(first, (left, right, top, bottom), value=-math.inf)
        return functional.max_pool2d(padded, tuple(node.options["kernel_shape"]), strides)
    padded = functional.pad(first, (left, right, top, bottom))
    dilations, groups = tuple(node.options.get("dilations", (1, 1))), node.options.get("group", 1)
    return functional.conv2d(padded, others[0], others[1] if len(others) > 1 else None, strides, 0, dilations, groups)


def _shape(node: Node, first: Tensor, others: Sequence[Tensor]) -> Tensor:
    """Operators that compute nothing."""
    if node.kind == "Shape":
        return torch.tensor(first.shape[node.options.get("start", 0) : node.options.get("end")])
    if node.kind == "Concat":
        return torch.cat([first, *others], dim=node.options["axis"])
    if node.kind == "Transpose":
        return first.permute(tuple(node.options["perm"]))
    if node.kind == "Flatten":
        return first.flatten(node.options.get("axis", 1))
    target = [int(each) for each in others[0].tolist()]
    if node.kind == "Expand":
        return first.expand(np.broadcast_shapes(tuple(first.shape), tuple(target)))
    return first.reshape(target)
