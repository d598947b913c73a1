"""What all methods of a `Censor` work with, for those of them that stand in files of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from censor.finding import Networks
from censor.policy import Policy

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
