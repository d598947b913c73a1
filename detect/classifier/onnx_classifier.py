"""A `Classifier` made of an ONNX file and nothing else: all that it needs to know stands in the file's own metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from detect.classifier.fit import RESIZES, fed, inside, shrunk_by
from detect.classifier.scores import Scores
from detect.detections import RGBImage
from detect.errors import InferenceError, WeightsError
from detect.reduction import MARGIN
from detect.runtime.metadata import (
    MODEL_NAME,
    check_input,
    read_choice,
    read_literal,
    read_names,
    read_numbers,
    read_size,
)
from detect.runtime.sessions import Session

__all__ = ["OnnxClassifier"]

_ROUNDING = 1e-3
"""How far outside [0, 1] a probability may lie that was added up in float32 or rounded to bfloat16."""


class OnnxClassifier:
    """Runs a self-describing network that answers probabilities (B, K), and, if it can, a map (B, h, w).

    Attributes:
        name: What the file calls itself.
        names: What it can say of a picture.
        engine: What runs it.
        precision: What it computes in.
    """

    def __init__(self, session: Session, *, source: str = "model", batch_size: int = 8) -> None:
        """Check that the network describes itself.

        Args:
            session: The loaded network.
            source: Where it came from; named in errors.
            batch_size: At most this many pictures in one run of the network.

        Raises:
            WeightsError: The metadata or the shapes are not those of a classifier that this class can run.
            ValueError: `batch_size` is less than 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is at least 1, not {batch_size}")
        said = session.metadata
        self._session, self._source = session, source
        self.engine, self.precision = session.engine, session.precision
        read_choice(said, "task", ("classify",), source)
        read_choice(said, "layout", ("NCHW",), source, default="NCHW")
        self.name = _read_name(said, source)
        self.names = read_names(said, source)
        self._nsfw = read_names(said, source, key="nsfw")
        if not set(self._nsfw) <= set(self.names):
            raise WeightsError(f"{source}: metadata key 'nsfw' must hold some of {self.names}, found {self._nsfw}")
        self._resize = read_choice(said, "resize", RESIZES, source)
        self._is_bgr = read_choice(said, "color", ("RGB", "BGR"), source, default="RGB") == "BGR"
        self._mean = np.array(read_numbers(said, "mean", 3, source, default=0), np.float32)
        self._scale = np.array(read_numbers(said, "scale", 3, source, default=1), np.float32)
        self._size = read_size(said, source)
        self._heat_size = read_size(said, source, key="heat_imgsz") if "heat_imgsz" in said else self._size
        batch = self._check_shape(session.input_shape)
        self._batch_size, self._fixed_batch = batch or batch_size, batch is not None

    @property
    def files(self) -> Mapping[str, str]:
        """Where the network came from."""
        return {self.name: self._source}

    @property
    def heat_is_free(self) -> bool:
        """Whether the run that gives the scores gives the map, too: where both are of one size of input."""
        return self._heat_size == self._size

    def _check_shape(self, shape: tuple[int | None, ...]) -> int | None:
        """The batch that the network wants, None where it takes any."""
        batch, channels, *sides = shape
        if channels not in (None, 3) or 0 in shape:
            raise WeightsError(f"{self._source}: expected an input of shape (batch, 3, height, width), found {shape}")
        for key, size in (("imgsz", self._size), ("heat_imgsz", self._heat_size)):
            if any(side not in (None, wanted) for side, wanted in zip(sides, size, strict=True)):
                raise WeightsError(f"{self._source}: metadata key {key!r} says {size}, the network wants {sides}")
            check_input((batch, 3, *size), self._source)
        return batch

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        """See `Classifier.classify`. Where maps need another size of input, the network runs a second time for them."""
        found: list[Scores] = []
        for part in self._parts(images):
            found += self._classify(part, heat=heat)
        return found

    def maps(self, images: Sequence[RGBImage]) -> list[NDArray[np.float32] | None]:
        """See `HasMaps.maps`: one run of the network, of the size that maps need."""
        found: list[NDArray[np.float32] | None] = []
        for part in self._parts(images):
            found += self._laid_inside(self._run(part, self._heat_size)[1], part)
        return found

    def _parts(self, images: Sequence[RGBImage]) -> Iterator[Sequence[RGBImage]]:
        """As many pictures as go into one run, once all are known to be pictures."""
        for position, image in enumerate(images):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
                raise ValueError(
                    f"image {position} must be uint8 of shape (H, W, 3) and not empty, not {image.dtype} {image.shape}"
                )
        for start in range(0, len(images), self._batch_size):
            yield images[start : start + self._batch_size]

    def spare_factor(self, height: int, width: int) -> float:
        """By how much a picture of so many rows and columns is shrunk for the network: see `detect.reduction`.

        For maps no picture is enlarged, but none needs the margin that scores are given.
        """
        factor = shrunk_by(height, width, size=self._size, resize=self._resize)
        return min(factor, shrunk_by(height, width, size=self._heat_size, resize=self._resize) * MARGIN)

    def prepare(self, images: Sequence[RGBImage], *, size: tuple[int, int] | None = None) -> NDArray[np.float32]:
        """What the network is given for pictures: float32 (B, 3, H, W); the nominal size unless another is named."""
        batch = np.empty((len(images), 3, *(size or self._size)), np.float32)
        for image, colors in zip(images, batch, strict=True):
            # In planes from the first: transposing floats takes twenty times as long.
            planes = cv2.split(fed(image, size=size or self._size, resize=self._resize))
            ordered = planes[::-1] if self._is_bgr else planes
            for plane, mean, scale, color in zip(ordered, self._mean, self._scale, colors, strict=True):
                np.subtract(plane, mean, out=color)
                np.multiply(color, scale, out=color)
        return batch

    def outputs(self, images: Sequence[RGBImage]) -> list[NDArray[np.float32]]:
        """Every output of the network for pictures at the nominal size, unchecked, in the file's order.

        Args:
            images: As for `classify`; at least one.

        Raises:
            InferenceError: The network failed.
        """
        starts = range(0, len(images), self._batch_size)
        parts = [images[start : start + self._batch_size] for start in starts]
        answers = [[output[: len(part)] for output in self._answer(part, self._size)[0]] for part in parts]
        return [np.concatenate(each) for each in zip(*answers, strict=True)]

    def _classify(self, images: Sequence[RGBImage], *, heat: bool) -> list[Scores]:
        """Scores of as many pictures as go into one run, or fewer."""
        values, maps = self._run(images, self._size)
        if heat and maps is not None and not self.heat_is_free:
            maps = self._run(images, self._heat_size)[1]
        laid = self._laid_inside(maps if heat else None, images)
        return [Scores(each, self.names, self._nsfw, cells) for each, cells in zip(values, laid, strict=True)]

    def _laid_inside(
        self, maps: NDArray[np.float32] | None, images: Sequence[RGBImage]
    ) -> list[NDArray[np.float32] | None]:
        """The cells of maps that lie over their pictures, not over what these were padded with."""
        if maps is None:
            return [None] * len(images)
        size, resize = self._heat_size, self._resize
        return [
            inside(cells, *image.shape[:2], size=size, resize=resize) for cells, image in zip(maps, images, strict=True)
        ]

    def _run(
        self, images: Sequence[RGBImage], size: tuple[int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Probabilities (B, K) and maps (B, h, w), where the network has them."""
        outputs, batch = self._answer(images, size)
        shapes = [output.shape for output in outputs]
        fits = len(shapes) == 1 or (len(shapes) == 2 and len(shapes[1]) == 3 and 0 not in shapes[1])
        if not fits or any(shape[:1] != (batch,) for shape in shapes) or shapes[0][1:] != (len(self.names),):
            raise InferenceError(
                f"{self._source}: expected scores of shape ({batch}, {len(self.names)}) and at most "
                f"a map of shape ({batch}, rows, columns), the network answered {shapes}"
            )
        values, *maps = (self._probabilities(output[: len(images)]) for output in outputs)
        return values, maps[0] if maps else None

    def _answer(self, images: Sequence[RGBImage], size: tuple[int, int]) -> tuple[list[NDArray[np.float32]], int]:
        """Every output for as many pictures as go into one run, or fewer, and for how many it is."""
        batch = self.prepare(images, size=size)
        if self._fixed_batch and len(batch) < self._batch_size:  # the last one fills it up
            batch = np.concatenate([batch, np.repeat(batch[-1:], self._batch_size - len(batch), axis=0)])
        return [np.asarray(output) for output in self._session.run(batch)], len(batch)

    def _probabilities(self, output: NDArray[np.float32]) -> NDArray[np.float32]:
        if output.dtype != np.float32 or not ((output >= -_ROUNDING) & (output <= 1 + _ROUNDING)).all():
            raise InferenceError(
                f"{self._source}: expected probabilities in float32, "
                f"the network answered {output.dtype} from {output.min()} to {output.max()}"
            )
        return np.clip(output, 0, 1)


def _read_name(said: Mapping[str, str], source: str) -> str:
    name = said.get("name")
    if name is None:
        read_literal(said, "name", source)  # says what is missing
    if name is None or not MODEL_NAME.fullmatch(name):
        raise WeightsError(
            f"{source}: metadata key 'name' must be 1 to 64 letters, digits, dots, hyphens or underscores, "
            f"found {(name or '')[:80]!r}"
        )
    return name
