"""A JPEG's segments up to its pixels, read without decoding anything, and what of them the decoders are given.

Two libraries read every JPEG, each reads the header for itself, and each skips and repairs in its own way. Where they
disagreed about size, components or process, one made room and the other wrote. So the header is read here first,
strictly, and both are given a copy of it with nothing in it but what makes pixels: one frame header, the tables, the
two application segments that say what the colours are. What never reaches a pixel (EXIF, XMP, comments, profiles that
lack a part, stray bytes) may then be as broken as it likes: it is dropped, as viewers ignore it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from detect.errors import LimitError, UnsupportedImageError
from detect.pictures.formats import damaged

__all__ = ["MAX_SCANS", "MAX_SEGMENTS", "Frame", "JpegParts", "take_apart"]

MAX_SCANS = 100
"""Scans of one picture. libjpeg's own script has 10, 18 for four colours; each scan costs a walk over every pixel."""

MAX_SEGMENTS = 10_000
"""Segments of one file. 64 MB hold a thousand full ones; a file of nothing but empty ones would take seconds."""

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""What libjpeg stops at: not stuffed or filled, and no restart marker, which stands alone and changes nothing."""

_TEM, _SOI, _EOI, _SOS, _DNL, _ADOBE, _JFIF, _EXIF, _APP2 = 0x01, 0xD8, 0xD9, 0xDA, 0xDC, 0xEE, 0xE0, 0xE1, 0xE2
_FRAMES = range(0xC0, 0xD0)
_TABLES = (0xC4, 0xDB, 0xDD)  # DHT, DQT, DRI
_NO_FRAMES = (0xC4, 0xC8, 0xCC)  # DHT, JPG, DAC
_LOSSLESS, _PROGRESSIVE = 0xC3, 0xC2

_UNTOLD = "arithmetic coding, whose damage could not be told"
_HIERARCHICAL = "hierarchical frames, which no viewer shows"
_UNSUPPORTED = {
    **dict.fromkeys((0xC9, 0xCA), _UNTOLD),
    0xCB: "arithmetic coding without loss",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF), _HIERARCHICAL),
    **dict.fromkeys((0xF7, 0xF8), "the kind JPEG-LS"),
    **dict.fromkeys((0xC8, *range(0xF0, 0xF7), *range(0xF9, 0xFE)), "a kind that is reserved for extensions"),
}
"""Marker: what a file that has it before its pixels uses (ITU-T T.81, table B.1; T.87, table C.1)."""

_PLAIN_JFIF = bytes.fromhex("4a46494600 0101 00 0001 0001 0000")
"""The identifier, version 1.1, no unit, no thumbnail: to a decoder the segment says that colours are YCbCr, no more."""

_WHOLE_BLOCKS = b"\0\x3f\0"
"""Ss, Se, Ah and Al of a sequential scan (ITU-T T.81, table B.3)."""


class Frame(NamedTuple):
    """What the one frame header says (ITU-T T.81, B.2.2).

    Attributes:
        process: The marker's second byte: 0xC0 or 0xC1 sequential, 0xC2 progressive, 0xC3 lossless.
        height: Rows.
        width: Columns.
        factors: Samples across and down of each component.
    """

    process: int
    height: int
    width: int
    factors: tuple[tuple[int, int], ...]

    @property
    def scalable(self) -> bool:
        """Whether it is made of cosines, which a decoder can leave out to make it smaller."""
        return self.process != _LOSSLESS


class JpegParts(NamedTuple):
    """A JPEG taken apart.

    Attributes:
        frame: What the frame header says.
        scans: How often the decoder will walk over the pixels.
        pixels: A JPEG of the same pixels, without anything that does not concern them.
        exif: The first EXIF block with anything in it, beginning "Exif"; browsers heed no other.
        xmp: The last XMP packet.
        icc: The colour profile, where its parts are whole as browsers see it.
        mpf: The last index of further pictures (CIPA DC-007), from its byte order on.
    """

    frame: Frame
    scans: int
    pixels: bytes
    exif: bytes | None
    xmp: bytes | None
    icc: bytes | None
    mpf: bytes | None


def take_apart(data: bytes, name: str) -> JpegParts:
    """Read a file that begins as a JPEG does, up to its pixels, and on from scan to scan if it has several.

    Args:
        data: The whole file.
        name: What errors call it.

    Raises:
        DamagedImageError: No frame header, two of them, or one that contradicts itself; no pixels; a broken segment.
        UnsupportedImageError: A kind of JPEG that cannot be decoded here, or whose damage could not be told.
        LimitError: More segments or scans than any encoder writes.

    Source:
        ITU-T T.81, annex B; libjpeg-turbo's jdmarker.c for what is skipped.
    """
    segments, end = _segments(data, name)
    frame = _frame(segments, name)
    scans = [0]
    count = segments[-1][1][0]
    if frame.process == _PROGRESSIVE or count < len(frame.factors):
        scans += _later_scans(data, end, name)
    header = b"".join([b"\xff\xd8", *_heeded(segments, frame)])
    tail = data[end:]
    if frame.process < _PROGRESSIVE and (odd := [at for at in scans[1:] if tail[at : at + 3] != _WHOLE_BLOCKS]):
        mended = bytearray(tail)
        for at in odd:
            mended[at : at + 3] = _WHOLE_BLOCKS
        tail = bytes(mended)
    apps = [body for marker, body in segments if marker == _EXIF]
    return JpegParts(
        frame,
        len(scans),
        header + tail,
        next((b"Exif\0\0" + body[6:] for body in apps if body[:5] == b"Exif\0" and len(body) > 6), None),
        next((body[29:] for body in apps[::-1] if body.startswith(b"http://ns.adobe.com/xap/1.0/\0")), None),
        _profile([body[12:] for marker, body in segments if marker == _APP2 and body[:12] == b"ICC_PROFILE\0"]),
        next((body[4:] for marker, body in segments[::-1] if marker == _APP2 and body[:4] == b"MPF\0"), None),
    )


def _segments(data: bytes, name: str) -> tuple[list[tuple[int, bytes]], int]:
    """Marker and body of each segment up to the first scan's header, which is the last, and where that ends."""
    found: list[tuple[int, bytes]] = []
    at = 2
    while len(found) < MAX_SEGMENTS:
        if (match := _MARKER.search(data, at)) is None:
            raise damaged(name, "it ends before its pixels")
        start, marker = match.start(), data[match.start() + 1]
        if marker == _TEM:
            found.append((marker, b""))
            at = start + 2
            continue
        if marker in (_SOI, _EOI) or marker < _FRAMES.start:
            raise damaged(name, f"marker {marker:#04x} before its pixels")
        if marker in _UNSUPPORTED:
            raise UnsupportedImageError(f"{name}: a JPEG with {_UNSUPPORTED[marker]}; export it again")
        at = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        if at < start + 4 or at > len(data):
            raise damaged(name, f"segment {marker:#04x} has a wrong length")
        found.append((marker, data[start + 4 : at]))
        if marker == _SOS:
            return found, at
    raise LimitError(f"{name}: more than {MAX_SEGMENTS:,} segments before its pixels")


def _frame(segments: list[tuple[int, bytes]], name: str) -> Frame:
    """The one frame header, and whether the first scan's header keeps to it."""
    frames = [each for each in segments if each[0] in _FRAMES and each[0] not in _NO_FRAMES]
    if len(frames) != 1:
        raise damaged(name, f"{len(frames)} frame headers")
    process, body = frames[0]
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise damaged(name, "its frame header has a wrong length")
    precision, count = body[0], body[5]
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if precision != 8:
        raise UnsupportedImageError(f"{name}: a JPEG of {precision} bits a colour; only 8 are taken")
    if count not in (1, 3, 4):
        raise UnsupportedImageError(f"{name}: a JPEG of {count} colours; only 1, 3 and 4 have an agreed look")
    if height == 0 and width:
        raise UnsupportedImageError(f"{name}: a JPEG whose height is only told behind its pixels, which viewers refuse")
    factors = tuple((body[at] >> 4, body[at] & 15) for at in range(7, len(body), 3))
    if not all(1 <= each <= 4 for pair in factors for each in pair):
        raise damaged(name, "its frame header has sampling factors out of range")
    if not _is_known(factors):
        told = ", ".join(f"{across}x{down}" for across, down in factors)
        raise UnsupportedImageError(f"{name}: a JPEG sampled {told}, whose damage could not be told; export it again")
    scan = segments[-1][1]
    if not scan or len(scan) != 4 + 2 * scan[0] or not 1 <= scan[0] <= count:
        raise damaged(name, "its scan header has a wrong length")
    return Frame(process, height, width, factors)


def _is_known(factors: Sequence[tuple[int, int]]) -> bool:
    """Whether libjpeg-turbo's strict interface has a name for a sampling; Pillow decodes all, and damaged ones too.

    Source:
        libjpeg-turbo's turbojpeg.c, `getSubsamp`: black is sampled as the first colour is.
    """
    first, others, black = factors[0], set(factors[1:3]), factors[3:]
    if len(set(factors)) == 1:
        return len(factors) == 1 or first[0] * first[1] <= 3
    if black and black[0] != first:
        return False
    if others == {(1, 1)}:
        return first in ((2, 1), (1, 2), (2, 2), (4, 1), (1, 4))
    return first == (2, 2) and others in ({(2, 1)}, {(1, 2)})


def _heeded(segments: list[tuple[int, bytes]], frame: Frame) -> list[bytes]:
    """The segments that make pixels, written so that a decoder that takes warnings for errors has none to give.

    JFIF of a future version and Adobe segments of an unknown transform mean to libjpeg what the known ones do. Cameras
    by Samsung write a spectral selection into sequential scans, where it means nothing.
    """
    colors, parts = len(frame.factors), []
    for marker, body in segments:
        heeded = body
        if marker == _JFIF and len(body) >= 14 and body[:5] == b"JFIF\0":
            heeded = _PLAIN_JFIF
        elif marker == _ADOBE and len(body) >= 12 and body[:5] == b"Adobe":
            known, assumed = ((0, 2), 2) if colors == 4 else ((0, 1), 1)
            heeded = body[:11] + bytes([body[11] if body[11] in known else assumed])
        elif marker == _SOS and frame.process < _PROGRESSIVE:
            heeded = body[:-3] + _WHOLE_BLOCKS
        elif marker not in (*_TABLES, frame.process, _SOS):
            continue
        parts += [bytes([0xFF, marker]), (len(heeded) + 2).to_bytes(2, "big"), heeded]
    return parts


def _later_scans(data: bytes, begin: int, name: str) -> list[int]:
    """Where behind `begin` the spectral selections of further scans lie, up to the end of the picture.

    Whatever is wrong there ends the decoder's work too, and is told by it.
    """
    found: list[int] = []
    at = begin
    for _ in range(MAX_SEGMENTS):
        match = _MARKER.search(data, at)
        if match is None or (marker := data[match.start() + 1]) == _EOI:
            return found
        start = at = match.start() + 2
        if marker == _TEM:
            continue
        at += max(2, int.from_bytes(data[start : start + 2], "big"))
        if marker == _SOS:
            found.append(at - 3 - begin)
            if len(found) >= MAX_SCANS:
                raise LimitError(f"{name}: more than {MAX_SCANS} scans of one picture")
    raise LimitError(f"{name}: more than {MAX_SEGMENTS:,} segments between its scans")


def _profile(chunks: list[bytes]) -> bytes | None:
    """The colour profile out of its chunks, each with its number and the number of all before it.

    What Chromium does, tried: chunks come in any order, and what follows the last that was missing is not looked at; a
    number twice, a number out of range, or a total that changes before that, and there is no profile.

    Source:
        ICC.1:2022, B.4.
    """
    filled = [chunk for chunk in chunks if len(chunk) > 2]
    parts: dict[int, bytes] = {}
    for chunk in filled:
        number, total = chunk[0], chunk[1]
        if not 1 <= number <= total or number in parts or total != filled[0][1]:
            return None
        parts[number] = chunk[2:]
        if len(parts) == total:
            return b"".join(parts[each] for each in range(1, total + 1))
    return None
