"""A `Detector` made of an ONNX file and nothing else: names, size and stride come from the file's own metadata."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detect import boxes
from detect.detections import Detections, RGBImage
from detect.errors import InferenceError, WeightsError
from detect.labels import canonical
from detect.runtime.letterbox import Letterbox
from detect.runtime.sessions import OnnxRuntimeSession, Session
from detect.runtime.yolo import decode_yolov8

__all__ = ["OnnxDetector"]


class OnnxDetector:
    """Runs a self-describing YOLOv8-style network.

    Attributes:
        names: The network's labels, older spellings brought up to date.
        min_score: Boxes that score less are not reported.
    """

    def __init__(
        self,
        session: Session,
        *,
        source: str = "model",
        min_score: float = 0.05,
        iou_threshold: float = 0.45,
        max_detections: int = 300,
        batch_size: int = 8,
    ) -> None:
        """Check that the network describes itself.

        Args:
            session: The loaded network.
            source: Where it came from; named in errors.
            min_score: In [0, 1]. Keep it at or below the lowest threshold that the boxes are judged by.
            iou_threshold: In [0, 1]. Of two boxes of one label that overlap by more, the better is kept.
            max_detections: At most this many boxes a picture, the best ones.
            batch_size: At most this many pictures in one run of the network.

        Raises:
            WeightsError: The metadata or the shapes are not those of a detector that this class can run.
            ValueError: An argument is out of its range.
        """
        if not 0 <= min_score <= 1 or not 0 <= iou_threshold <= 1:
            raise ValueError(f"min_score and iou_threshold lie in [0, 1], not {min_score} and {iou_threshold}")
        if max_detections < 1 or batch_size < 1:
            raise ValueError(f"max_detections and batch_size are at least 1, not {max_detections} and {batch_size}")
        self._session = session
        self._source = source
        self.names = _read_names(session.metadata, source)
        self.min_score = min_score
        self._iou_threshold = iou_threshold
        self._max_detections = max_detections
        batch, channels, *sides = session.input_shape
        if channels not in (None, 3):
            raise WeightsError(f"{source}: expected an input of 3 colour channels, found {channels}")
        if 0 in session.input_shape or (sides[0] is None) != (sides[1] is None):
            raise WeightsError(
                f"{source}: expected an input whose height and width are both fixed or both free, "
                f"found {session.input_shape}"
            )
        self._batch_size = batch or batch_size
        self._fixed_batch = batch is not None
        self._fixed_size = sides[0] is not None and sides[1] is not None
        self._size = (sides[0] or 0, sides[1] or 0) if self._fixed_size else _read_size(session.metadata, source)
        self._stride = _read_stride(session.metadata, source)

    @classmethod
    def from_file(
        cls, path: str | Path, *, threads: int = 0, min_score: float = 0.05, iou_threshold: float = 0.45
    ) -> OnnxDetector:
        """Load an ONNX file; see the constructor.

        Raises:
            WeightsError: The file cannot be read, is damaged, or is not a detector that this class can run.
        """
        model = read_weights(Path(path))
        session = OnnxRuntimeSession(model, source=str(path), threads=threads)
        return cls(session, source=str(path), min_score=min_score, iou_threshold=iou_threshold)

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """See `Detector.detect`. Pictures that are letterboxed alike run as one batch."""
        fits = [self._fit(image, position) for position, image in enumerate(images)]
        alike: dict[tuple[int, int], list[int]] = defaultdict(list)
        for position, fit in enumerate(fits):
            alike[fit.input_height, fit.input_width].append(position)
        found: dict[int, Detections] = {}
        for positions in alike.values():
            for start in range(0, len(positions), self._batch_size):
                part = positions[start : start + self._batch_size]
                outputs = self._run(np.stack([fits[p].apply(images[p]) for p in part]))
                found |= {p: self._read(output, fits[p]) for p, output in zip(part, outputs, strict=True)}
        return [found[position] for position in range(len(images))]

    def _fit(self, image: RGBImage, position: int) -> Letterbox:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise ValueError(
                f"image {position} must be uint8 of shape (H, W, 3) and not empty, not {image.dtype} {image.shape}"
            )
        height, width = image.shape[:2]
        return Letterbox.fit(height, width, size=self._size, stride=self._stride, fixed=self._fixed_size)

    def _run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        wanted = len(batch)
        if self._fixed_batch and wanted < self._batch_size:
            batch = np.concatenate([batch, np.repeat(batch[-1:], self._batch_size - wanted, axis=0)])
        output = np.asarray(self._session.run(batch)[0])
        expected = (len(batch), 4 + len(self.names))
        if output.dtype != np.float32 or output.ndim != 3 or output.shape[:2] != expected:
            raise InferenceError(
                f"{self._source}: expected a float32 YOLOv8 head of shape ({expected[0]}, {expected[1]}, anchors) "
                f"for {len(self.names)} names, the network answered {output.dtype} {output.shape}"
            )
        if not np.isfinite(output).all():
            raise InferenceError(f"{self._source}: the network answered values that are not finite")
        scores = output[:, 4:]
        if ((scores < 0) | (scores > 1)).any():  # logits: whatever lies below zero would pass for nothing found
            raise InferenceError(
                f"{self._source}: the network answered scores outside [0, 1]: {scores.min()} to {scores.max()}"
            )
        if (output[:, 2:4] < 0).any():
            raise InferenceError(f"{self._source}: the network answered boxes of negative width or height")
        return output[:wanted]

    def _read(self, output: NDArray[np.float32], fit: Letterbox) -> Detections:
        # Ten candidates for each box that may be kept: suppression rarely removes more, and its cost is bounded.
        found = decode_yolov8(output, min_score=self.min_score, top_k=10 * self._max_detections)
        keep = boxes.nms(found.xyxy, found.scores, found.labels, iou_threshold=self._iou_threshold)
        xyxy = boxes.clip(fit.restore(found.xyxy[keep]), width=fit.width, height=fit.height)
        inside = boxes.area(xyxy) > 0  # what lay wholly in the padding is nowhere in the picture
        keep, xyxy = keep[inside][: self._max_detections], xyxy[inside][: self._max_detections]
        return Detections(xyxy, found.scores[keep], found.labels[keep], self.names)


def read_weights(path: Path) -> bytes:
    """The bytes of a model file.

    Raises:
        WeightsError: The file cannot be read or is empty.
    """
    try:
        model = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot read the weights: {error.strerror or error}") from error
    if not model:
        raise WeightsError(f"{path}: the weights file is empty")
    return model


def _literal(metadata: Mapping[str, str], key: str, source: str) -> object:
    if key not in metadata:
        raise WeightsError(
            f"{source}: the model does not describe itself: metadata key {key!r} is missing "
            f"(found: {', '.join(sorted(metadata)) or 'none'})"
        )
    try:
        return ast.literal_eval(metadata[key])
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise WeightsError(f"{source}: metadata key {key!r} is not readable: {metadata[key][:80]!r}") from error


def _read_names(metadata: Mapping[str, str], source: str) -> tuple[str, ...]:
    value = _literal(metadata, "names", source)
    if isinstance(value, dict):
        if sorted(value, key=str) != sorted(range(len(value)), key=str):
            raise WeightsError(f"{source}: metadata key 'names' must number its labels 0..{len(value) - 1}: {value}")
        value = [value[position] for position in range(len(value))]
    if not isinstance(value, list | tuple) or not value or not all(isinstance(name, str) and name for name in value):
        raise WeightsError(f"{source}: metadata key 'names' must list labels, found {value!r}")
    names = tuple(canonical(name) for name in value)
    if len(set(names)) != len(names):
        raise WeightsError(f"{source}: metadata key 'names' gives one label twice: {value}")
    return names


def _read_size(metadata: Mapping[str, str], source: str) -> tuple[int, int]:
    value = _literal(metadata, "imgsz", source)
    sides = [value, value] if isinstance(value, int) else value
    if not isinstance(sides, list | tuple) or len(sides) != 2 or not all(isinstance(s, int) and s > 0 for s in sides):
        raise WeightsError(f"{source}: metadata key 'imgsz' must be one or two sizes in pixels, found {value!r}")
    return sides[0], sides[1]


def _read_stride(metadata: Mapping[str, str], source: str) -> int:
    value = _literal(metadata, "stride", source)
    if not isinstance(value, int) or value < 1:
        raise WeightsError(f"{source}: metadata key 'stride' must be a number of pixels, found {value!r}")
    return value
