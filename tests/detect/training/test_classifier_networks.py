"""The networks: that they are those of torchvision, timm and open_nsfw, and what of weights that are others'."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from detect.classifier.onnx_classifier import OnnxClassifier
from detect.errors import WeightsError
from detect.runtime.sessions import OnnxRuntimeSession
from detect.training.classifier.architectures import ARCHITECTURES, build_network
from detect.training.classifier.checkpoint import Description, Input, load_model, read_pretrained, save_weights
from detect.training.classifier.ms_ctc import PyramidPooling
from detect.training.classifier.timm_body import TimmBody, prove

NAMES = ("sfw", "nsfw")


def description(**changes: Any) -> Description:
    values: dict[str, Any] = {
        "name": "mine", "names": ("a", "b", "c"), "nsfw": ("b",), "architecture": "squeezenet", "size": 64,
        "resize": "pad", "input": Input.of("squeezenet"), "dropout": 0.25, "metrics": {"loss": 0.5},
    }  # fmt: skip
    return Description(**(values | changes))


def test_the_thin_resnet_answers_what_open_nsfw_answers(models_folder: Path) -> None:
    file = models_folder / "open_nsfw.onnx"
    original = OnnxClassifier(OnnxRuntimeSession(file.read_bytes(), source="open_nsfw"), source="open_nsfw")
    pretrained = read_pretrained(file, "thin_resnet50")
    network = build_network("thin_resnet50", classes=2, size=224).eval()
    assert pretrained.load(network, ("nsfw", "sfw"))  # the rows of the last layer follow the names
    rng = np.random.default_rng(3)
    pictures = [rng.integers(0, 256, (224, 224, 3), np.uint8) for _ in range(2)] + [
        np.full((224, 224, 3), 200, np.uint8)
    ]
    batch = torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2))
    with torch.no_grad():
        found = network(pretrained.input.normalized(batch)).softmax(dim=1).numpy()
    expected = np.array([scores.values for scores in original.classify(pictures)])
    np.testing.assert_allclose(found[:, ::-1], expected, atol=1e-4)
    assert np.ptp(expected[:, 1]) > 1e-4


def headless(model: nn.Module, name: str) -> nn.Module:
    setattr(model, name, nn.Identity())
    return model


THEIRS: dict[str, Callable[[], tuple[nn.Module, Callable[[Any, Tensor], Tensor]]]] = {
    "resnet18": lambda: (torchvision.models.resnet18(), lambda m, x: headless(m, "fc")(x)),
    "resnet50": lambda: (torchvision.models.resnet50(), lambda m, x: headless(m, "fc")(x)),
    "squeezenet": lambda: (torchvision.models.squeezenet1_1(), lambda m, x: m.features(x).mean((2, 3))),
    "googlenet": lambda: (
        torchvision.models.googlenet(aux_logits=False, init_weights=False),
        lambda m, x: headless(m, "fc")(x),
    ),
    "xception": lambda: (timm.create_model("legacy_xception"), lambda m, x: m.forward_features(x).mean((2, 3))),
    "efficientformerv2_s1": lambda: (
        timm.create_model("efficientformerv2_s1", img_size=96),
        lambda m, x: m.forward_head(m.forward_features(x), pre_logits=True),
    ),
}


@pytest.mark.parametrize("name", THEIRS)
def test_weights_of_torchvision_and_timm_make_the_same_features(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs, features = THEIRS[name]()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training: else a difference there would not show
            nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]  # None without statistics
            nn.init.uniform_(module.weight, 0.8, 1.2)
    file = tmp_path / "theirs.pth"
    torch.save(theirs.state_dict(), file)
    ours = build_network(name, classes=2, size=96).eval()
    assert not read_pretrained(file, name).load(ours, NAMES)
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours.neck(ours.body(images)), features(theirs.eval(), images), rtol=1e-4, atol=1e-5)


def test_vgg_has_thirteen_convolutions_with_torchvisions_names_and_shapes() -> None:
    with torch.device("meta"):  # half a gigabyte otherwise
        theirs, ours = torchvision.models.vgg16(), build_network("vgg16", classes=2, size=224)
    renamed = {}
    for key, value in theirs.state_dict().items():
        for old, new in ARCHITECTURES["vgg16"].renamed.items():
            if key.startswith(old):
                renamed[new + key.removeprefix(old)] = value.shape
    assert renamed == {key: value.shape for key, value in ours.state_dict().items() if not key.startswith("fc.")}
    assert sum(isinstance(module, nn.Conv2d) for module in ours.modules()) == 13


def test_the_constrained_network_has_the_papers_maps_and_cost() -> None:
    network = build_network("ms_ctc", classes=1000, size=224).eval()
    sides = []
    for module in network.body.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda _, __, output: sides.append(tuple(output.shape[1:3])))
    with torch.no_grad():
        network(torch.zeros(1, 3, 224, 224))
    assert sides == [(64, 109), *[(128, 36)] * 4, *[(256, 18)] * 4, (2304, 6), (256, 6)]


def test_a_pyramid_by_hand() -> None:
    cells = torch.arange(16.0).view(1, 1, 4, 4)
    pyramid = PyramidPooling(1, 4)
    assert pyramid.width == 5
    assert pyramid(cells).tolist() == [[5, 7, 13, 15, 15]]


def test_frozen_statistics_stay_while_everything_else_learns() -> None:
    network = build_network("resnet18", classes=2, size=32)
    network.frozen = True
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.train()
    network(torch.rand(4, 3, 32, 32)).sum().backward()
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert network.body.bn1.weight.grad is not None  # type: ignore[union-attr]  # a Sequential
    network.frozen = False
    network.train()(torch.rand(4, 3, 32, 32))
    assert not torch.equal(before["body.bn1.running_mean"], network.state_dict()["body.bn1.running_mean"])


def test_weights_round_trip_and_go_on_in_another_run(tmp_path: Path) -> None:
    about = description()
    network = about.build()
    save_weights(tmp_path / "w.safetensors", network, about)
    model, said = load_model(tmp_path / "w.safetensors")
    assert (said, model.training, model.dropout.p) == (about, False, 0.25)
    assert said.input == Input.of("squeezenet")
    again = build_network("squeezenet", classes=3, size=64)
    pretrained = read_pretrained(tmp_path / "w.safetensors", "squeezenet")
    assert pretrained.load(again, ("c", "a", "b"))
    assert torch.equal(again.fc.weight, model.fc.weight[[2, 0, 1]])
    other = build_network("squeezenet", classes=3, size=64)
    assert not pretrained.load(other, ("a", "b", "d"))
    assert torch.equal(other.body[0].weight, model.body[0].weight)  # type: ignore[index]  # a Sequential


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("task", "detect", "metadata key 'task' must be 'classify'"),
        ("name", "a b", "metadata key 'name' is no name of a model"),
        ("architecture", "alexnet", "metadata key 'architecture' must be"),
        ("imgsz", "[65, 65]", "does not describe a classifier of ours"),
        ("dropout", "1", "does not describe a classifier of ours"),
        ("metrics", "{", "does not describe a classifier of ours"),
    ],
)
def test_metadata_that_is_wrong(key: str, value: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        Description.from_metadata(description().metadata() | {key: value}, source="w.safetensors")


def test_weights_of_another_shape_or_network(tmp_path: Path, models_folder: Path) -> None:
    network = build_network("resnet18", classes=2, size=64)
    with pytest.raises(WeightsError, match="read as open_nsfw's thin_resnet50, not as a resnet18"):
        read_pretrained(models_folder / "open_nsfw.onnx", "resnet18")
    with pytest.raises(WeightsError, match="not open_nsfw as `censor models add` keeps it"):
        read_pretrained(models_folder / "320n.onnx", "thin_resnet50")
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"x.onnx"):
        read_pretrained(tmp_path / "x.onnx", "thin_resnet50")
    torch.save(torchvision.models.resnet50().state_dict(), tmp_path / "50.pth")
    with pytest.raises(WeightsError, match=r"50.pth: not the weights of a resnet18: 'layer1.0.conv1.weight' has shape"):
        read_pretrained(tmp_path / "50.pth", "resnet18").load(network, NAMES)
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "part.safetensors")
    with pytest.raises(WeightsError, match=r"part.safetensors: not the weights of a resnet18: 'bn1.weight' is missing"):
        read_pretrained(tmp_path / "part.safetensors", "resnet18").load(network, NAMES)
    save_weights(tmp_path / "s.safetensors", description().build(), description())
    with pytest.raises(WeightsError, match="they are those of a squeezenet"):
        read_pretrained(tmp_path / "s.safetensors", "resnet18")
    (tmp_path / "cut.pth").write_bytes(b"PK\3\4")
    with pytest.raises(WeightsError, match=r"cut.pth: cannot read"):
        read_pretrained(tmp_path / "cut.pth", "resnet18")


def test_an_input_that_is_too_small() -> None:
    with pytest.raises(ValueError, match="ms_ctc cannot take pictures of 32 pixels a side"):
        build_network("ms_ctc", classes=2, size=32)


class Pooled(nn.Module):
    """Stands in for a network of timm's: one convolution, and a pooling to be found out."""

    def __init__(self, pool: Callable[[Tensor], Tensor], *, last: bool = False) -> None:
        super().__init__()
        self.conv, self.norm, self.pool, self.last = nn.Conv2d(3, 6, 3, 16, 1), nn.BatchNorm1d(6), pool, last

    def forward_features(self, images: Tensor) -> Tensor:
        features: Tensor = self.conv(images)
        return features.permute(0, 2, 3, 1) if self.last else features

    def forward_head(self, features: Tensor, *, pre_logits: bool) -> Tensor:
        assert pre_logits
        return self.pool(features)


@pytest.mark.parametrize(
    ("pool", "last", "layout"),
    [
        (lambda x: x.mean((2, 3)), False, "BCHW"),
        (lambda x: x.mean((1, 2)), True, "BHWC"),
        (lambda x: x.amax((2, 3)), False, "row"),
        (lambda x: (x.amax((2, 3)) + x.mean((2, 3))) / 2, False, "row"),
        (lambda x: x.sum((2, 3)), False, "row"),
    ],
)
def test_cells_are_told_apart_only_where_their_mean_is_what_is_pooled(
    pool: Callable[[Tensor], Tensor], last: bool, layout: str
) -> None:
    for size in (32, 64):
        body = TimmBody(Pooled(pool, last=last)).eval()
        before = {key: value.clone() for key, value in body.state_dict().items()}
        assert prove(body, size) == (layout, True)
        assert all(torch.equal(value, before[key]) for key, value in body.state_dict().items())


def test_a_normalization_that_does_nothing_yet_is_found_out() -> None:
    net = Pooled(lambda x: x)
    net.pool = lambda x: net.norm(x.mean((2, 3)))
    with torch.no_grad():
        images = torch.rand(2, 3, 64, 64)
        torch.testing.assert_close(
            net.eval().forward_head(net.forward_features(images), pre_logits=True),
            net.forward_features(images).mean((2, 3)), rtol=1e-4, atol=1e-5,
        )  # fmt: skip
    assert prove(TimmBody(net).eval(), 64) == ("row", True)


@pytest.mark.parametrize(
    ("name", "has_cells", "is_free"),
    [("timm/test_resnet", True, True), ("timm/test_vit", False, True), ("timm/test_vit3", False, False)],
)
def test_networks_of_timms_make_the_features_that_timm_makes(
    name: str, has_cells: bool, is_free: bool, tmp_path: Path
) -> None:
    how: Any = {"img_size": 96} if "vit" in name else {}
    theirs: Any = timm.create_model(name.removeprefix("timm/"), pretrained=False, **how)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    ours = build_network(name, classes=2, size=96).eval()
    assert not read_pretrained(tmp_path / "theirs.pth", name).load(ours, NAMES)
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        expected = theirs.eval().forward_head(theirs.forward_features(images), pre_logits=True)
        torch.testing.assert_close(ours.neck(ours.body(images)), expected, rtol=1e-4, atol=1e-5)
    assert (ours.has_cells, ours.is_free) == (has_cells, is_free)
    about = description(architecture=name, input=Input.of(name))
    save_weights(tmp_path / "w.safetensors", about.build(), about)
    assert load_model(tmp_path / "w.safetensors")[0].has_cells == has_cells


def test_a_network_that_a_file_does_not_hold_is_never_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = description(architecture="timm/test_resnet")
    said = about.metadata()
    devices: list[str] = []
    for name in ("timm/vit_giant_patch14_224", "vgg16"):  # gigabytes of weights
        save_file(about.build().state_dict(), tmp_path / "w.safetensors", said | {"architecture": name})
        real = Description.build

        def build(self: Description, real: Callable[[Description], nn.Module] = real) -> nn.Module:
            model = real(self)
            devices.append(next(model.parameters()).device.type)
            return model

        with monkeypatch.context() as patch:
            patch.setattr(Description, "build", build)
            with pytest.raises(WeightsError, match=r"w.safetensors: .* and missing in the network|missing in the file"):
                load_model(tmp_path / "w.safetensors")
    assert devices == ["meta", "meta"]
    with pytest.raises(WeightsError, match=r"metadata key 'architecture' must be one of .*hf-hub"):
        Description.from_metadata(said | {"architecture": "timm/hf-hub:a/b"}, source="w")
