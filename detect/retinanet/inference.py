"""Trained weights at work in torch: a `Session` like an ONNX file's, and whole data sets at once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from detect import boxes
from detect.annotations import CocoDataset
from detect.detections import Detections
from detect.errors import InferenceError
from detect.retinanet.checkpoint import Description, load_model
from detect.retinanet.dataset import PictureSet, collate, padded_rows
from detect.retinanet.model import RetinaNet
from detect.training.batches import worker_options
from detect.training.normalization import normalize

__all__ = ["TorchSession", "predict_dataset"]


class TorchSession:
    """A `detect.runtime.sessions.Session` on a safetensors file.

    The same `OnnxDetector` that runs an exported file runs this: one way to fit pictures, decode and suppress.

    Attributes:
        model: The network, in evaluation mode.
        description: What the file says of it.
    """

    engine: ClassVar[str] = "torch"
    precision: ClassVar[str] = "f32"
    step: ClassVar[int] = 1

    def __init__(self, path: str | Path) -> None:
        """Load weights.

        Args:
            path: A safetensors file that training wrote.

        Raises:
            WeightsError: The file cannot be read, or describes no RetinaNet.
        """
        self.model, self.description = load_model(path)
        self._source = str(path)
        self.metadata = self.description.metadata()
        self.input_shape: tuple[int | None, ...] = (None, 3, None, None)

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """See `Session.run`."""
        try:
            with torch.inference_mode():
                outputs = self.model(torch.from_numpy(batch))
        except RuntimeError as error:
            raise InferenceError(f"{self._source}: the network failed on {batch.shape}: {error}") from error
        return [output.numpy() for output in outputs]


def predict_dataset(
    model: RetinaNet,
    data: CocoDataset,
    *,
    description: Description,
    batch_size: int = 8,
    workers: int = 0,
    min_score: float = 0.01,
    iou_threshold: float = 0.5,
    bf16: bool = False,
    share: tuple[int, int] = (0, 1),
) -> dict[int, Detections]:
    """Find boxes in the pictures of a COCO file.

    Args:
        model: In evaluation mode.
        data: Pictures, labelled as the model's answers.
        description: What the model expects.
        batch_size: Pictures at once.
        workers: Processes that read pictures.
        min_score: As low as curves should reach.
        iou_threshold: Of suppression.
        bf16: Compute in bfloat16 where that is safe.
        share: (which, of how many): every so-manyth picture, for several processes.

    Returns:
        Boxes in each picture's own pixels, by position in `data`.
    """
    which, of = share
    positions = list(range(which, len(data), of))
    pictures = PictureSet(data, size=description.size, augment="none")
    device = next(model.parameters()).device
    loader = DataLoader(
        pictures,
        sampler=positions,
        batch_size=batch_size,
        collate_fn=partial(collate, rows=padded_rows(data)),
        pin_memory=device.type == "cuda",
        **worker_options(workers),
    )
    found: dict[int, Detections] = {}
    waiting = iter(positions)
    for batch in loader:
        images = normalize(batch.images.to(device, non_blocking=True), description.mean, description.std)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            answers = model.predict(images, min_score=min_score, iou_threshold=iou_threshold)
        for fit, answer in zip(batch.fits, answers, strict=True):
            xyxy = boxes.clip(fit.restore(answer.xyxy.cpu().numpy()), width=fit.width, height=fit.height)
            scores, labels = answer.scores.cpu().numpy(), answer.labels.cpu().numpy()
            inside = boxes.area(xyxy) > 0
            found[next(waiting)] = Detections(xyxy[inside], scores[inside], labels[inside], data.names)
    return found
