"""WebP: canvas, frame, bitstream and flags against each other."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from encoding import Encode
from numpy.typing import NDArray

from detect.errors import AnimatedImageError, DamagedImageError, ImageError, LimitError, UnsupportedImageError
from detect.pictures.limits import open_still
from detect.pictures.still import decode
from detect.pictures.webp import check_chunks

Chunk = tuple[bytes, bytes]
TRANSPARENT, ANIMATED = 16, 2
ANIMATION = (b"ANIM", b"\xff\xff\xff\xff\0\0")


def joined(*chunks: Chunk) -> bytes:
    return b"".join(kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2) for kind, body in chunks)


def riff(*chunks: Chunk, longer: int = 0) -> bytes:
    body = b"WEBP" + joined(*chunks)
    return b"RIFF" + struct.pack("<I", len(body) + longer) + body


def chunks_of(data: bytes) -> dict[bytes, bytes]:
    found, at = {}, 12
    while at < len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        found[data[at : at + 4]] = data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    return found


def three(number: int) -> bytes:
    return number.to_bytes(3, "little")


def extended(flags: int, width: int, height: int) -> Chunk:
    return b"VP8X", struct.pack("<I", flags) + three(width - 1) + three(height - 1)


def frame(width: int, height: int, *chunks: Chunk) -> Chunk:
    return b"ANMF", bytes(6) + three(width - 1) + three(height - 1) + three(100) + b"\0" + joined(*chunks)


@pytest.fixture
def parts(photo: NDArray[np.uint8], encoded: Encode) -> dict[str, Chunk]:
    """Bitstreams of the portrait, 96 x 64, and of its half."""
    clear = np.dstack([photo, np.full((64, 96, 1), 255, np.uint8)])
    clear[:, 30:60, 3] = 0
    lossless = chunks_of(encoded(clear, "WEBP", lossless=True, exact=True))
    lossy = chunks_of(encoded(clear, "WEBP", quality=90))
    return {
        "lossy": (b"VP8 ", chunks_of(encoded(photo, "WEBP", quality=90))[b"VP8 "]),
        "lossless": (b"VP8L", chunks_of(encoded(photo, "WEBP", lossless=True))[b"VP8L"]),
        "clear": (b"VP8L", lossless[b"VP8L"]),
        "color": (b"VP8 ", lossy[b"VP8 "]),
        "alpha": (b"ALPH", lossy[b"ALPH"]),
        "half": (b"VP8 ", chunks_of(encoded(photo[:, :48].copy(), "WEBP", quality=90))[b"VP8 "]),
    }


def test_what_agrees_is_taken(photo: NDArray[np.uint8], parts: dict[str, Chunk]) -> None:
    lossless, lossy = parts["lossless"], parts["lossy"]
    for data in (riff(lossless), riff(extended(0, 96, 64), lossless), riff(lossless) + b"rubbish"):
        assert (decode(data).pixels == photo).all()
    for data in (
        riff(lossy),
        riff(extended(0, 96, 64), (b"ABCD", b"x"), lossy),
        riff(extended(ANIMATED, 96, 64), ANIMATION, frame(96, 64, lossy)),
    ):
        assert decode(data).pixels.shape == (64, 96, 3)
    for data in (
        riff(parts["clear"]),
        riff(extended(TRANSPARENT, 96, 64), parts["clear"]),
        riff(extended(TRANSPARENT, 96, 64), parts["alpha"], parts["color"]),
    ):
        assert (decode(data).pixels[:, 30:60, 3] == 0).all()


@pytest.mark.parametrize("size", [(192, 128), (48, 32), (96, 63)])
def test_a_canvas_of_another_size(parts: dict[str, Chunk], size: tuple[int, int]) -> None:
    with pytest.raises(DamagedImageError, match=f"96 x 64 coded pixels where {size[0]} x {size[1]} are announced"):
        decode(riff(extended(0, *size), parts["lossy"]))


def test_a_bitstream_over_the_cap(parts: dict[str, Chunk]) -> None:
    for part in ("lossy", "lossless"):
        with pytest.raises(LimitError, match="96 x 64 coded pixels are over the cap of 6,143"):
            check_chunks(riff(parts[part]), "p", 6_143)
        with pytest.raises(LimitError, match="96 x 64 coded pixels are over the cap of 100"):
            check_chunks(riff(extended(0, 10, 10), parts[part]), "p", 100)


def test_transparency_that_the_header_denies(parts: dict[str, Chunk]) -> None:
    """Chromium mixes such pixels with the page; Pillow drops what makes them transparent."""
    plain = bytearray(riff(parts["clear"]))
    plain[24] &= ~0x10
    for data in (
        bytes(plain),
        riff(extended(0, 96, 64), (b"VP8L", bytes(plain[20:]))),
        riff(extended(0, 96, 64), parts["clear"]),
        riff(extended(0, 96, 64), parts["alpha"], parts["color"]),
    ):
        with pytest.raises(DamagedImageError, match="transparency that its header denies"):
            decode(data)


def test_frames(parts: dict[str, Chunk]) -> None:
    half, whole = frame(48, 64, parts["half"]), frame(96, 64, parts["lossy"])
    with pytest.raises(UnsupportedImageError, match="a frame of 48 x 64 on a canvas of 96 x 64"):
        decode(riff(extended(ANIMATED, 96, 64), ANIMATION, half))
    with pytest.raises(AnimatedImageError):
        decode(riff(extended(ANIMATED, 96, 64), ANIMATION, whole, whole))
    for data in (riff(extended(0, 96, 64), whole), riff(extended(ANIMATED, 96, 64), ANIMATION, parts["lossy"], whole)):
        with pytest.raises(ImageError):
            decode(data)


def test_one_picture_and_no_other(parts: dict[str, Chunk]) -> None:
    for chunks in ((parts["lossy"], parts["lossless"]), (extended(0, 96, 64),), ((b"ALPH", b"x"),)):
        with pytest.raises(DamagedImageError, match="pictures in one"):
            decode(riff(*chunks))
    for body in (b"\x2e" + bytes(20), b"\x2f", b""):
        with pytest.raises(DamagedImageError, match="bitstream without header"):
            decode(riff((b"VP8L", body)))


@pytest.mark.parametrize("longer", [-4, 2, 1_000])
def test_a_container_longer_or_shorter_than_its_file(parts: dict[str, Chunk], longer: int) -> None:
    with pytest.raises(DamagedImageError):
        decode(riff(parts["lossy"], longer=longer))


def test_a_flood_of_chunks(parts: dict[str, Chunk]) -> None:
    with pytest.raises(LimitError, match="more than 1,000 chunks"):
        open_still(riff(extended(0, 96, 64), *[(b"ABCD", b"")] * 1_001, parts["lossy"]), "WEBP", "p", 10_000)
