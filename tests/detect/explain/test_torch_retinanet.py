from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from detect.detections import Detections
from detect.errors import ExplanationError
from detect.explain.torch_backward import find_layer, strength, unit_backward
from detect.explain.torch_graph import Rule
from detect.explain.torch_retinanet import LayeredRetinaNet, _module_names, _Rectifiers, box_backward, shuffled_session
from detect.retinanet.checkpoint import Description, save_weights
from detect.retinanet.inference import TorchSession
from detect.runtime.retinanet import AnchorGrid


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> TorchSession:
    """A network that has learnt nothing, whose scores vary."""
    about = Description(
        names=("RED", "BLUE"), size=64, backbone="resnet18", norm="batch", head_norm=True, channels=64, box_loss="l1",
        grid=AnchorGrid.standard(16),
    )  # fmt: skip
    torch.manual_seed(2)
    model = about.build()
    nn.init.normal_(model.head.classification_head.cls_logits.weight, std=0.08)
    nn.init.zeros_(model.head.classification_head.cls_logits.bias)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_weights(path, model, about)
    return TorchSession(path)


@pytest.fixture(scope="module")
def network(session: TorchSession) -> LayeredRetinaNet:
    return LayeredRetinaNet(session, source="w.safetensors")


def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)


def best(network: LayeredRetinaNet, image: NDArray[np.uint8]) -> Detections:
    (found,) = network.detector.detect([image])
    return found[np.array([0])]


class ThreeLayers(nn.Module):
    """Red less 100, ReLU, the maximum of 2 x 2, by 2 and by -3, ReLU as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu = nn.Conv2d(3, 1, 1), nn.ReLU(inplace=True)
        self.pool, self.second = nn.MaxPool2d(2), nn.Conv2d(1, 2, 1, bias=False)
        with torch.no_grad():
            self.first.weight.copy_(torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1))
            self.first.bias.fill_(-100)  # type: ignore[union-attr]  # it has one
            self.second.weight.copy_(torch.tensor([2.0, -3.0]).view(2, 1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return functional.relu(self.second(self.pool(self.relu(self.first(images)))))


@pytest.mark.parametrize(
    ("rule", "unit", "expected"),
    [
        (Rule.GUIDED, 0, [[0, 0, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 2]]),  # the largest of each 2 x 2
        (Rule.DECONVNET, 0, [[0, 0, 2, 0], [2, 0, 0, 0], [2, 0, 0, 0], [0, 0, 0, 2]]),  # of equals the first
        (Rule.GRADIENT, 1, np.zeros((4, 4))),  # nothing comes through the second rectifier
        (Rule.DECONVNET, 1, np.zeros((4, 4))),  # and what speaks against it is stopped by the first
    ],
)
def test_switches_and_signs_by_hand(rule: Rule, unit: int, expected: list[list[int]]) -> None:
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0] = torch.tensor([[101, 102, 0, 0], [104, 103, 0, 0], [0, 0, 150, 0], [0, 0, 0, 160]])
    image.requires_grad_()
    model = ThreeLayers()
    with _module_names(model) as now, _Rectifiers(rule, now) as rectifiers:
        answer = model(image)
    assert list(rectifiers.answers) == ["relu", "second"]  # a function has the name of the module before it
    (back,) = torch.autograd.grad(answer[0, unit].sum(), image)
    assert back[0, 0].tolist() == np.asarray(expected).tolist()
    assert not back[0, 1:].any()


def test_every_rectifier_is_a_layer(network: LayeredRetinaNet) -> None:
    assert len(network.layers) == 17 + 1 + 2 * 4 * 5  # a ResNet-18, P6 to P7, two heads at five levels
    assert network.layers[:3] == (
        "backbone.body.relu", "backbone.body.layer1.0.relu", "backbone.body.layer1.0.relu#2",
    )  # fmt: skip
    assert "backbone.fpn.extra_blocks.p6" in network.layers
    assert "head.classification_head.conv.3.2#5" in network.layers


def test_the_gradient_of_a_boxs_score_is_that_of_the_anchor_it_comes_from(network: LayeredRetinaNet) -> None:
    image = picture()
    box = best(network, image)
    back = box_backward(network, image, box, rule=Rule.GRADIENT)
    given = network.given(image).requires_grad_()
    logits = network.outputs(given, Rule.GRADIENT).logits[0]
    anchor = int((logits[:, box.labels[0]].sigmoid() - float(box.scores[0])).abs().argmin())
    (expected,) = torch.autograd.grad(logits[anchor, box.labels[0]], given)
    assert given.shape == (1, 3, 64, 64)
    assert np.allclose(back.pattern, expected[0, :, 10:53], atol=1e-6)  # 60 x 40 pixels on 64 x 43, padding cut off
    assert back.heat.shape == (40, 60)


def test_rules_differ(network: LayeredRetinaNet) -> None:
    image = picture()
    box = best(network, image)
    backs = [box_backward(network, image, box, rule=rule).pattern for rule in Rule]
    assert all(each.any() for each in backs)
    assert not any(np.allclose(backs[one], backs[other]) for one, other in ((0, 1), (0, 2), (1, 2)))


def test_units_are_asked_for_and_sent_back(network: LayeredRetinaNet) -> None:
    layer = find_layer(network, "3", 7)
    assert layer == find_layer(network, "backbone.body.layer1.0.relu#2", 0) == network.layers[2]
    found = strength(network, picture(), layer, 7)
    back = unit_backward(network, picture(), layer, 7, rule=Rule.DECONVNET)
    assert found.value > 0
    # What a unit of an early layer answers to lies around it, on a grid of 16 x 16 over 64 x 64 with 10 of padding.
    row, column = np.unravel_index(int(np.abs(back.pattern).max(axis=0).argmax()), back.pattern.shape[1:])
    assert abs(row + 10 - 4 * found.row) < 24
    assert abs(column - 4 * found.column) < 24
    assert np.count_nonzero(back.pattern) < back.pattern.size / 2
    with pytest.raises(ExplanationError, match=r"w\.safetensors: has no layer '59'; layers are 1 to 58, or by name"):
        find_layer(network, "59", 0)
    with pytest.raises(ExplanationError, match="has units 0 to 63, not 64"):
        find_layer(network, "3", 64)


def test_what_is_no_box_of_its_own_is_refused(network: LayeredRetinaNet) -> None:
    for box in (Detections.empty(("RED", "BLUE")), Detections.empty(("OTHER",))):
        with pytest.raises(ExplanationError, match=r"w\.safetensors: explains one box of its own, not 0"):
            box_backward(network, picture(), box, rule=Rule.GUIDED)


def test_weights_in_disorder_are_the_same_in_other_places(session: TorchSession) -> None:
    mixed = shuffled_session(session)
    before, after = session.model.state_dict(), mixed.model.state_dict()
    for key, values in before.items():
        assert torch.equal(values.flatten().sort().values, after[key].flatten().sort().values)
        is_weight = values.dim() >= 2 and key.endswith("weight")
        assert torch.equal(values, after[key]) != is_weight
    assert mixed.metadata == session.metadata


def test_hooks_do_not_stay(network: LayeredRetinaNet, session: TorchSession, tmp_path: Path) -> None:
    assert not any(module._forward_pre_hooks for module in session.model.modules())
