"""What a detector is and what it answers.

Coordinates, here and everywhere: pixels of the upright picture (EXIF orientation applied), x to the right, y down,
boxes as ``xyxy``, half-open (a box ``0, 0, 2, 3`` covers two columns and three rows), float32. A box may reach beyond
the picture; it is cut where pixels are made of it, not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Detections", "Detector", "RGBImage"]

_T = TypeVar("_T", bound=np.generic)

RGBImage = NDArray[np.uint8]
"""An upright picture: uint8, shape (H, W, 3), red first."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes with their scores and labels; immutable, checked when made, ordered as the detector gave them.

    Attributes:
        xyxy: Boxes, float32, shape (N, 4), with ``x0 <= x1`` and ``y0 <= y1``.
        scores: float32, shape (N,), each in [0, 1].
        labels: int64, shape (N,), positions in `names`.
        names: Every label that the detector can give, without repetition.

    Raises:
        ValueError: A shape, a value or an order that breaks the above, said with the first offending row.
    """

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        xyxy = _frozen(self.xyxy, np.float32, (0, 4))
        scores = _frozen(self.scores, np.float32, (0,))
        given = np.asarray(self.labels)
        if given.size and given.dtype.kind not in "iu":  # .9 would become the first name without a word
            raise ValueError(f"labels must be whole numbers, not {given.dtype}")
        labels = _frozen(given, np.int64, (0,))
        names = tuple(self.names)
        if xyxy.ndim != 2 or xyxy.shape[1] != 4:
            raise ValueError(f"xyxy must have shape (N, 4), not {xyxy.shape}")
        n = len(xyxy)
        if scores.shape != (n,) or labels.shape != (n,):
            raise ValueError(f"{n} boxes need {n} scores and {n} labels, not {scores.shape} and {labels.shape}")
        _refuse(np.any(~np.isfinite(xyxy), axis=1), xyxy, "xyxy must be finite")
        _refuse(np.any(xyxy[:, 2:] < xyxy[:, :2], axis=1), xyxy, "xyxy must have x0 <= x1 and y0 <= y1")
        _refuse(~((scores >= 0) & (scores <= 1)), scores, "scores must lie in [0, 1]")
        _refuse((labels < 0) | (labels >= len(names)), labels, f"labels must be positions among {len(names)} names")
        if len(set(names)) != len(names):
            raise ValueError(f"names must not repeat: {names}")
        for field, value in (("xyxy", xyxy), ("scores", scores), ("labels", labels), ("names", names)):
            object.__setattr__(self, field, value)

    @classmethod
    def empty(cls, names: Sequence[str]) -> Detections:
        """Nothing found, by a detector that knows `names`."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64), tuple(names))

    @classmethod
    def concatenate(cls, parts: Sequence[Detections]) -> Detections:
        """All boxes of `parts`, in order.

        Raises:
            ValueError: There are no parts, or they differ in their names.
        """
        if len({part.names for part in parts}) != 1:
            raise ValueError("detections to be joined must share one tuple of names")
        return cls(
            np.concatenate([part.xyxy for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.labels for part in parts]),
            parts[0].names,
        )

    def __len__(self) -> int:
        return len(self.scores)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detections):
            return NotImplemented
        return (
            self.names == other.names
            and np.array_equal(self.xyxy, other.xyxy)
            and np.array_equal(self.scores, other.scores)
            and np.array_equal(self.labels, other.labels)
        )

    __hash__ = None  # type: ignore[assignment]  # equality is by content, and content is arrays

    def __getitem__(self, index: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Detections:
        """The rows that a mask, an array of positions or a slice picks, in that order."""
        return Detections(self.xyxy[index], self.scores[index], self.labels[index], self.names)

    def label(self, row: int) -> str:
        """The name of a row's label."""
        return self.names[int(self.labels[row])]

    def by_score(self) -> Detections:
        """The same rows, best score first; equal scores keep their order."""
        return self[np.argsort(-self.scores, kind="stable")]


@runtime_checkable
class Detector(Protocol):
    """Anything that turns pictures into boxes; keeps no state between calls, and may be called from several threads.

    A detector that drops boxes below some score should show that score as an attribute ``min_score``, so that a policy
    asking for less can be refused instead of silently not met.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Every label that `detect` can give."""
        ...

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Find body parts.

        Args:
            images: Upright pictures, uint8 RGB of shape (H, W, 3); sizes may differ.

        Returns:
            One entry a picture, in the order given, boxes in that picture's pixels.

        Raises:
            DetectError: The network failed or answered nonsense; there is no partial answer.
        """
        ...


def _frozen(values: ArrayLike, dtype: type[_T], empty: tuple[int, ...]) -> NDArray[_T]:
    array = np.array(values, dtype=dtype, copy=True)
    if array.size == 0 and array.ndim == 1 and len(empty) > 1:
        array = array.reshape(empty)
    array.flags.writeable = False
    return array


def _refuse(wrong: NDArray[np.bool_] | np.bool_, values: NDArray[np.generic], why: str) -> None:
    if np.any(wrong):
        row = int(np.argmax(wrong))
        raise ValueError(f"{why}; row {row} is {values[row].tolist()}")
