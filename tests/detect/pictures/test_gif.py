"""GIF: where the frame lies on the screen."""

from __future__ import annotations

import io
import struct
import time

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from detect.errors import AnimatedImageError, DamagedImageError, ImageError, LimitError, UnsupportedImageError
from detect.pictures.still import decode

PALETTE = bytes(range(12))


@pytest.fixture(scope="module")
def index() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 4, (12, 16), np.uint8)


def compressed(index: NDArray[np.uint8]) -> bytes:
    """Code size and blocks, as Pillow writes them."""
    image = Image.fromarray(index, "P")
    image.putpalette(PALETTE)
    stream = io.BytesIO()
    image.save(stream, "GIF", interlace=0, optimize=False)
    data = stream.getvalue()
    return data[data.index(b"\x2c" + bytes(4) + struct.pack("<HH", *index.shape[::-1])) + 10 : -1]


def frame(index: NDArray[np.uint8], left: int = 0, top: int = 0) -> bytes:
    return b"," + struct.pack("<HHHHB", left, top, *index.shape[::-1], 0) + compressed(index)


def gif(width: int, height: int, *blocks: bytes, end: bytes = b";") -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x81, 0, 0) + PALETTE + b"".join(blocks) + end


def control(transparent: int) -> bytes:
    return b"\x21\xf9\x04\1\0\0" + bytes([transparent]) + b"\0"


COMMENT = b"\x21\xfe\5hello\0"


def test_a_frame_that_fills_its_screen(index: NDArray[np.uint8]) -> None:
    colors = np.arange(12, dtype=np.uint8).reshape(4, 3)[index]
    for blocks in ([frame(index)], [COMMENT, frame(index)], [COMMENT * 3, frame(index), COMMENT]):
        assert (decode(gif(16, 12, *blocks)).pixels == colors).all()
    assert (decode(gif(16, 12, frame(index), end=b"")).pixels == colors).all()
    assert ((decode(gif(16, 12, control(2), frame(index))).pixels[..., 3] == 0) == (index == 2)).all()


@pytest.mark.parametrize(
    ("screen", "place"),
    [((8, 6), (0, 0)), ((16, 12), (8, 6)), ((0, 0), (0, 0)), ((16, 12), (0, 1)), ((15, 12), (0, 0))],
)
@pytest.mark.parametrize("before", [b"", COMMENT, control(2)])
def test_a_frame_beyond_its_screen(
    index: NDArray[np.uint8], screen: tuple[int, int], place: tuple[int, int], before: bytes
) -> None:
    with pytest.raises(UnsupportedImageError, match=r"a frame of 16 x 12 at .* on a screen of"):
        decode(gif(*screen, before, frame(index, *place)))


@pytest.mark.parametrize("place", [(0, 0), (4, 4)])
def test_a_frame_that_leaves_a_part_of_its_screen(index: NDArray[np.uint8], place: tuple[int, int]) -> None:
    with pytest.raises(UnsupportedImageError, match="on a screen of 32 x 24, which viewers show differently"):
        decode(gif(32, 24, frame(index, *place)))
    shown = decode(gif(32, 24, control(3), frame(index, *place))).pixels
    clear = np.ones((24, 32), np.bool_)
    clear[place[1] : place[1] + 12, place[0] : place[0] + 16] = index == 3
    assert ((shown[..., 3] == 0) == clear).all()


def test_what_stands_elsewhere(index: NDArray[np.uint8]) -> None:
    for blocks in ([b"\0\0", frame(index)], [], [COMMENT]):
        with pytest.raises(DamagedImageError, match="without frame"):
            decode(gif(16, 12, *blocks))
    with pytest.raises(AnimatedImageError):
        decode(gif(16, 12, frame(index), frame(index)))
    with pytest.raises(ImageError):
        decode(gif(16, 24, b"," + struct.pack("<HHHHB", 0, 0, 16, 24, 0) + compressed(index)))


@pytest.mark.parametrize("last", [False, True])
def test_long_comments_are_passed_over(index: NDArray[np.uint8], last: bool) -> None:
    """Pillow joins their parts one by one: these took it half a minute."""
    comment = b"\x21\xfe" + (b"\xff" + bytes(255)) * 100_000 + b"\0"
    blocks = [frame(index), comment] if last else [comment, frame(index)]
    start = time.process_time()
    assert decode(gif(16, 12, *blocks)).pixels.shape == (12, 16, 3)
    assert time.process_time() - start < 3


def test_too_many_control_blocks(index: NDArray[np.uint8]) -> None:
    with pytest.raises(LimitError, match="bytes of control blocks"):
        decode(gif(16, 12, *[control(0)] * 200, frame(index)))
