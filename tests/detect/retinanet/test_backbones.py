"""Backbones of torchvision and timm: their maps, their normalisation, weights for them, and what is refused."""

from __future__ import annotations

import copy
import dataclasses
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
from torchvision.models.feature_extraction import create_feature_extractor

from detect import load_detector
from detect.detections import Detections
from detect.errors import WeightsError
from detect.retinanet.backbones import build_body, probe, resolve_norm
from detect.retinanet.checkpoint import Description, load_model, save_weights
from detect.retinanet.detector import TorchDetector
from detect.retinanet.model import RetinaNet, load_backbone
from detect.runtime.retinanet import AnchorGrid
from detect.training.classifier.architectures import build_network
from detect.training.timm_networks import colors_of, synchronized

SMALL = "timm/test_resnet"  # a third of a million weights


def stirred(model: nn.Module) -> nn.Module:
    """Statistics as after training: else a difference in them would not show."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]  # None without statistics
            nn.init.uniform_(module.weight, 0.8, 1.2)
    return model


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("resnet18", (128, 256, 512)),
        ("mobilenet_v3_small", (24, 48, 576)),
        ("shufflenet_v2_x0_5", (48, 96, 1024)),
        ("regnet_y_400mf", (104, 208, 440)),
        (SMALL, (48, 192, 96)),
        ("timm/test_efficientnet.r160_in1k", (32, 48, 64)),
        ("timm/test_convnext", (32, 48, 64)),
        ("timm/lcnet_035", (48, 88, 176)),
    ],
)
def test_maps_at_strides_of_8_16_and_32(name: str, channels: tuple[int, ...]) -> None:
    assert probe(name).channels == channels
    body, built = build_body(name, norm=resolve_norm(name, "auto", is_pretrained=False))
    assert built == channels
    with torch.no_grad():
        shapes = [tuple(each.shape) for each in body.eval()(torch.rand(1, 3, 96, 32))]
    assert shapes == [
        (1, width, 96 // stride, 32 // stride) for width, stride in zip(channels, (8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("resnet18", ("layer2", "layer3", "layer4")),
        ("mobilenet_v3_small", ("features.3", "features.8", "features.12")),
    ],
)
def test_the_layers_of_torchvision_answer_what_its_own_extractor_answers(
    name: str, nodes: tuple[str, ...], tmp_path: Path
) -> None:
    theirs = stirred(torchvision.models.get_model(name, weights=None)).eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    model = RetinaNet(classes=2, backbone=name, channels=64).eval()
    load_backbone(model, str(tmp_path / "theirs.pth"), backbone=name)
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        expected = create_feature_extractor(theirs, list(nodes))(images)
        for one, other in zip(model.backbone.body(images), expected.values(), strict=True):
            torch.testing.assert_close(one, other)


def timm_maps(model: Any, images: Tensor) -> list[Tensor]:
    maps: list[Tensor] = model.forward_intermediates(images, intermediates_only=True)[-3:]
    return maps


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("name", [SMALL, "timm/test_convnext", "timm/test_efficientnet"])
def test_a_file_of_timms_fills_a_backbone(name: str, suffix: str, tmp_path: Path) -> None:
    called = name.removeprefix("timm/")
    theirs = stirred(timm.create_model(called)).eval()
    file = tmp_path / f"theirs.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(theirs.state_dict(), file)
    model = RetinaNet(classes=2, backbone=name, norm=resolve_norm(name, "auto", is_pretrained=True), channels=64).eval()
    load_backbone(model, str(file), backbone=name)
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        expected = timm_maps(theirs, images)
        for one, other in zip(model.backbone.body(images), expected, strict=True):
            torch.testing.assert_close(one, other)


def test_each_normalization_is_what_it_says(tmp_path: Path) -> None:
    torch.save(stirred(timm.create_model("test_resnet")).state_dict(), tmp_path / "w.pth")
    images = torch.rand(2, 3, 64, 64)
    answers = {}
    for norm in ("frozen", "batch", "group"):
        model = RetinaNet(classes=2, backbone=SMALL, norm=norm, channels=64)
        load_backbone(model, str(tmp_path / "w.pth"), backbone=SMALL)
        body = model.backbone.body
        before = copy.deepcopy(body.state_dict())
        answers[norm] = body.train()(images)[-1]
        learns = any(
            "running" in key and not torch.equal(before[key], value) for key, value in body.state_dict().items()
        )
        assert learns is (norm == "batch")
        assert any("running" in key for key in before) is (norm != "group")
        if norm == "frozen":
            torch.testing.assert_close(answers[norm], body.eval()(images)[-1])
        if norm == "group":  # a picture's answer is its own
            torch.testing.assert_close(answers[norm][:1], body(images[:1])[-1], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(answers["frozen"], answers["batch"])


def test_normalization_that_rectifies_too_goes_on_rectifying() -> None:
    """timm writes BatchNorm and what follows it as one layer in some networks."""
    images = torch.rand(2, 3, 64, 64)
    batch = build_body("timm/test_efficientnet", norm="batch")[0].eval()
    frozen = build_body("timm/test_efficientnet", norm="frozen")[0]
    frozen.load_state_dict({key: value for key, value in batch.state_dict().items() if key in frozen.state_dict()})
    for one, other in zip(frozen(images), batch(images), strict=True):
        torch.testing.assert_close(one, other)
    group = build_body("timm/test_efficientnet", norm="group")[0]
    acts = [sum(hasattr(module, "act") for module in body.modules()) for body in (batch, frozen, group)]
    assert acts[0] == acts[1] == acts[2] > 5


def test_synchronized_normalization_keeps_what_follows_it() -> None:
    for name in ("timm/test_efficientnet", "resnet18"):
        body = build_body(name, norm="batch")[0]
        acts = sum(hasattr(module, "act") for module in body.modules())
        turned = synchronized(body)
        assert any(isinstance(module, nn.SyncBatchNorm) for module in turned.modules())
        assert not any(isinstance(module, nn.BatchNorm2d) for module in turned.modules())
        assert sum(hasattr(module, "act") for module in turned.modules()) == acts


def test_a_classifier_trained_here_fills_a_backbone(tmp_path: Path) -> None:
    network = build_network("xception", classes=2, size=64)
    save_file(network.state_dict(), tmp_path / "c.safetensors")
    model = RetinaNet(classes=2, backbone="timm/legacy_xception", norm="frozen", channels=64)
    load_backbone(model, str(tmp_path / "c.safetensors"), backbone="timm/legacy_xception")
    assert torch.equal(
        model.backbone.body.state_dict()["body.conv4.conv1.weight"], network.state_dict()["body.conv4.conv1.weight"]
    )
    assert colors_of("timm/legacy_xception") == ((0.5,) * 3, (0.5,) * 3)
    assert colors_of("resnet18") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def about() -> Description:
    return Description(
        names=("RED", "BLUE"), size=64, backbone=SMALL, norm="batch", head_norm=True, channels=64, box_loss="l1",
        grid=AnchorGrid.standard(16), mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3),
    )  # fmt: skip


@pytest.fixture(scope="module")
def weights(about: Description, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(2)
    model = about.build()
    stirred(model)
    nn.init.normal_(model.head.classification_head.cls_logits.weight, std=0.05)
    nn.init.zeros_(model.head.classification_head.cls_logits.bias)
    file = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_weights(file, model, about)
    return file


def test_both_ways_through_torch_agree(weights: Path, about: Description) -> None:
    assert load_model(weights)[1] == about
    pictures = [np.random.default_rng(seed).integers(0, 256, (64, 80, 3), np.uint8) for seed in (1, 2)]
    kept: dict[str, float] = {"min_score": 0.5, "iou_threshold": 1.0}
    found: list[list[Detections]] = [
        detector.detect(pictures)
        for detector in (
            load_detector(weights, precision="f32", **kept),  # type: ignore[arg-type]  # of a mapping
            TorchDetector(weights, device="cpu", precision="f32", **kept),  # type: ignore[arg-type]
        )
    ]
    for mine in found[1:]:
        for one, other in zip(found[0], mine, strict=True):
            assert len(one) == len(other) > 3
            np.testing.assert_allclose(np.sort(one.scores), np.sort(other.scores), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vgg", r"no network of torchvision's is called 'vgg'"),
        ("timm/vgg", r"no network of torchvision's is called 'timm/vgg'"),
        ("timm/hf-hub:someone/something", r"no network"),  # which timm would download
        ("timm/../resnet18", r"no network"),
        ("vit_b_16", r"vit_b_16 is a network of another shape: .* \(Wrong image height"),
        ("swin_t", r"swin_t is a network of another shape: .* \(they lie at 0"),
        ("timm/test_vit", r"timm/test_vit is a network of another shape: .* \(they lie at 16, 16, 16\)"),
        ("timm/test_mambaout", r"another shape: .* \(pictures of 64 x 96 make maps of \[\(8, 12, 32\)"),
    ],
)
def test_networks_of_another_shape(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        probe(name)


def test_normalization_that_a_network_cannot_have() -> None:
    assert resolve_norm("timm/test_convnext", "auto", is_pretrained=True) == "own"
    assert resolve_norm(SMALL, "auto", is_pretrained=True) == "frozen"
    assert resolve_norm(SMALL, "auto", is_pretrained=False) == "batch"
    with pytest.raises(ValueError, match="test_convnext has no BatchNorm: its normalisation is own, not frozen"):
        build_body("timm/test_convnext", norm="frozen")
    with pytest.raises(
        ValueError, match="normalises by BatchNorm: its normalisation is frozen, batch or group, not own"
    ):
        resolve_norm("resnet18", "own", is_pretrained=False)


def test_weights_that_do_not_fit(weights: Path, about: Description, tmp_path: Path) -> None:
    torch.save(timm.create_model("test_efficientnet").state_dict(), tmp_path / "other.pth")
    model = about.build()
    with pytest.raises(
        WeightsError, match=r"other\.pth: not the weights of a timm/test_resnet with this normalisation"
    ):
        load_backbone(model, str(tmp_path / "other.pth"), backbone=SMALL)
    with pytest.raises(WeightsError, match="these are torchvision's weights, and there are none of timm/test_resnet"):
        load_backbone(model, "imagenet", backbone=SMALL)
    told = about.metadata()
    told["architecture"] = told["architecture"].replace(SMALL, "timm/hf-hub:a/b")
    with pytest.raises(WeightsError, match=r"w: the file does not describe a RetinaNet of ours: .*hf-hub"):
        Description.from_metadata(told, source="w")
    state = load_model(weights)[0].state_dict()
    told["architecture"] = about.metadata()["architecture"].replace(SMALL, "timm/test_vit")
    save_file(state, tmp_path / "v.safetensors", told)
    with pytest.raises(
        WeightsError, match=r"v\.safetensors: the weights are not those of the network it describes: .*shape"
    ):
        load_model(tmp_path / "v.safetensors")


def test_a_network_that_a_file_does_not_hold_is_never_built(
    about: Description, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_weights(tmp_path / "w.safetensors", about.build(), dataclasses.replace(about, backbone="resnet152"))
    devices: list[str] = []

    def build(self: Description, real: Callable[[Description], RetinaNet] = Description.build) -> RetinaNet:
        model = real(self)
        devices.append(next(model.parameters()).device.type)
        return model

    monkeypatch.setattr(Description, "build", build)
    with pytest.raises(
        WeightsError, match=r"w\.safetensors: the weights are not those of .* in the file, and .* in the network"
    ):
        load_model(tmp_path / "w.safetensors")
    assert devices == ["meta"]
