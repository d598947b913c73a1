"""What the last layer of a network promises: candidates for boxes, whatever the family of the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from detect.errors import InferenceError

__all__ = ["Candidates", "Head", "refuse_infinite"]


class Candidates(NamedTuple):
    """Boxes of one picture before suppression, in pixels of the network's input: (N, 4), (N,), (N,)."""

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]


class Head(Protocol):
    """How one family of networks wants its pictures and words its answer.

    Attributes:
        square: Pictures are padded to the whole of the nominal input, as they were in training, not to the next stride.
    """

    square: bool

    def prepare(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn pictures (B, 3, H, W), RGB in [0, 1], into what the network was trained on."""
        ...

    def decode(
        self, outputs: Sequence[NDArray[np.float32]], shape: tuple[int, ...], *, min_score: float, top_k: int
    ) -> list[Candidates]:
        """Read the candidates of a batch.

        Args:
            outputs: Everything the network answered, in the file's order.
            shape: Of the network's input, (B, 3, H, W).
            min_score: In [0, 1]; pairs of box and label that score less are dropped.
            top_k: At most this many pairs a picture are kept, the best ones.

        Returns:
            One entry a picture, best score first.

        Raises:
            InferenceError: The outputs do not have the shape that this head has, or their values make no sense.
        """
        ...


def refuse_infinite(outputs: Sequence[NDArray[np.float32]], source: str) -> None:
    """Raise where a network, named by `source`, answered values that are no numbers.

    Raises:
        InferenceError: It did.
    """
    if not all(np.isfinite(output).all() for output in outputs):
        raise InferenceError(f"{source}: the network answered values that are not finite")
