"""A `Detector` made of an ONNX file and nothing else: names, size and stride come from the file's own metadata."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detect import boxes
from detect.detections import Detections, RGBImage
from detect.errors import WeightsError
from detect.runtime.centerface import CenterFaceHead
from detect.runtime.head import Candidates, Head
from detect.runtime.letterbox import Letterbox
from detect.runtime.metadata import MODEL_NAME, check_input, read_choice, read_names, read_size, read_stride
from detect.runtime.retinanet import RetinaNetHead
from detect.runtime.sessions import OnnxRuntimeSession, Session
from detect.runtime.yolo import YoloV8Head

__all__ = ["OnnxDetector"]


class OnnxDetector:
    """Runs a self-describing network with a head that is known here: YOLOv8's, RetinaNet's, or CenterFace's.

    Attributes:
        name: What its file calls itself in its metadata, if that is a name; else the file's name without its ending.
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
        read_choice(session.metadata, "task", ("detect",), source, default="detect")
        read_choice(session.metadata, "layout", ("NCHW",), source, default="NCHW")
        resize = read_choice(session.metadata, "resize", ("letterbox", "stretch"), source, default="letterbox")
        self._is_bgr = read_choice(session.metadata, "color", ("RGB", "BGR"), source, default="RGB") == "BGR"
        self.names = read_names(session.metadata, source)
        name = session.metadata.get("name", "")
        self.name = name if MODEL_NAME.fullmatch(name) else Path(source).stem
        self._head = _read_head(session.metadata, classes=len(self.names), source=source)
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
        check_input(session.input_shape, source)
        self._batch_size = batch or batch_size
        self._fixed_batch = batch is not None
        self._fixed_size = sides[0] is not None and sides[1] is not None
        self._size = (sides[0] or 0, sides[1] or 0) if self._fixed_size else read_size(session.metadata, source)
        stride = read_stride(session.metadata, source)
        self._stride = math.lcm(stride, session.step)
        self._stretch = stride if resize == "stretch" else 1
        if not self._fixed_size:  # pictures are padded up to the stride
            check_input((batch, 3, *(-(-side // self._stride) * self._stride for side in self._size)), source)

    @property
    def models(self) -> Mapping[str, tuple[str, ...]]:
        """This one, to all its labels."""
        return {self.name: self.names}

    @property
    def files(self) -> Mapping[str, str]:
        """Where the network came from."""
        return {self.name: self._source}

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
                kept = self._run([images[p] for p in part], [fits[p] for p in part])
                found |= {p: self._read(read, fits[p]) for p, read in zip(part, kept, strict=True)}
        return [found[position] for position in range(len(images))]

    def spare_factor(self, height: int, width: int) -> float:
        """By how much a picture of so many rows and columns is shrunk for the network: see `detect.reduction`."""
        fit = self.letterbox(height, width)
        return min(fit.height / fit.rows, fit.width / fit.columns)

    def prepare(self, image: RGBImage) -> NDArray[np.float32]:
        """What the network is given for one picture: float32, (B, 3, H, W), B = 1 unless the network fixes it."""
        return self._fed(np.stack([self._fit(image, 0).apply(image)]))

    def _fed(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the network is given for pictures (B, 3, H, W), RGB in [0, 1]."""
        batch = self._filled(batch)
        return self._head.prepare(np.ascontiguousarray(batch[:, ::-1]) if self._is_bgr else batch)

    def _fit(self, image: RGBImage, position: int) -> Letterbox:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise ValueError(
                f"image {position} must be uint8 of shape (H, W, 3) and not empty, not {image.dtype} {image.shape}"
            )
        return self.letterbox(*image.shape[:2])

    def letterbox(self, height: int, width: int) -> Letterbox:
        """Where a picture of so many rows and columns lies in what the network is given."""
        fixed = self._fixed_size or self._head.square
        return Letterbox.fit(height, width, size=self._size, stride=self._stride, fixed=fixed, stretch=self._stretch)

    @property
    def _top_k(self) -> int:
        # Ten candidates for each box that may be kept: suppression rarely removes more, and its cost is bounded.
        return 10 * self._max_detections

    def _run(self, images: Sequence[RGBImage], fits: Sequence[Letterbox]) -> list[Candidates]:
        """What is left in each picture after suppression, best score first, for pictures that are letterboxed alike."""
        batch = self._fed(np.stack([fit.apply(image) for image, fit in zip(images, fits, strict=True)]))
        outputs = [np.asarray(output) for output in self._session.run(batch)]
        found = self._head.decode(outputs, batch.shape, min_score=self.min_score, top_k=self._top_k)[: len(images)]
        kept = (boxes.nms(*each, iou_threshold=self._iou_threshold) for each in found)
        return [
            Candidates(each.xyxy[keep], each.scores[keep], each.labels[keep])
            for each, keep in zip(found, kept, strict=True)
        ]

    def _filled(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """As many pictures as a network with a fixed batch wants, the last one repeated."""
        if not self._fixed_batch or len(batch) == self._batch_size:
            return batch
        return np.concatenate([batch, np.repeat(batch[-1:], self._batch_size - len(batch), axis=0)])

    def _read(self, found: Candidates, fit: Letterbox) -> Detections:
        xyxy = boxes.clip(fit.restore(found.xyxy), width=fit.width, height=fit.height)
        # What lay wholly in the padding is nowhere in the picture.
        keep = np.flatnonzero(boxes.area(xyxy) > 0)[: self._max_detections]
        return Detections(xyxy[keep], found.scores[keep], found.labels[keep], self.names)


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


def _read_head(metadata: Mapping[str, str], *, classes: int, source: str) -> Head:
    name = metadata.get("head", "yolov8")  # which says nothing of it in its files
    if name == "yolov8":
        return YoloV8Head(classes=classes, source=source)
    if name == "retinanet":
        return RetinaNetHead.from_metadata(metadata, classes=classes, source=source)
    if name == "centerface":
        if classes != 1:
            raise WeightsError(f"{source}: a CenterFace head knows one label, metadata key 'names' lists {classes}")
        return CenterFaceHead(source=source)
    raise WeightsError(f"{source}: metadata key 'head' must be 'yolov8', 'retinanet' or 'centerface', found {name!r}")
