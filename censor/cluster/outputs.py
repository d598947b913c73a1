"""An output under its final name: created, or found there, and then held against what was to be created."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from censor.cluster.sources import Row
from censor.cluster.stores import Store
from censor.errors import OutputExistsError
from censor.finding import Networks, find
from censor.looking_again import remaining
from censor.redact import Frame, Redaction
from detect.errors import DetectError, LimitError
from detect.pictures.still import Picture, decode

if TYPE_CHECKING:
    from censor.pipeline import Censor

__all__ = ["write_output"]

_LEVELS, _SHARE = 16, 0.125
"""Two machines' networks differ in the last bits of a box, so that edges move by a pixel: of all pixels, and of each
region that is hidden, at most this share may differ by more than so many levels."""

_SLACK = 2**16
"""Bytes by which any output may be larger than another of the same picture."""

_ANY = 2**31
"""Pixels of an output that was made here: its picture was within the caps."""


def write_output(store: Store, censor: Censor, row: Row, made: bytes, hidden: Sequence[Redaction] | None) -> int:
    """Create an output where there is none. One that is there may be that of a worker that died, or of another driver.

    It may as well be a picture that somebody put there, so that it counts only if it is the same to the byte, or, where
    machines differ, shows the same, hides the same, and stands a look of every network that judges.

    Args:
        store: OUT.
        censor: Policy and networks.
        row: The picture that it comes of.
        made: What comes of it here.
        hidden: What was hidden in it; None for what moves, of which only the same bytes count.

    Returns:
        Bytes of the output that is there now.

    Raises:
        OutputExistsError: Something else has that name; it is left alone.
        ChangedObjectError, ReadError: It was there, and cannot be read.
        WriteError: The name cannot be written.
        StoreError: Nothing can be written.
    """
    if store.create(row.name, made):
        return len(made)
    foreign = f"{store.url}/{row.name}: exists already, and is not what comes of {row.uri}"
    try:
        there = store.read(row.name, cap=2 * len(made) + _SLACK)
    except LimitError as error:
        raise OutputExistsError(f"{foreign}: it is twice as large") from error
    if there != made and (why := _difference(censor, there, made, hidden)) is not None:
        raise OutputExistsError(f"{foreign}: {why}")
    return len(there)


def _difference(censor: Censor, there: bytes, made: bytes, hidden: Sequence[Redaction] | None) -> str | None:
    """Why what is there is not what was made; None where it is, but for what may differ from machine to machine."""
    if hidden is None:
        return "what moves must be the same to the byte"
    try:
        wanted = decode(made, max_bytes=len(made), max_pixels=_ANY)
        found = decode(there, max_bytes=len(there), max_pixels=wanted.height * wanted.width)
        if _kind(found) != _kind(wanted):
            return f"it is {_kind(found)}, not {_kind(wanted)}"
        if any(share > _SHARE for share in _shares(found.pixels, wanted.pixels, hidden)):
            return "it shows something else"
        left = _left(censor, found, hidden)
    except DetectError as error:
        return str(error)
    return f"a look at it finds {', '.join(left)}" if left else None


def _kind(picture: Picture) -> str:
    """What outputs of one picture have in common."""
    rows, columns, channels = picture.pixels.shape
    return f"{picture.format} of {columns} x {rows} x {channels}"


def _shares(
    found: NDArray[np.uint8], wanted: NDArray[np.uint8], hidden: Sequence[Redaction]
) -> Iterator[np.floating[Any]]:
    """How much differs of the whole, then of each region that is hidden: not even one may show what it should not."""
    distance = np.maximum(found, wanted) - np.minimum(found, wanted)
    differs: NDArray[np.bool_] = np.any(distance > _LEVELS, axis=2)
    yield differs.mean()
    for each in hidden:
        mask = np.zeros(differs.shape, np.bool_)
        each.region.mark(mask)
        if mask.any():
            yield differs[mask].mean()


def _left(censor: Censor, picture: Picture, hidden: Sequence[Redaction]) -> tuple[str, ...]:
    """What speaks against letting this picture out, by the rules of the last look at an output."""
    networks = Networks(detector=censor.detector, classifiers=censor.classifiers, rule=censor.policy.picture)
    seen = find(picture, networks).everything
    return remaining(seen, censor.policy, Frame.of(picture), hidden)
