"""What all methods of a `Censor` work with, for those of them that stand in files of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from censor.finding import Networks
from censor.media.opening import read_encoded
from censor.policy import Policy
from detect.pictures.still import Source

if TYPE_CHECKING:
    from censor.models_used import ModelUsed
    from censor.plan import Plan

__all__ = ["Equipped"]


class Equipped(ABC):
    """Policy, networks and limits; `Censor` fills them in."""

    policy: Policy
    _networks: Networks
    _sticker: NDArray[np.uint8] | None
    _recheck: bool
    _max_bytes: int
    _max_pixels: int

    @abstractmethod
    def require_verdict(self) -> None:
        """Check that there can be a verdict.

        Raises:
            PolicyError: No rule leads to one.
        """

    @cached_property
    def models(self) -> tuple[ModelUsed, ...]:
        """Which networks look, told by the hashes of their files."""
        from censor.models_used import models_used

        return models_used(self._networks)

    def _planned(
        self, source: Source, plan: Plan | None, also: Iterable[Sequence[float]], keep: Iterable[Sequence[float]]
    ) -> Source:
        """The source; where there is a plan, its bytes, which the plan is held against."""
        if plan is None:
            return source
        if also or keep:
            raise ValueError("also and keep belong in the plan, where there is one")
        encoded = read_encoded(source, max_bytes=self._max_bytes)
        plan.require(encoded, policy=self.policy, models=self.models)
        return encoded
