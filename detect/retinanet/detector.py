"""Trained weights at work on a device of torch's: bytes go there, and nothing but boxes comes back."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops.misc import FrozenBatchNorm2d

from detect.detections import RGBImage
from detect.errors import EngineError, InferenceError
from detect.retinanet.backbones import Stages
from detect.retinanet.inference import TorchSession
from detect.retinanet.model import Outputs, find_boxes
from detect.runtime.head import Candidates
from detect.runtime.letterbox import Letterbox
from detect.runtime.onnx_detector import OnnxDetector
from detect.runtime.retinanet import refuse_nonsense
from detect.training.normalization import normalize

__all__ = ["TorchDetector"]


class TorchDetector(OnnxDetector):
    """A RetinaNet that normalises, runs, decodes and suppresses on a device.

    Pictures are fitted on the processor by the thread that asks; everything on the device happens in one thread of the
    detector's own. A recorded CUDA graph belongs to the thread that recorded it, and its memory to one run at a time.

    Attributes:
        engine: ``torch``.
        precision: ``f32`` or ``bf16``.
    """

    engine: ClassVar[str] = "torch"

    def __init__(
        self,
        path: str | Path,
        *,
        device: str = "cuda",
        precision: str = "auto",
        compiled: bool = False,
        min_score: float = 0.05,
        iou_threshold: float = 0.45,
        max_detections: int = 300,
        batch_size: int = 8,
    ) -> None:
        """Load weights onto a device and run them once, so that what cannot run is found before a picture comes.

        Args:
            path: A safetensors file that training wrote.
            device: As torch names it: ``cuda``, ``cuda:1``, ``cpu``.
            precision: ``f32``, without TF32, or ``bf16``; ``auto`` is bf16 on CUDA devices that compute in it.
            compiled: Compile the network and record it as a CUDA graph, which takes a minute or more. Every run is then
                of `batch_size` pictures; where fewer are left, the last one is repeated.
            min_score: See `OnnxDetector`, as for the rest.
            iou_threshold: In [0, 1].
            max_detections: At most this many boxes a picture.
            batch_size: At most this many pictures in one run of the network.

        Raises:
            WeightsError: The file cannot be read, or describes no RetinaNet.
            EngineError: There is no such device, or it does not compute in `precision` or cannot run the network.
            ValueError: An argument is out of its range.
        """
        if precision not in ("auto", "f32", "bf16"):
            raise ValueError(f"torch computes in f32 or bf16, not in {precision!r}")
        self._device, has_bf16 = _find_device(device, str(path))
        if precision == "auto":
            precision = "bf16" if has_bf16 and self._device.type != "cpu" else "f32"
        if precision == "bf16" and not has_bf16:
            raise EngineError(f"{path}: the device {device} has no bfloat16 instructions; run it in f32")
        session = TorchSession(path)
        super().__init__(
            session, source=str(path), min_score=min_score, iou_threshold=iou_threshold,
            max_detections=max_detections, batch_size=batch_size,
        )  # fmt: skip
        self.precision = precision
        self._mean, self._std = session.description.mean, session.description.std
        self._compiled = compiled
        self._turn = ThreadPoolExecutor(1, "torch")
        _simplify(session.model, bf16=self.precision == "bf16")
        try:
            self._model = session.model.to(self._device).to(memory_format=torch.channels_last)
            self._network: Any = self._model
            if compiled:
                self._network = torch.compile(self._model, mode="reduce-overhead", dynamic=False)
            self._turn.submit(self._find, self._batch(1, *self._size), 1).result()
        except RuntimeError as error:  # of memory that does not suffice, too
            raise EngineError(f"{path}: torch cannot run the network on {device}: {_reason(error)}") from error

    def _run(self, images: Sequence[RGBImage], fits: Sequence[Letterbox]) -> list[Candidates]:
        height, width, count = fits[0].input_height, fits[0].input_width, len(images)
        try:
            batch = self._batch(count, height, width)
            pixels = batch.numpy()
            for place, (image, fit) in enumerate(zip(images, fits, strict=True)):
                pixels[place] = fit.pixels(image)
            pixels[count:] = pixels[count - 1]
            rows, peaks = self._turn.submit(self._find, batch, count).result()
        except RuntimeError as error:
            what = f"{count} pictures of {height} x {width}"
            raise InferenceError(f"{self._source}: the network failed on {what}: {_reason(error)}") from error
        refuse_nonsense(peaks[:1], peaks[1:], self._source)
        edges = np.searchsorted(rows[:, 6], np.arange(1, count))
        return [
            Candidates(np.ascontiguousarray(part[:, :4]), part[:, 4].copy(), part[:, 5].astype(np.int64))
            for part in np.split(rows, edges)
        ]

    def _batch(self, wanted: int, height: int, width: int) -> Tensor:
        """Room for pictures, uint8 (B, H, W, 3), where a CUDA device can fetch them by itself."""
        shape = (self._batch_size if self._compiled else wanted, height, width, 3)
        return torch.empty(shape, dtype=torch.uint8, pin_memory=self._device.type == "cuda")

    @torch.no_grad()  # not inference_mode: anchors are kept, and training in the same process could not use them
    def _find(self, batch: Tensor, wanted: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network on the device.

        Args:
            batch: See `_batch`.
            wanted: How many of its pictures are asked for, from the first on.

        Returns:
            A row for each box that is left after suppression, picture by picture and best score first: xyxy, score,
            label, position of the picture. And the greatest absolute values of all logits and of all deltas, which are
            finite if all of them are.
        """
        pixels = batch.to(self._device, non_blocking=True).permute(0, 3, 1, 2)  # so it is channels-last already
        images = normalize(pixels, self._mean, self._std)
        with (
            torch.backends.cudnn.flags(enabled=True, benchmark=self._compiled, allow_tf32=False),
            torch.autocast(self._device.type, torch.bfloat16, enabled=self.precision == "bf16"),
        ):
            outputs = Outputs(*(output[:wanted].float() for output in self._network(images)))
        peaks = torch.stack([output.abs().amax() for output in outputs])
        found, picture = find_boxes(
            outputs, self._model.anchors(images), min_score=self.min_score, iou_threshold=self._iou_threshold,
            top_k=self._top_k,
        )  # fmt: skip
        columns = [found.xyxy, *(values.float()[:, None] for values in (found.scores, found.labels, picture))]
        return torch.cat(columns, dim=1).cpu().numpy(), peaks.cpu().numpy()


def _find_device(device: str, source: str) -> tuple[torch.device, bool]:
    """A device by its name, and whether it computes in bfloat16; a processor always does, if only slowly.

    Raises:
        EngineError: There is none of that name; the reason is torch's own.
    """
    try:
        found = torch.empty(0, device=device).device  # with its number: each thread has another idea of which is meant
        if found.type == "cpu":
            return found, True
        with torch.cuda.device(found):
            return found, torch.cuda.is_bf16_supported(including_emulation=False)
    except (RuntimeError, AssertionError, NotImplementedError, ValueError) as error:
        raise EngineError(f"{source}: torch cannot use the device {device}: {_reason(error)}") from error


def _simplify(model: nn.Module, *, bf16: bool) -> None:
    """Do once what is the same at every run: normalise by statistics that stay, and round weights.

    Only where layers are known to run in the order in which they are listed.
    """
    for module in model.modules():
        in_order = isinstance(module, nn.Sequential | Stages | BasicBlock | Bottleneck)
        children: list[tuple[str, Any]] = list(module.named_children()) if in_order else []
        for (_, conv), (name, norm) in pairwise(children):
            if type(conv) is nn.Conv2d and type(norm) in (nn.BatchNorm2d, FrozenBatchNorm2d):
                conv.weight, conv.bias = fuse_conv_bn_weights(
                    conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
                )
                setattr(module, name, nn.Identity())
    for module in model.modules():
        if bf16 and isinstance(module, nn.Conv2d):
            module.bfloat16()


def _reason(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
