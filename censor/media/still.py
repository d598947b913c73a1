"""A picture that does not move: the medium of one part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from censor.errors import WriteError
from censor.media.encoding import encode
from censor.media.medium import Part, SpareFactor
from detect.pictures.still import Source, decode

__all__ = ["Still", "write_still"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Still:
    """One picture. See `Medium` for what its methods take and raise.

    Attributes:
        source: What it comes in.
        max_bytes: Cap on an encoded picture.
        max_pixels: Cap on width times height.
    """

    source: Source
    max_bytes: int
    max_pixels: int

    def parts(self, *, spare: SpareFactor | None = None) -> Iterator[Part]:
        """The picture."""
        yield Part(
            decode(self.source, max_bytes=self.max_bytes, max_pixels=self.max_pixels, spare=spare),
            shared=isinstance(self.source, np.ndarray),
        )

    def write(self, parts: Iterable[Part], out: BinaryIO, *, format: str, quality: int | None = None) -> None:  # noqa: A002  # Pillow's own word
        """Encode one picture; it need not be this one."""
        write_still(parts, out, format=format, quality=quality)


def write_still(parts: Iterable[Part], out: BinaryIO, *, format: str, quality: int | None = None) -> None:  # noqa: A002
    """Encode a medium of one part: all that is needed for it stands in the part.

    Args:
        parts: One.
        out: Where the bytes go.
        format: As `censor.media.encoding.encode` takes it.
        quality: 1-100, for formats that lose something.

    Raises:
        WriteError: There is not one part, or the format cannot hold it.
        ValueError: An unknown format, a quality out of range, or a picture that was reduced in decoding.
    """
    data, count = b"", 0
    for count, part in enumerate(parts, 1):
        data = encode(part.picture, format=format, quality=quality) if count == 1 else data
    if count != 1:
        raise WriteError(f"{format}: a still has one part, not {count}")
    out.write(data)
