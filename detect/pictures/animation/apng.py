"""An animated PNG, taken apart: each frame becomes a PNG of its own, with all that the file says of its colours.

Source:
    PNG 3rd ed., 4.9, 11.3.6 and 13.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import takewhile

from detect.errors import UnsupportedImageError
from detect.pictures.animation.patches import Disposal, Patch, Patches
from detect.pictures.formats import damaged
from detect.pictures.png import END, SIGNATURE, Chunk, chunks_of

__all__ = ["moves", "take_apart"]

_DISPOSALS = (Disposal.KEEP, Disposal.CLEAR, Disposal.RESTORE)
_OF_ANIMATIONS = (b"acTL", b"fcTL", b"fdAT")


def moves(data: bytes) -> bool:
    """Whether a PNG says, before its pixels, that it has more than one frame."""
    early = takewhile(lambda chunk: chunk.kind != b"IDAT", chunks_of(data))
    promised = (int.from_bytes(data[chunk.start : chunk.start + 4]) for chunk in early if chunk.kind == b"acTL")
    return max(promised, default=0) > 1


def take_apart(data: bytes, name: str) -> Patches:
    """Take an animated PNG apart.

    Raises:
        DamagedImageError: Chunks of the animation that are missing, out of order, or have a wrong checksum or length;
            frames raise it when they are asked for.
        UnsupportedImageError: A still picture for viewers that show no animations, which is none of its frames.
    """
    chunks = _until_end(data, name)
    view = memoryview(data)
    for chunk in chunks:
        if chunk.kind in _OF_ANIMATIONS and not chunk.holds(view):
            raise damaged(name, f"the checksum of its {chunk.kind.decode()} chunk is wrong")
    controls = [chunk for chunk in chunks if chunk.kind == b"acTL"]
    if len(controls) != 1 or controls[0].end - controls[0].start != 8:
        raise damaged(name, "more than one acTL chunk, or one of another length")
    if not chunks or chunks[0].kind != b"IHDR" or chunks[0].end - chunks[0].start != 13:
        raise damaged(name, "a PNG header that makes no sense")
    header = data[chunks[0].start : chunks[0].end]
    start = controls[0].start
    frames, plays = int.from_bytes(data[start : start + 4]), int.from_bytes(data[start + 4 : start + 8])
    return Patches(
        width=int.from_bytes(header[:4]),
        height=int.from_bytes(header[4:8]),
        plays=plays,
        each=_patches(data, chunks, frames, name),
    )


def _until_end(data: bytes, name: str) -> list[Chunk]:
    """The chunks that viewers read; what follows the last is none."""
    chunks = []
    for chunk in chunks_of(data):
        chunks.append(chunk)
        if chunk.kind == b"IEND":
            return chunks
    raise damaged(name, "a PNG without end")


def _patches(data: bytes, chunks: list[Chunk], promised: int, name: str) -> Iterator[Patch]:
    header = data[chunks[0].start : chunks[0].end]
    canvas = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    shared = _shared(data, chunks)
    frames = _frames(data, chunks, name)
    if len(frames) != promised:
        raise damaged(name, f"{len(frames)} frames where {promised} are announced")
    for row, (control, pixels) in enumerate(frames):
        width, height, left, top = (int.from_bytes(control[4 + 4 * each : 8 + 4 * each]) for each in range(4))
        over, under = int.from_bytes(control[20:22]), int.from_bytes(control[22:24])
        disposal, blending = control[24], control[25]
        fits = 0 < width <= canvas[0] - left and 0 < height <= canvas[1] - top
        if not fits or (row == 0 and (width, height) != canvas):
            raise damaged(name, f"a frame of {width} x {height} at {left}, {top} on {canvas[0]} x {canvas[1]} pixels")
        if disposal >= len(_DISPOSALS) or blending > 1:
            raise damaged(name, "a frame that is laid or disposed of in a way without a meaning")
        size = control[4:12]
        parts = [_chunk(b"IHDR", size + header[8:]), shared, *(_chunk(b"IDAT", each) for each in pixels)]
        yield Patch(
            still=b"".join([SIGNATURE, *parts, END]),
            left=left,
            top=top,
            width=width,
            height=height,
            seconds=Fraction(over, under or 100),
            blend=blending == 1,
            disposal=_DISPOSALS[disposal],
        )


def _shared(data: bytes, chunks: list[Chunk]) -> bytes:
    """What stands before the pixels and is not of the animation: palette, transparency, colours; as it stands."""
    early = takewhile(lambda chunk: chunk.kind != b"IDAT", chunks[1:])
    return b"".join(data[each.start - 8 : each.end + 4] for each in early if each.kind not in _OF_ANIMATIONS)


def _frames(data: bytes, chunks: list[Chunk], name: str) -> list[tuple[bytes, list[bytes]]]:
    """The control of each frame, and its compressed pixels."""
    frames: list[tuple[bytes, list[bytes]]] = []
    expected = 0
    for chunk in chunks:
        body = data[chunk.start : chunk.end]
        if chunk.kind == b"IDAT":
            _first(frames, name).append(body)
        if chunk.kind not in (b"fcTL", b"fdAT"):
            continue
        if int.from_bytes(body[:4]) != expected or len(body) < 4:
            raise damaged(name, "chunks of its animation are out of order")
        expected += 1
        if chunk.kind == b"fcTL":
            if len(body) != 26 or (frames and not frames[-1][1]):
                raise damaged(name, "a frame without pixels, or with a control chunk of another length")
            frames.append((body, []))
        elif len(frames) < 2:
            raise damaged(name, "its fdAT chunk is out of place")
        else:
            frames[-1][1].append(body[4:])
    if not frames or not frames[-1][1]:
        raise damaged(name, "a frame without pixels")
    return frames


def _first(frames: list[tuple[bytes, list[bytes]]], name: str) -> list[bytes]:
    """Where the pixels go that viewers show who know of no animations."""
    if not frames:
        raise UnsupportedImageError(
            f"{name}: a PNG whose still picture is none of its animation's frames: viewers show either"
        )
    if len(frames) > 1:
        raise damaged(name, "its IDAT chunk is out of place")
    return frames[0][1]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return b"".join([len(body).to_bytes(4), kind, body, zlib.crc32(body, zlib.crc32(kind)).to_bytes(4)])
