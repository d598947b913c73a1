"""What the tests of the command share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from click.testing import Result
from fakes import FACES_JUDGED

from detect.pictures.still import decode

FACES = ("--policy", str(FACES_JUDGED))
Censor = Callable[..., Result]


def hidden(path: Path, source: Path) -> bool:
    """Whether the middle of the face differs from the source and the corners do not (much)."""
    shown, original = decode(path).pixels.astype(int), decode(source).pixels.astype(int)
    assert shown.shape == original.shape
    corner = np.abs(shown[-40:, -40:] - original[-40:, -40:]).mean()
    assert corner < 4
    return bool(np.abs(shown[90:170, 85:165] - original[90:170, 85:165]).mean() > 8)
