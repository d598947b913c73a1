"""Weights on disk, out to ONNX, and at work through `load_detector`."""

from __future__ import annotations

import builtins
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file
from torch import nn

from detect import WeightsError, load_detector
from detect.__main__ import main
from detect.errors import DetectError, InferenceError
from detect.pictures.rgb import read_rgb
from detect.retinanet import export as export_module
from detect.retinanet.checkpoint import Description, load_model, save_weights
from detect.retinanet.export import export_onnx
from detect.retinanet.inference import TorchSession, predict_dataset
from detect.retinanet.model import RetinaNet, load_backbone
from detect.runtime.onnx_detector import OnnxDetector
from detect.runtime.retinanet import AnchorGrid, RetinaNetHead
from detect.training.checkpoint import load_state, restore, save_state
from detect.training.classifier.architectures import build_network
from detect.training.ema import Ema

Squares = Callable[..., tuple[Path, Path]]


def assert_same(one: nn.Module, other: nn.Module) -> None:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def description(**changes: object) -> Description:
    values: dict[str, Any] = {
        "names": ("RED", "BLUE"), "size": 96, "backbone": "timm/test_resnet", "norm": "batch", "head_norm": True,
        "channels": 64, "box_loss": "l1", "grid": AnchorGrid.standard(16),
    }  # fmt: skip
    return Description(**(values | changes))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network whose scores vary, so that it finds boxes."""
    torch.manual_seed(2)
    about = description(thresholds={"RED": 0.4}, metrics={"ap": 0.5})
    model = about.build()
    nn.init.normal_(model.head.classification_head.cls_logits.weight, std=0.05)
    nn.init.zeros_(model.head.classification_head.cls_logits.bias)
    path = tmp_path_factory.mktemp("weights") / "best.safetensors"
    save_weights(path, model, about)
    return path


@pytest.fixture(scope="module")
def said(weights: Path, squares: Squares) -> tuple[Result, Result]:
    """What `python -m detect export` answers where a file stands, and where that may be replaced."""
    target = weights.parent / "model.onnx"
    target.write_bytes(b"")
    arguments = ["export", str(weights), str(target), "--images", str(squares(2)[1])]
    return CliRunner().invoke(main, arguments), CliRunner().invoke(main, [*arguments, "--overwrite"])


@pytest.fixture(scope="module")
def exported(weights: Path, said: tuple[Result, Result]) -> Path:
    """By the command, since an export takes most of a minute."""
    assert said[1].exit_code == 0, said[1].output
    return weights.parent / "model.onnx"


def test_the_export_command(said: tuple[Result, Result]) -> None:
    refused, done = said
    assert (refused.exit_code, "add --overwrite" in refused.output) == (1, True)
    assert done.exit_code == 0, done.output
    agrees = re.search(r"to (\S+) on 2 pictures", done.output)
    assert agrees is not None
    assert float(agrees[1]) < 1e-3


def test_weights_round_trip(weights: Path) -> None:
    model, about = load_model(weights)
    assert about == description(thresholds={"RED": 0.4}, metrics={"ap": 0.5})
    assert not model.training
    other = weights.with_name("again.safetensors")
    save_weights(other, model, about)
    assert_same(model, load_model(other)[0])


def test_metadata_of_the_onnx_file(exported: Path) -> None:
    metadata = {prop.key: prop.value for prop in onnx.load(exported, load_external_data=False).metadata_props}
    assert metadata["head"] == "retinanet"
    assert json.loads(metadata["names"]) == ["RED", "BLUE"]
    assert (metadata["imgsz"], metadata["stride"]) == ("96", "32")
    assert json.loads(metadata["anchors"])["strides"] == [8, 16, 32, 64, 128]
    assert json.loads(metadata["normalisation"]) == {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    assert json.loads(metadata["thresholds"]) == {"RED": 0.4}


def test_torch_and_onnx_find_the_same_through_load_detector(weights: Path, exported: Path, squares: Squares) -> None:
    pictures = [read_rgb(path) for path in sorted(squares(5, seed=4)[1].glob("*.png"))]
    one, other = (load_detector(path, min_score=0.5, precision="f32") for path in (weights, exported))
    assert one.names == other.names == ("RED", "BLUE")
    found, expected = one.detect(pictures), other.detect(pictures)
    assert sum(map(len, found)) > 10
    for a, b in zip(found, expected, strict=True):
        assert len(a) == len(b)
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-4)
        # Boxes whose scores differ by less than that may come in another order.
        near = np.abs(a.xyxy[:, None] - b.xyxy[None]).max(axis=2) <= 1e-2
        alike = near & (a.labels[:, None] == b.labels[None]) & (np.abs(a.scores[:, None] - b.scores[None]) <= 1e-4)
        assert alike.any(axis=1).all()
        assert alike.any(axis=0).all()


def test_a_detector_and_a_validation_run_agree(weights: Path, squares: Squares) -> None:
    from detect.annotations import load_coco

    data = load_coco(*squares(3, seed=8))
    model, about = load_model(weights)
    found = predict_dataset(model, data, description=about, min_score=0.7, iou_threshold=1.0, batch_size=2)
    detector = load_detector(weights, min_score=0.7, iou_threshold=1.0)
    for position in range(3):
        expected = detector.detect([read_rgb(data.images[position].path)])[0]
        # Without suppression: one suppresses boxes before it cuts them to the input, the other after, as torchvision.
        assert min(len(found[position]), len(expected)) > 150
        np.testing.assert_allclose(found[position].xyxy[:20], expected.xyxy[:20], atol=1e-2)
    assert set(predict_dataset(model, data, description=about, share=(1, 2))) == {1}


def test_an_export_that_differs_is_not_written(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: Path
) -> None:
    monkeypatch.setattr(export_module, "_convert", lambda *_, **__: exported.read_bytes())
    model, about = load_model(weights)
    with torch.no_grad():
        model.head.regression_head.bbox_reg.bias += 1
    other = tmp_path / "other.safetensors"
    save_weights(other, model, about)
    with pytest.raises(DetectError, match=r"answers differ by"):
        export_onnx(other, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_without_torch_the_error_says_what_to_install(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_torch(name: str, *args: Any, **kwargs: Any) -> object:
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "detect.retinanet.inference")
    monkeypatch.setattr(builtins, "__import__", without_torch)
    with pytest.raises(WeightsError, match=r"torch is missing: pip install 'nsfw-censor\[train\]'"):
        load_detector(weights)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("head", "fcos", r"metadata key 'head' must be 'yolov8', 'retinanet' or 'centerface', found 'fcos'"),
        ("anchors", None, r"metadata key 'anchors' is missing"),
        ("anchors", "[1]", r"metadata key 'anchors' must hold lists sizes, ratios, strides"),
        ("anchors", '{"sizes": [[32]], "ratios": [1], "strides": [8, 16]}', r"one stride and as many sizes"),
        ("anchors", '{"sizes": [["x"]], "ratios": [1], "strides": [8]}', r"must hold numbers"),
        ("anchors", '{"sizes": [[32]], "ratios": [1], "strides": [1e999]}', r"must hold numbers"),
        ("anchors", '{"sizes": [[1e999]], "ratios": [1], "strides": [8]}', r"finite sizes, ratios and strides above 0"),
        ("anchors", '{"sizes": [[32]], "ratios": [-1], "strides": [8]}', r"finite sizes, ratios and strides above 0"),
        ("anchors", '{"sizes": [[], []], "ratios": [1], "strides": [8, 16]}', r"finite sizes"),
        ("anchors", '{"sizes": [[9, 9]], "ratios": [1], "strides": [1]}', r"more boxes than an input has pixels"),
        ("imgsz", "100000", r"'imgsz' must be one or two sizes of 1 to 4096 pixels"),
        ("normalisation", '{"mean": [0, 0, 0], "std": [1, 0, 1]}', r"deviations above 0"),
        ("normalisation", '{"mean": [0, 1e999, 0], "std": [1, 1, 1]}', r"all finite"),
        ("normalisation", '{"mean": [0, 0], "std": [1, 1]}', r"3 means"),
    ],
)
def test_metadata_that_is_wrong(weights: Path, key: str, value: str | None, message: str) -> None:
    session = TorchSession(weights)
    session.metadata.pop(key)
    session.metadata |= {key: value} if value is not None else {}
    with pytest.raises(WeightsError, match=message):
        OnnxDetector(session, source="model.onnx")


def test_a_head_of_another_shape_is_refused() -> None:
    head = RetinaNetHead(classes=2, grid=AnchorGrid.standard(), mean=[0] * 3, std=[1] * 3, source="model.onnx")
    anchors = len(AnchorGrid.standard().boxes(64, 64))
    wrong = [np.zeros((1, anchors, 3), np.float32), np.zeros((1, anchors, 4), np.float32)]
    with pytest.raises(InferenceError, match=r"model.onnx: expected logits and deltas of shapes"):
        head.decode(wrong, (1, 3, 64, 64), min_score=0.1, top_k=5)


@pytest.mark.parametrize("cut", [4, 1000, -10])
def test_a_damaged_weights_file(weights: Path, tmp_path: Path, cut: int) -> None:
    damaged = tmp_path / "cut.safetensors"
    damaged.write_bytes(weights.read_bytes()[:cut])
    with pytest.raises(WeightsError, match=r"cut.safetensors"):
        load_detector(damaged)


def test_weights_of_another_network(weights: Path, tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match=r"metadata key 'head' must be 'retinanet', found None"):
        load_model(tmp_path / "x.safetensors")
    save_weights(tmp_path / "y.safetensors", description().build(), description(head_norm=False))
    with pytest.raises(WeightsError, match=r"not those of the network it describes"):
        load_model(tmp_path / "y.safetensors")
    with pytest.raises(WeightsError, match=r"weights alone cannot be resumed"):
        load_state(weights)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_state_is_restored_bit_by_bit(tmp_path: Path, kind: str) -> None:
    def steps(count: int, model: nn.Module, optimizer: torch.optim.Optimizer, ema: Ema[nn.Module], start: int) -> None:
        for step in range(start, start + count):
            loss = model(torch.rand(4, 3, generator=torch.Generator().manual_seed(step))).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            ema.update(model, step=step)

    def fresh(seed: int) -> tuple[nn.Module, torch.optim.Optimizer, Ema[nn.Module]]:
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        make: Any = {"sgd": partial_sgd, "adamw": torch.optim.AdamW}[kind]
        return model, make(model.parameters(), lr=0.1), Ema(model, decay=0.9)

    def partial_sgd(parameters: Any, lr: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=lr, momentum=0.9)

    model, optimizer, ema = fresh(0)
    steps(3, model, optimizer, ema, 0)
    file = tmp_path / "state.safetensors"
    save_state(file, model=model, ema=ema.model, optimizer=optimizer, progress={"step": 3})
    noise = torch.rand(2)
    steps(3, model, optimizer, ema, 3)

    again, its_optimizer, its_ema = fresh(1)
    tensors, metadata, progress = load_state(file)
    restore(tensors, metadata, model=again, ema=its_ema.model, optimizer=its_optimizer)
    assert progress == {"step": 3}
    assert torch.equal(torch.rand(2), noise)
    steps(3, again, its_optimizer, its_ema, 3)
    for one, other in ((model, again), (ema.model, its_ema.model)):
        assert_same(one, other)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_a_restored_state_is_laid_out_as_the_weights_are(
    tmp_path: Path, kind: Callable[..., torch.optim.Optimizer]
) -> None:
    def fresh() -> tuple[nn.Conv2d, torch.optim.Optimizer]:
        model = nn.Conv2d(4, 3, 3).to(memory_format=torch.channels_last)
        return model, kind(model.parameters(), lr=0.1, **({"momentum": 0.9} if kind is torch.optim.SGD else {}))

    model, optimizer = fresh()
    model(torch.rand(1, 4, 5, 5)).sum().backward()
    optimizer.step()
    save_state(tmp_path / "s.safetensors", model=model, ema=fresh()[0], optimizer=optimizer, progress={})
    tensors, metadata, _ = load_state(tmp_path / "s.safetensors")
    again, its_optimizer = fresh()
    restore(tensors, metadata, model=again, ema=fresh()[0], optimizer=its_optimizer)
    before, after = optimizer.state[model.weight], its_optimizer.state[again.weight]
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(after[name], value)
        assert value.ndim == 0 or after[name].stride() == again.weight.stride()


def test_backbones_from_files(weights: Path, tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(3)
    plain = resnet18(weights=None)
    torch.save(plain.state_dict(), tmp_path / "resnet18.pth")
    for norm in ("batch", "frozen"):
        model = RetinaNet(classes=2, backbone="resnet18", norm=norm)
        load_backbone(model, str(tmp_path / "resnet18.pth"), backbone="resnet18")
        assert torch.equal(model.backbone.state_dict()["body.conv1.weight"], plain.conv1.weight)
        assert torch.equal(model.backbone.state_dict()["body.bn1.running_var"], plain.bn1.running_var)
    classifier = build_network("resnet18", classes=2, size=64)
    save_file(classifier.state_dict(), tmp_path / "classifier.safetensors")
    model = RetinaNet(classes=2, backbone="resnet18", norm="frozen")
    load_backbone(model, str(tmp_path / "classifier.safetensors"), backbone="resnet18")
    last = classifier.state_dict()["body.layer4.1.conv2.weight"]
    assert torch.equal(model.backbone.state_dict()["body.layer4.1.conv2.weight"], last)
    fine_tuned = RetinaNet(classes=5, backbone="timm/test_resnet", channels=64)
    load_backbone(fine_tuned, str(weights), backbone="timm/test_resnet")
    source = load_model(weights)[0]
    assert torch.equal(fine_tuned.backbone.fpn.inner_blocks[0][0].weight, source.backbone.fpn.inner_blocks[0][0].weight)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the backbone's weights"),
        ({"conv1.weight": torch.zeros(64, 3, 7, 7)}, "'bn1.weight' is missing"),
        ({"x": 3}, "expected a state_dict of tensors"),
    ],
)
def test_backbones_that_do_not_fit(tmp_path: Path, content: object, message: str) -> None:
    file = tmp_path / "backbone.pth"
    if content is not None:
        torch.save(content, file)
    with pytest.raises(WeightsError, match=message):
        load_backbone(RetinaNet(classes=2, backbone="resnet18"), str(file), backbone="resnet18")


def test_a_deeper_network_does_not_fit(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.save(resnet18(weights=None).state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(WeightsError, match="not the weights of a resnet50"):
        load_backbone(RetinaNet(classes=2, backbone="resnet50"), str(tmp_path / "resnet18.pth"), backbone="resnet50")


def test_imagenet_weights_are_those_that_torchvision_hands_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import ResNet18_Weights, resnet18

    plain = resnet18(weights=None)
    asked: list[Any] = []

    def told(self: object, **how: object) -> Any:
        asked.append((self, how))
        return plain.state_dict()

    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", told)
    model = RetinaNet(classes=2, backbone="resnet18", norm="frozen")
    load_backbone(model, "imagenet", backbone="resnet18")
    assert asked == [(ResNet18_Weights.DEFAULT, {"progress": True, "check_hash": True})]
    assert torch.equal(model.backbone.state_dict()["body.layer4.1.conv2.weight"], plain.layer4[1].conv2.weight)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("imgsz", "100000", r"'imgsz' must be one or two sizes of 1 to 4096 pixels"),
        ("anchors", '{"sizes": [[9, 9]], "ratios": [1], "strides": [1]}', r"more boxes than an input has pixels"),
        ("architecture", '{"channels": 10000000}', r"10000000 channels is none of ours"),
    ],
)
def test_weights_that_no_machine_has_room_for_are_refused(weights: Path, key: str, value: str, message: str) -> None:
    described = load_model(weights)[1].metadata()
    if key == "architecture":
        value = json.dumps(json.loads(described[key]) | json.loads(value))
    with pytest.raises(WeightsError, match=message):
        Description.from_metadata(described | {key: value}, source="x")
