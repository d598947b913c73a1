"""What of a PNG is seen: its chunks checked one by one, and those that no viewer heeds left out.

A wrong checksum in a chunk that pixels hang on is damage; in any other the chunk is passed over, as libpng and browsers
do, and with it whatever it said of colour or transparency.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from PIL import ImageFile

from detect.errors import ImageError, LimitError, UnsupportedImageError
from detect.pictures.formats import damaged, several

__all__ = ["END", "SIGNATURE", "Chunk", "check_pixels", "chunks_of", "early_chunks", "seen", "without_profile"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\0\0\0\0IEND\xae\x42\x60\x82"

_HEEDED = {
    b"tRNS": None, b"eXIf": None, b"iCCP": None,
    b"cICP": 4, b"mDCV": 24, b"cLLI": 8, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32,
}  # fmt: skip
"""What viewers heed besides the critical chunks, the first of each before the pixels; its length where one is fixed.

Chromium 156 and libpng 1.6: neither takes notice of repetitions, of wrong lengths and of what follows the pixels.
"""

_COLORS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Colour types, and the bit depths that each may have (PNG 3rd ed., 11.2.1)."""

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))

_MOST_CHUNKS = 100_000
_LARGEST_PROFILE = 64 * 2**20
"""Of a profile, in bytes, unpacked: browsers pass over larger ones."""


class Chunk(NamedTuple):
    """Where a chunk's body stands in a file, and its checksum as it stands there."""

    kind: bytes
    start: int  # of the body
    end: int
    checksum: bytes  # four bytes, or fewer where the file ends

    def holds(self, view: memoryview) -> bool:
        """Whether the checksum, over kind and body, is right."""
        return zlib.crc32(view[self.start - 4 : self.end]).to_bytes(4, "big") == self.checksum


def seen(data: bytes, name: str) -> bytes:
    """Check the chunks of a PNG, and make one of those that viewers heed.

    Text is left out whatever its length, and so is all that follows the pixels. What ends behind the last pixel's chunk
    may have lost the rest.

    Raises:
        DamagedImageError: A chunk that pixels hang on is missing, has a wrong checksum or length, or stands where
            viewers show different things or nothing.
        UnsupportedImageError: Chunks that a decoder must know, and only Apple's does.
        AnimatedImageError: Frames of an animation.
        LimitError: More chunks than any encoder writes.

    Source:
        PNG 3rd ed., 5.3 to 5.6, 11 and 13.1.
    """
    view = memoryview(data)
    chunks = list(itertools.islice(chunks_of(data), _MOST_CHUNKS + 1))
    if len(chunks) > _MOST_CHUNKS:
        raise LimitError(f"{name}: a PNG of more than {_MOST_CHUNKS:,} chunks")
    _check_still(data, chunks, name)
    kept = _kept(view, chunks, name)
    _check_lengths(data, kept, name)
    parts = [view[chunk.start - 8 : chunk.end + 4] for same in kept.values() for chunk in same]
    return b"".join([SIGNATURE, *parts, END])


def _check_still(data: bytes, chunks: Sequence[Chunk], name: str) -> None:
    kinds = [chunk.kind for chunk in chunks]
    promised = (int.from_bytes(data[chunk.start : chunk.start + 4]) for chunk in chunks if chunk.kind == b"acTL")
    if b"fdAT" in kinds or kinds.count(b"fcTL") > 1 or max(promised, default=0) > 1:
        raise several(name, "PNG")


def _kept(view: memoryview, chunks: Sequence[Chunk], name: str) -> dict[bytes, list[Chunk]]:
    """The chunks that viewers heed, by kind, in the file's order."""
    kept: dict[bytes, list[Chunk]] = {}
    after = False  # the pixels
    for number, chunk in enumerate(chunks):
        if (number == 0) != (chunk.kind == b"IHDR"):
            raise _out_of_place(chunk.kind, name)
        after = after or (b"IDAT" in kept and chunk.kind != b"IDAT")
        if after and (chunk.kind == b"IEND" or not chunk.kind.isalpha()):
            if len(chunk.checksum) == 4 and chunk.kind == b"IEND":
                _check_critical(chunk, view, name)
            break
        if chunk.kind[:1].isupper() or not chunk.kind.isalpha():
            _check_critical(chunk, view, name)
            if after or chunk.kind == b"IEND" or (chunk.kind == b"PLTE" and b"PLTE" in kept):
                raise _out_of_place(chunk.kind, name)
            kept.setdefault(chunk.kind, []).append(chunk)
        elif not after and chunk.kind not in kept and _is_heeded(chunk) and chunk.holds(view):
            kept[chunk.kind] = [chunk]
    if b"IDAT" not in kept:
        raise damaged(name, "a PNG without pixels")
    return kept


def chunks_of(data: bytes) -> Iterator[Chunk]:
    """The chunks of a file, as their lengths say; nothing is checked."""
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        yield Chunk(data[at + 4 : at + 8], at + 8, end, data[end : end + 4])
        at = end + 4


def early_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of the chunks before the pixels, of what `seen` made of a file."""
    for chunk in itertools.takewhile(lambda chunk: chunk.kind != b"IDAT", chunks_of(data)):
        yield chunk.kind, data[chunk.start : chunk.end]


def _out_of_place(kind: bytes, name: str) -> ImageError:
    if kind == b"CgBI":
        return UnsupportedImageError(f"{name}: a PNG in Apple's own form (CgBI), which no browser shows; convert it")
    return damaged(name, f"its {_printable(kind)} chunk is out of place")


def _printable(kind: bytes) -> str:
    return kind.decode("ascii") if kind.isalpha() else kind.hex()


def _check_critical(chunk: Chunk, view: memoryview, name: str) -> None:
    kind = _printable(chunk.kind)
    if len(chunk.checksum) < 4:
        raise damaged(name, f"it ends in its {kind} chunk")
    if not chunk.holds(view):
        raise damaged(name, f"the checksum of its {kind} chunk is wrong")
    if chunk.kind not in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
        raise UnsupportedImageError(f"{name}: a PNG with a chunk that must be understood and is not known, {kind}")


def _is_heeded(chunk: Chunk) -> bool:
    return chunk.kind in _HEEDED and _HEEDED[chunk.kind] in (None, chunk.end - chunk.start)


def _check_lengths(data: bytes, kept: dict[bytes, list[Chunk]], name: str) -> None:
    """Refuse a header, a palette or a transparency that decoders understand in different ways; drop what none heeds."""
    start = kept[b"IHDR"][0].start
    depth, color, packing, filtering, interlace = data[start + 8 : start + 13]
    sound = depth in _COLORS.get(color, ()) and (packing, filtering) == (0, 0) and interlace in (0, 1)
    length = {kind: chunks[0].end - chunks[0].start for kind, chunks in kept.items()}
    if not sound or length[b"IHDR"] != 13:
        raise damaged(name, "a PNG header that makes no sense")
    if color in (0, 4):
        kept.pop(b"PLTE", None)
    entries, odd = divmod(length.get(b"PLTE", 0), 3)
    if color == 3 and (odd or not 1 <= entries <= 256):
        raise damaged(name, f"a palette of {entries} colours")
    if b"tRNS" not in kept:
        return
    if color in (4, 6) or (color == 3 and list(kept).index(b"PLTE") > list(kept).index(b"tRNS")):
        del kept[b"tRNS"]
    elif length[b"tRNS"] not in {0: (2,), 2: (6,)}.get(color, range(1, entries + 1)):
        raise damaged(name, f"a tRNS chunk of {length[b'tRNS']} bytes")


def without_profile(data: bytes) -> tuple[bytes, bytes | None]:
    """Take the profile out of what `seen` made: Pillow refuses pictures for profiles over a megabyte.

    Returns:
        The PNG without it, and the profile; None if there is none, it is not whole, or larger than browsers take.

    Source:
        PNG 3rd ed., 11.3.2.3.
    """
    chunk = next((chunk for chunk in chunks_of(data) if chunk.kind in (b"iCCP", b"IDAT")), None)
    if chunk is None or chunk.kind != b"iCCP":
        return data, None
    label, _, rest = data[chunk.start : chunk.end].partition(b"\0")
    inflate = zlib.decompressobj()
    try:
        icc = inflate.decompress(rest[1:], _LARGEST_PROFILE) if rest[:1] == b"\0" and 1 <= len(label) <= 79 else b""
    except zlib.error:
        icc = b""
    return data[: chunk.start - 8] + data[chunk.end + 4 :], icc if inflate.eof else None


def check_pixels(image: ImageFile.ImageFile, data: bytes) -> None:
    """Refuse a loaded PNG whose pixels are not all there, or name colours that its palette has not.

    Pillow leaves rows zero that the compressed data lack; they are counted only where the bottom one is zero, or Adam7
    could have left gaps elsewhere (PNG 3rd ed., 8.1). Colours beyond the palette are black here and others elsewhere.

    Args:
        image: As Pillow loaded it.
        data: What `seen` made of the file.

    Raises:
        OSError: Fewer bytes than the header announces, or fewer colours than the pixels name.
    """
    if image.mode == "P":
        entries = next((chunk.end - chunk.start) // 3 for chunk in chunks_of(data) if chunk.kind == b"PLTE")
        if sum(image.histogram()[entries:]):
            raise OSError(f"more colours than the {entries} of its palette")
    width, height = image.size
    interlaced = bool(image.info.get("interlace"))
    if not interlaced and image.crop((0, height - 1, width, height)).getbbox(alpha_only=False) is not None:
        return
    bits = data[24] * _SAMPLES[data[25]]  # IHDR: bit depth, colour type
    expected = 0
    for x, y, step_x, step_y in _PASSES if interlaced else [(0, 0, 1, 1)]:
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        expected += rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0
    found, inflate = 0, zlib.decompressobj()
    for chunk in chunks_of(data):
        rest = data[chunk.start : chunk.end] if chunk.kind == b"IDAT" else b""
        while rest and found < expected:
            found += len(inflate.decompress(rest, 1 << 20))
            rest = inflate.unconsumed_tail
    if found + len(inflate.flush()) < expected:
        raise OSError(f"{found} of {expected} bytes of pixels")
