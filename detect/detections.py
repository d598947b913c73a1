"""What a detector is and what it answers.

Coordinates, here and everywhere: pixels of the upright picture (EXIF orientation applied), x to the right, y down,
boxes as ``xyxy``, half-open (a box ``0, 0, 2, 3`` covers two columns and three rows), float32. A box may reach beyond
the picture; it is cut where pixels are made of it, not before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Detections",
    "Detector",
    "HasEngine",
    "HasFiles",
    "HasMinScore",
    "HasModels",
    "HasSpareFactor",
    "RGBImage",
    "Row",
]

_T = TypeVar("_T", bound=np.generic)

RGBImage = NDArray[np.uint8]
"""An upright picture: uint8, shape (H, W, 3), red first."""

Row: TypeAlias = tuple[
    NDArray[np.float32], NDArray[np.bool_] | None, np.float32, np.int64, np.int64 | None, dict[str, str]
]
"""One detection, in the order that users of `supervision` unpack: xyxy (4,), mask (H, W) or None, score, label, track
id or None, and the label's name as ``{"class_name": name}``."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes with their scores and labels; immutable, checked when made, ordered as the detector gave them.

    Attributes:
        xyxy: Boxes, float32, shape (N, 4), with ``x0 <= x1`` and ``y0 <= y1``.
        scores: float32, shape (N,), each in [0, 1].
        labels: int64, shape (N,), positions in `names`.
        names: Every label that the detector can give, without repetition.
        masks: The pixels of each, bool, shape (N, H, W), H and W those of the picture; None where nobody knows.
        track_ids: int64, shape (N,): which of them are one thing through time; None where nobody knows.

    Raises:
        ValueError: A shape, a value or an order that breaks the above, said with the first offending row.
    """

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    masks: NDArray[np.bool_] | None = None
    track_ids: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        xyxy = _frozen(self.xyxy, np.float32, (0, 4))
        scores = _frozen(self.scores, np.float32, (0,))
        labels = _whole(self.labels, "labels")
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
        if self.masks is not None:
            object.__setattr__(self, "masks", _checked_masks(self.masks, n))
        if self.track_ids is not None:
            track_ids = _whole(self.track_ids, "track_ids")
            if track_ids.shape != (n,):
                raise ValueError(f"{n} boxes need {n} track_ids, not {track_ids.shape}")
            object.__setattr__(self, "track_ids", track_ids)

    @classmethod
    def empty(cls, names: Sequence[str]) -> Detections:
        """Nothing found, by a detector that knows `names`."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64), tuple(names))

    @classmethod
    def concatenate(cls, parts: Sequence[Detections]) -> Detections:
        """All boxes of `parts`, in order.

        Raises:
            ValueError: There are no parts, they differ in their names, or only some of those with boxes have masks or
                track ids, or masks of one size.
        """
        if len({part.names for part in parts}) != 1:
            raise ValueError("detections to be joined must share one tuple of names")
        return cls(
            np.concatenate([part.xyxy for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.labels for part in parts]),
            parts[0].names,
            _all_or_none([part.masks for part in parts if len(part)], "masks"),
            _all_or_none([part.track_ids for part in parts if len(part)], "track_ids"),
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
            and _equal(self.masks, other.masks)
            and _equal(self.track_ids, other.track_ids)
        )

    __hash__ = None  # type: ignore[assignment]  # equality is by content, and content is arrays

    def __iter__(self) -> Iterator[Row]:
        """One tuple a row, as `supervision` gives them: see `Row`."""
        for row in range(len(self)):
            mask = None if self.masks is None else self.masks[row]
            track_id = None if self.track_ids is None else self.track_ids[row]
            yield self.xyxy[row], mask, self.scores[row], self.labels[row], track_id, {"class_name": self.label(row)}

    def __getitem__(
        self, index: int | np.integer[Any] | slice | Sequence[int] | NDArray[np.bool_] | NDArray[np.integer[Any]]
    ) -> Detections:
        """The rows that a position, a slice, a mask or positions pick, in that order; of one position, a single row.

        Raises:
            IndexError: A position without a row, or a mask of another length.
        """
        rows: Any = [int(index)] if isinstance(index, int | np.integer) else index
        masks = None if self.masks is None else self.masks[rows]
        track_ids = None if self.track_ids is None else self.track_ids[rows]
        return Detections(self.xyxy[rows], self.scores[rows], self.labels[rows], self.names, masks, track_ids)

    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return len(self) == 0

    def replace(self, **values: Any) -> Detections:  # this class's own fields, checked when it is made
        """The same with other values: ``found.replace(scores=found.scores / 2)``.

        Who moves or scales the boxes says ``masks=None`` or gives others: masks lie in the same picture.

        Raises:
            ValueError: What breaks the contract of the class.
            TypeError: A field that there is not.
        """
        return dataclasses.replace(self, **values)

    def label(self, row: int) -> str:
        """The name of a row's label."""
        return self.names[int(self.labels[row])]

    def by_score(self) -> Detections:
        """The same rows, best score first; equal scores keep their order."""
        return self[np.argsort(-self.scores, kind="stable")]


@runtime_checkable
class Detector(Protocol):
    """Anything that turns pictures into boxes; keeps no state between calls, and may be called from several threads.

    These two members are all that it needs. What it may say of itself besides are `HasMinScore`, `HasSpareFactor` and
    `HasEngine`; `detect.tiling.lowest_score` and `detect.reduction.spare_factor` ask, and know what to take for granted
    where it does not say.
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


@runtime_checkable
class HasMinScore(Protocol):
    """A detector that drops boxes below some score, so that a policy asking for less can be refused.

    One that does not say is taken to report everything.
    """

    @property
    def min_score(self) -> float:
        """The lowest score that is reported, in [0, 1]."""
        ...


@runtime_checkable
class HasModels(Protocol):
    """A detector that says which models it asks, for verdicts and reports; nothing depends on it."""

    @property
    def models(self) -> Mapping[str, tuple[str, ...]]:
        """Each model's name, to those of its labels that are reported."""
        ...


@runtime_checkable
class HasFiles(Protocol):
    """A network that says which files its models were loaded from, for records; nothing depends on it."""

    @property
    def files(self) -> Mapping[str, str]:
        """Each model's name, to the path of its file."""
        ...


@runtime_checkable
class HasSpareFactor(Protocol):
    """A detector that shrinks pictures itself, so that less of them need be decoded.

    One that does not say needs all.
    """

    def spare_factor(self, height: int, width: int) -> float:
        """By how much a picture of so many rows and columns is shrunk, 1 or more if it is."""
        ...


@runtime_checkable
class HasEngine(Protocol):
    """A detector that says what runs it, for people and for reports; nothing depends on it."""

    @property
    def engine(self) -> str:
        """``onnxruntime``, ``openvino`` or ``torch``."""
        ...

    @property
    def precision(self) -> str:
        """What the network computes in: ``f32``, ``bf16``, ``int8``, or ``mixed`` where nobody can say."""
        ...


def _whole(values: ArrayLike, name: str) -> NDArray[np.int64]:
    given = np.asarray(values)
    if given.size and given.dtype.kind not in "iu":  # .9 would become the first name without a word
        raise ValueError(f"{name} must be whole numbers, not {given.dtype}")
    return _frozen(given, np.int64, (0,))


def _checked_masks(values: ArrayLike, count: int) -> NDArray[np.bool_]:
    given = np.asarray(values)
    if given.dtype != np.bool_:  # probabilities of a mask would all become true
        raise ValueError(f"masks must be bool, not {given.dtype}")
    if given.ndim != 3 or len(given) != count:
        raise ValueError(f"{count} boxes need masks of shape ({count}, H, W), not {given.shape}")
    return _frozen(given, np.bool_, (0, 0, 0))


def _all_or_none(parts: Sequence[NDArray[_T] | None], name: str) -> NDArray[_T] | None:
    given = [part for part in parts if part is not None]
    if not given:
        return None
    if len(given) < len(parts) or len({part.shape[1:] for part in given}) > 1:
        raise ValueError(f"detections to be joined must all have {name} of one size, or none")
    return np.concatenate(given)


def _equal(one: NDArray[np.generic] | None, other: NDArray[np.generic] | None) -> bool:
    return other is None if one is None else other is not None and np.array_equal(one, other)


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
