"""What a classifier is and what it answers: how likely a picture as a whole is NSFW, and where that comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from detect.detections import RGBImage

__all__ = ["Classifier", "HasFreeHeat", "HasMaps", "Scores", "heat_is_free", "maps_of"]


@dataclass(frozen=True, eq=False)
class Scores:
    """One classifier's answer about one picture; immutable, checked when made.

    Attributes:
        values: One probability for each of `names`: float32, shape (K,), each in [0, 1].
        names: What the classifier can say of a picture, without repetition.
        nsfw: Those of `names` that add up to the probability that the picture is NSFW; at least one.
        heat: What each cell of a grid laid over the whole picture says by itself: the probability of NSFW if all of the
            picture were as it is. float32, shape (h, w), each in [0, 1]; None where the network cannot tell, or
            nobody asked.

    Raises:
        ValueError: A shape or a value that breaks the above.
    """

    values: NDArray[np.float32]
    names: tuple[str, ...]
    nsfw: tuple[str, ...]
    heat: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        names, nsfw = tuple(self.names), tuple(self.nsfw)
        values = _probabilities(self.values, "values")
        if not names or len(set(names)) != len(names):
            raise ValueError(f"names must be given, each once, not {names}")
        if values.shape != (len(names),):
            raise ValueError(f"{len(names)} names need {len(names)} values, not {values.shape}")
        if not nsfw or len(set(nsfw)) != len(nsfw) or not set(nsfw) <= set(names):
            raise ValueError(f"nsfw must be some of {names}, each once, not {nsfw}")
        given = {"values": values, "names": names, "nsfw": nsfw}
        if self.heat is not None:
            heat = _probabilities(self.heat, "heat")
            if heat.ndim != 2 or 0 in heat.shape:
                raise ValueError(f"heat must have shape (h, w), not {heat.shape}")
            given["heat"] = heat
        for name, value in given.items():
            object.__setattr__(self, name, value)

    @property
    def probability(self) -> float:
        """That the picture is NSFW, in [0, 1]."""
        return min(1.0, float(sum(self.values[self.names.index(name)] for name in self.nsfw)))

    def value(self, name: str) -> float:
        """The probability of one of `names`.

        Raises:
            ValueError: It is none of them.
        """
        return float(self.values[self.names.index(name)])


@runtime_checkable
class Classifier(Protocol):
    """Anything that says how likely pictures are NSFW.

    Keeps no state between calls, and may be called from several threads.
    """

    @property
    def name(self) -> str:
        """What policies, reasons and reports call it."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """What it can say of a picture, such as ``("sfw", "nsfw")``."""
        ...

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        """Say how likely pictures are NSFW.

        Args:
            images: Upright pictures, uint8 RGB of shape (H, W, 3); sizes may differ.
            heat: Whether maps are wanted, which may take a second run of the network.

        Returns:
            One entry a picture, in the order given, each with this classifier's own `names`.

        Raises:
            DetectError: The network failed or answered nonsense; there is no partial answer.
        """
        ...


@runtime_checkable
class HasFreeHeat(Protocol):
    """A classifier that says whether its maps come with its scores; one that does not say runs again for them."""

    @property
    def heat_is_free(self) -> bool:
        """Whether asking for maps takes no further run of the network."""
        ...


@runtime_checkable
class HasMaps(Protocol):
    """A classifier that can be asked for maps alone, which costs less than scores and maps together."""

    def maps(self, images: Sequence[RGBImage]) -> list[NDArray[np.float32] | None]:
        """What `Classifier.classify` answers as `Scores.heat` where that is asked for."""
        ...


def maps_of(classifier: Classifier, images: Sequence[RGBImage]) -> list[NDArray[np.float32] | None]:
    """The maps of pictures whose scores are known.

    Args:
        classifier: Says where.
        images: As for `Classifier.classify`.

    Raises:
        DetectError: The network failed or answered nonsense.
    """
    if isinstance(classifier, HasMaps):
        return classifier.maps(images)
    return [each.heat for each in classifier.classify(images, heat=True)]


def heat_is_free(classifier: object) -> bool:
    """Whether a classifier's maps may be asked for before anybody knows that they are wanted."""
    return isinstance(classifier, HasFreeHeat) and classifier.heat_is_free


def _probabilities(values: object, name: str) -> NDArray[np.float32]:
    array = np.array(values, dtype=np.float32, copy=True)
    if not ((array >= 0) & (array <= 1)).all():
        raise ValueError(f"{name} must lie in [0, 1]")
    array.flags.writeable = False
    return array
