"""What a codec is to a sequence: something that checks its samples, and decodes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from detect.pictures.animation.muxer import Stream
from detect.pictures.cicp import Cicp
from detect.pictures.tracks import Track

__all__ = ["Codec", "Decoded"]


class Decoded(NamedTuple):
    """One picture, as it is stored.

    Attributes:
        readings: RGB or RGBA, uint8 (H, W, 3 or 4): what is shown, and then what other viewers show.
        colors: What its coded data say of its colours; None if nothing.
    """

    readings: list[NDArray[np.uint8]]
    colors: Cicp | None


class Codec(Protocol):
    """A module that knows one."""

    def checked(self, data: bytes, track: Track, name: str, max_pixels: int) -> Stream:
        """Compare the size of a track with what its samples say; one picture is shown of each.

        Args:
            data: The file.
            track: One that `shown_tracks` gave.
            name: What errors call it.
            max_pixels: Cap on the pixels of each.

        Raises:
            DamagedImageError, EOFError, ValueError: A sample is not what is said of it.
            LimitError: Over the cap, or many times more pictures are coded than are shown.
            UnsupportedImageError: Several layers, or pictures that viewers show in different ways.
        """
        ...

    def decoded(
        self, data: bytes, tracks: Sequence[Track], streams: Sequence[Stream], name: str, max_pixels: int
    ) -> Iterator[Decoded]:
        """Each picture, in the order shown.

        Args:
            data: The file.
            tracks: The track of pictures, and that of their transparency.
            streams: The same, as `checked` gave them.
            name: What errors call it.
            max_pixels: Cap on the pixels of each.

        Raises:
            UnsupportedImageError: What decodes it is not here, or pictures that viewers show in different ways.
            Exception: Whatever the decoder raises.
        """
        ...
