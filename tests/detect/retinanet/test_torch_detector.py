"""Trained weights on a device of torch's: the boxes of the numpy path, and nothing silent where that cannot be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detect import load_detector
from detect.detections import Detections
from detect.errors import EngineError, InferenceError, WeightsError
from detect.load import _has_bf16
from detect.retinanet.checkpoint import Description, save_weights
from detect.retinanet.detector import TorchDetector
from detect.retinanet.inference import TorchSession
from detect.retinanet.model import Outputs, RetinaNet, find_boxes
from detect.runtime.onnx_detector import OnnxDetector
from detect.runtime.retinanet import AnchorGrid
from detect.tiling import LongDetector

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds a CUDA device")
devices = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
SIZES = ((96, 96), (200, 100), (50, 120), (96, 96), (33, 7), (400, 300), (96, 95))
EVERY: dict[str, Any] = {"min_score": 0.62, "max_detections": 3000}
"""A network that learnt nothing finds hundreds of boxes; none is cut off, as near the limit order would decide."""


@pytest.fixture(scope="module")
def save(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write an untrained network whose scores, boxes and statistics vary."""

    def write(change: Callable[[RetinaNet], object] = lambda _: None, *, norm: Any = "batch") -> Path:
        torch.manual_seed(2)
        about = Description(
            names=("RED", "BLUE"), size=96, backbone="resnet18", norm=norm, head_norm=True, channels=64, box_loss="l1",
            grid=AnchorGrid.standard(16),
        )  # fmt: skip
        model = about.build()
        nn.init.normal_(model.head.classification_head.cls_logits.weight, std=0.08)
        nn.init.zeros_(model.head.classification_head.cls_logits.bias)
        nn.init.normal_(model.head.regression_head.bbox_reg.weight, std=0.01)
        for key, values in model.state_dict().items():
            if key.endswith("running_mean"):
                nn.init.normal_(values, std=0.1)
            elif key.endswith("running_var"):
                nn.init.uniform_(values, 0.5, 1.5)
        with torch.no_grad():
            change(model)
        path = tmp_path_factory.mktemp("weights") / "w.safetensors"
        save_weights(path, model, about)
        return path

    return write


@pytest.fixture(scope="module")
def weights(save: Callable[..., Path]) -> Path:
    return save()


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Soft shapes of many sizes, two of them letterboxed alike."""
    rng = np.random.default_rng(0)
    return [np.kron(rng.integers(0, 256, (-(-h // 8), -(-w // 8), 3), np.uint8), np.ones((8, 8, 1), np.uint8))[:h, :w]
            for h, w in SIZES]  # fmt: skip


def in_numpy(path: Path, **options: Any) -> OnnxDetector:
    return OnnxDetector(TorchSession(path), source=str(path), **options)


def assert_alike(found: Sequence[Detections], expected: Sequence[Detections]) -> None:
    assert min(map(len, expected)) > 3
    for one, other in zip(found, expected, strict=True):
        assert len(one) == len(other) < 3000
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
        # Boxes whose scores differ by less than that may come in another order.
        near = np.abs(one.xyxy[:, None] - other.xyxy[None]).max(axis=2) <= 2e-2
        alike = near & (one.labels[:, None] == other.labels) & (np.abs(one.scores[:, None] - other.scores) <= 1e-4)
        assert alike.any(axis=1).all()
        assert alike.any(axis=0).all()


@devices
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_boxes_are_those_of_the_numpy_path(weights: Path, pictures: list[Any], device: str, batch_size: int) -> None:
    detector = TorchDetector(weights, device=device, precision="f32", **EVERY, batch_size=batch_size)
    assert (detector.names, detector.engine, detector.precision) == (("RED", "BLUE"), "torch", "f32")
    expected = in_numpy(weights, **EVERY).detect(pictures)
    assert_alike(detector.detect(pictures), expected)
    assert_alike(detector.detect(pictures[1:2]), expected[1:2])
    assert detector.detect([]) == []


@pytest.mark.parametrize("norm", ["frozen", "group"])
def test_boxes_with_any_normalization(save: Callable[..., Path], pictures: list[Any], norm: str) -> None:
    path = save(norm=norm)
    expected = in_numpy(path, **EVERY).detect(pictures)
    assert_alike(TorchDetector(path, device="cpu", precision="f32", **EVERY).detect(pictures), expected)


def test_a_few_boxes_are_the_best(weights: Path, pictures: list[Any]) -> None:
    many, few = (TorchDetector(weights, device="cpu", min_score=0.62, max_detections=n) for n in (300, 3))
    for whole, part in zip(many.detect(pictures), few.detect(pictures), strict=True):
        assert np.array_equal(part.xyxy, whole.xyxy[:3])


@devices
def test_bf16_finds_nearly_the_same(weights: Path, pictures: list[Any], device: str) -> None:
    """Without suppression, which of two like boxes is the better decides nothing."""
    open_handed: dict[str, Any] = {"min_score": 0.5, "iou_threshold": 1.0, "max_detections": 3000}
    detector = TorchDetector(weights, device=device, precision="bf16", **open_handed)
    assert detector.precision == "bf16"
    exact = in_numpy(weights, **open_handed).detect(pictures)
    moved = 0.0
    for picture, one, other in zip(pictures, detector.detect(pictures), exact, strict=True):
        apart = np.abs(other.xyxy[:30, None] - one.xyxy).max(axis=2)
        near = (apart <= 0.02 * max(picture.shape)) & (other.labels[:30, None] == one.labels)
        away = np.where(near, np.abs(other.scores[:30, None] - one.scores), 1).min(axis=1)
        assert away.max() < 0.02
        moved = max(moved, away.max())
    assert moved > 1e-5  # or it would have computed in f32


def spoil(value: float, head: str, layer: str) -> Callable[[RetinaNet], object]:
    return lambda model: getattr(getattr(model.head, head), layer).bias.fill_(value)


@pytest.mark.parametrize("precision", ["f32", "bf16"])
@pytest.mark.parametrize(
    ("value", "head", "layer", "message"),
    [
        (float("nan"), "classification_head", "cls_logits", "not finite"),
        (float("-inf"), "classification_head", "cls_logits", "not finite"),
        (float("nan"), "regression_head", "bbox_reg", "not finite"),
        (float("inf"), "regression_head", "bbox_reg", "not finite"),
        (-1e7, "regression_head", "bbox_reg", r"boxes that lie 1e\+06 anchors away"),
    ],
)
def test_answers_that_are_no_boxes(
    save: Callable[..., Path], pictures: list[Any], precision: str, value: float, head: str, layer: str, message: str
) -> None:
    detector = TorchDetector(save(spoil(value, head, layer)), device="cpu", precision=precision)
    with pytest.raises(InferenceError, match=rf"w\.safetensors: the network answered .*{message}"):
        detector.detect(pictures[:2])


def test_suppression_keeps_pictures_and_labels_apart_however_far_boxes_lie() -> None:
    """No two of a label overlap by .3, until some are moved upon others, or to where float32 has steps of 32."""
    anchors = torch.tensor([[591.0, 591, 640, 640], [-50, -50, -1, -1], [0, 0, 46, 46], [29, 0, 75, 46], [3e8] * 4])
    anchors[4, 2:] += 64
    logits = torch.full((2, 5, 2), -9.0)
    logits[:, [0, 1, 2, 3, 4], [0, 1, 1, 1, 0]] = torch.tensor([5.0, 4, 3, 2, 1])
    logits[1, 2, 1] = -9
    found, picture = find_boxes(
        Outputs(logits, torch.zeros(2, 5, 4)), anchors, min_score=0.5, iou_threshold=0.3, top_k=10
    )
    assert picture.tolist() == [0] * 5 + [1] * 4
    assert torch.equal(found.xyxy, anchors[[0, 1, 2, 3, 4, 0, 1, 3, 4]])
    assert found.labels.tolist() == [0, 1, 1, 1, 0, 0, 1, 1, 0]


def test_a_compiled_network_gets_whole_batches(
    weights: Path, pictures: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    def compile_(model: RetinaNet, **how: object) -> Callable[[Tensor], Outputs]:
        assert how == {"mode": "reduce-overhead", "dynamic": False}  # the mode with CUDA graphs

        def run(images: Tensor) -> Outputs:
            seen.append(images)
            outputs: Outputs = model(images)
            return outputs

        return run

    monkeypatch.setattr(torch, "compile", compile_)
    detector = TorchDetector(weights, device="cpu", precision="f32", compiled=True, **EVERY, batch_size=3)
    assert len(seen) == 1  # compiled before a picture comes
    assert_alike(detector.detect(pictures), in_numpy(weights, **EVERY).detect(pictures))
    assert [tuple(images.shape) for images in seen] == [(3, 3, 96, 96)] * 4
    assert all(images.is_contiguous(memory_format=torch.channels_last) for images in seen)
    assert torch.equal(seen[-1][0], seen[-1][1])
    assert torch.equal(seen[-1][0], seen[-1][2])
    assert not torch.equal(seen[1][0], seen[1][1])


@needs_cuda
def test_a_cuda_graph_runs_from_any_thread(weights: Path, pictures: list[Any]) -> None:
    detector = TorchDetector(weights, precision="f32", compiled=True, **EVERY, batch_size=3)
    expected = in_numpy(weights, **EVERY).detect(pictures)
    for found in from_threads(detector, pictures):
        assert_alike(found, expected)


def from_threads(detector: TorchDetector, pictures: list[Any]) -> list[list[Detections]]:
    answers: list[list[Detections]] = []
    threads = [threading.Thread(target=lambda: answers.append(detector.detect(pictures))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(answers) == len(threads)
    return answers


def test_threads_take_turns(weights: Path, pictures: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    detector = TorchDetector(weights, device="cpu", precision="f32", **EVERY)
    expected, network, names = detector.detect(pictures), detector._network, set()

    def run(images: Tensor) -> Outputs:
        names.add(threading.current_thread().name)
        outputs: Outputs = network(images)
        return outputs

    monkeypatch.setattr(detector, "_network", run)
    for found in from_threads(detector, pictures):
        assert_alike(found, expected)
    assert len(names) == 1


def test_a_device_without_room(weights: Path, pictures: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nmore")

    detector = TorchDetector(weights, device="cpu")
    monkeypatch.setattr(detector, "_network", out_of_memory)
    with pytest.raises(
        InferenceError, match=r"w\.safetensors: the network failed on 1 pictures of 96 x 96: CUDA out of .* MiB\.$"
    ):
        detector.detect(pictures[:1])
    monkeypatch.setattr(RetinaNet, "forward", out_of_memory)
    with pytest.raises(EngineError, match=r"w\.safetensors: torch cannot run the network on cpu: CUDA out of memory"):
        TorchDetector(weights, device="cpu")


@pytest.mark.parametrize("precision", ["auto", "f32", "bf16"])
@without_cuda
def test_without_a_cuda_device_nothing_runs(weights: Path, precision: str) -> None:
    with pytest.raises(EngineError, match=r"w\.safetensors: torch cannot use the device cuda: \w+"):
        load_detector(weights, provider="cuda", precision=precision)


def test_a_device_that_does_not_compute_in_bf16(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detect.retinanet.detector._find_device", lambda *_: (torch.device("cpu"), False))
    with pytest.raises(EngineError, match=r"w\.safetensors: the device cuda has no bfloat16 instructions"):
        TorchDetector(weights, precision="bf16")
    with pytest.raises(ValueError, match="f32 or bf16, not in 'int8'"):
        TorchDetector(weights, precision="int8")
    monkeypatch.undo()
    with pytest.raises(EngineError, match=r"torch cannot use the device abacus: "):
        TorchDetector(weights, device="abacus")


def test_what_runs_on_the_processor(weights: Path, pictures: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = LongDetector(in_numpy(weights)).detect(pictures)
    for precision in ("auto", "f32"):
        detector = load_detector(weights, precision=precision)
        assert (detector.engine, detector.precision) == ("torch", "f32")
        for one, other in zip(detector.detect(pictures), expected, strict=True):
            assert np.array_equal(one.xyxy, other.xyxy)
            assert np.array_equal(one.scores, other.scores)
    monkeypatch.setattr("detect.load._has_bf16", lambda: False)
    with pytest.raises(EngineError, match=r"w\.safetensors: this processor has no bfloat16 instructions"):
        load_detector(weights, precision="bf16")
    with pytest.raises(WeightsError, match=r"w\.safetensors: safetensors weights run on torch in f32 or bf16"):
        load_detector(weights, provider="tensorrt")


@pytest.mark.skipif(not _has_bf16(), reason="the processor has no bfloat16 instructions")
def test_bf16_on_the_processor(weights: Path, pictures: list[Any]) -> None:
    detector = load_detector(weights, precision="bf16", min_score=0.5)
    assert (detector.engine, detector.precision) == ("torch", "bf16")
    assert all(len(found) > 3 for found in detector.detect(pictures))
