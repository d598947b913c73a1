"""What of a picture drives a box of our RetinaNet, or one of its units: signals sent back through its own layers."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from detect.boxes import clip, iou
from detect.detections import Detections, RGBImage
from detect.errors import ExplanationError
from detect.explain.torch_backward import Backward
from detect.explain.torch_graph import Rule, rectified
from detect.retinanet.inference import TorchSession
from detect.retinanet.losses import decode_deltas
from detect.retinanet.model import Outputs
from detect.runtime.onnx_detector import OnnxDetector

__all__ = ["LayeredRetinaNet", "box_backward", "shuffled_session"]


class LayeredRetinaNet:
    """A RetinaNet as `detect.explain.torch_backward.Layered`.

    A layer is one call of a rectifier, named after the module that makes it. One that is called again, as a block of a
    ResNet calls its own and the heads theirs at each level of the pyramid, has ``#2`` and so on behind its name.

    Attributes:
        source: What errors call it.
        detector: What finds boxes with it.
    """

    def __init__(self, session: TorchSession, *, source: str) -> None:
        """Take a network that was loaded.

        Args:
            session: It.
            source: What errors call it.
        """
        self.source = source
        self._model = session.model
        self.detector = OnnxDetector(session, source=source)

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """See `Layered.layers`: in the order in which they answer."""
        with torch.no_grad():
            return tuple(self._run(self.given(np.zeros((32, 32, 3), np.uint8)), Rule.GRADIENT)[1])

    def given(self, image: RGBImage) -> Tensor:
        """See `Layered.given`."""
        return torch.from_numpy(self.detector.prepare(image))

    def answers(self, given: Tensor, layer: str, rule: Rule = Rule.GRADIENT) -> Tensor:
        """See `Layered.answers`."""
        return self._run(given, rule)[1][layer]

    def outputs(self, given: Tensor, rule: Rule) -> Outputs:
        """What the network answers at all its anchors; the rule says what goes back through rectifiers."""
        return self._run(given, rule)[0]

    def anchors(self, given: Tensor) -> Tensor:
        """See `RetinaNet.anchors`."""
        return self._model.anchors(given)

    def sent(self, pattern: NDArray[np.float32], image: RGBImage) -> Backward:
        """See `Layered.sent`. What came back to the padding is cut off."""
        height, width = image.shape[:2]
        fit = self.detector.letterbox(height, width)
        inner = pattern[:, fit.top : fit.top + fit.rows, fit.left : fit.left + fit.columns]
        return Backward(pattern=np.ascontiguousarray(inner), size=(height, width), resize="squash")

    def _run(self, given: Tensor, rule: Rule) -> tuple[Outputs, dict[str, Tensor]]:
        with _module_names(self._model) as now, _Rectifiers(rule, now) as rectifiers:
            outputs = self._model(given)
        return outputs, rectifiers.answers


def box_backward(network: LayeredRetinaNet, image: RGBImage, box: Detections, *, rule: Rule) -> Backward:
    """Send a signal back from the logit of a box's label, at the anchor that the box comes from.

    Args:
        network: Any.
        image: uint8 (H, W, 3).
        box: A single row that the network found in the picture.
        rule: What passes a rectifier.

    Raises:
        ExplanationError: `box` is not one row, or of another detector.

    Source:
        See `detect.explain.torch_backward.backward`.
    """
    if len(box) != 1 or box.names != network.detector.names:
        raise ExplanationError(f"{network.source}: explains one box of its own, not {len(box)}")
    given = network.given(image).requires_grad_()
    outputs = network.outputs(given, rule)
    label = int(box.labels[0])
    with torch.no_grad():
        xyxy = decode_deltas(outputs.deltas[0], network.anchors(given)).numpy()
        scores = outputs.logits[0, :, label].sigmoid().numpy()
    fit = network.detector.letterbox(*image.shape[:2])
    inside = clip(fit.restore(xyxy), width=fit.width, height=fit.height)
    anchor = int((iou(inside, box.xyxy)[:, 0] * scores).argmax())
    (pattern,) = torch.autograd.grad(outputs.logits[0, anchor, label], given)
    return network.sent(pattern[0].numpy(), image)


def shuffled_session(session: TorchSession, *, seed: int = 0) -> TorchSession:
    """The same network with its weights in disorder: see `detect.explain.shuffled.shuffled_weights`."""
    rng = torch.Generator().manual_seed(seed)
    mixed = copy.copy(session)
    mixed.model = copy.deepcopy(session.model)
    with torch.no_grad():
        for values in mixed.model.parameters():
            if values.dim() >= 2:
                values.copy_(values.flatten()[torch.randperm(values.numel(), generator=rng)].view_as(values))
    return mixed


class _Rectifiers(TorchFunctionMode):
    """Within it every ReLU sends back what a rule says, and what it answers is kept."""

    def __init__(self, rule: Rule, name: Callable[[], str]) -> None:
        super().__init__()
        self.answers: dict[str, Tensor] = {}
        self._rule, self._name = rule, name
        self._calls: Counter[str] = Counter()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is not functional.relu:
            return func(*args, **(kwargs or {}))
        name = self._name()
        self._calls[name] += 1
        name = name if self._calls[name] == 1 else f"{name}#{self._calls[name]}"
        self.answers[name] = rectified(args[0], rule=self._rule)
        return self.answers[name]


@contextmanager
def _module_names(model: nn.Module) -> Iterator[Callable[[], str]]:
    """Which module was called last, by name."""
    called = [""]

    def note(name: str) -> Callable[[nn.Module, Any], None]:
        return lambda _module, _given: called.__setitem__(0, name)

    hooks = [module.register_forward_pre_hook(note(name)) for name, module in model.named_modules()]
    try:
        yield lambda: called[0]
    finally:
        for hook in hooks:
            hook.remove()
