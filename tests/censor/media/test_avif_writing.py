"""Writing AVIF sequences: every frame, its time, how often all is shown, transparency and colours."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import pytest
from animations import encoded, red_square
from encoding import profile
from making import P3, matrix_profile
from numpy.typing import NDArray
from PIL import Image

from censor.errors import WriteError
from censor.media.animation import open_animation
from censor.media.encoding import encode
from censor.media.image_sequences import write_sequence
from censor.media.medium import Part
from detect.pictures.animation import decode_frames
from detect.pictures.animation.frames import Frame
from detect.pictures.bmff import top_boxes
from detect.pictures.still import Picture, decode

TRUTH = [red_square(left) for left in (0, 10, 60, 70)]
MILLISECONDS = [100, 50, 30, 240]


def written(
    pictures: Sequence[NDArray[np.uint8]], durations: Sequence[Fraction], plays: int = 0, icc: bytes | None = None
) -> bytes:
    out = io.BytesIO()
    write_sequence((Picture(each, "PNG", icc) for each in pictures), out, durations, plays, format="AVIF", quality=95)
    return out.getvalue()


def frames_of(data: bytes) -> list[Frame]:
    return list(decode_frames(data, "a").frames)


def near(shown: NDArray[np.uint8], truth: NDArray[np.uint8]) -> bool:
    return bool(np.abs(shown.astype(int) - truth).mean() < 3)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
@pytest.mark.parametrize("loop", [0, 1, 5])
def test_frames_times_and_plays_come_through(kind: str, loop: int) -> None:
    data = encoded(TRUTH, kind, duration=MILLISECONDS, loop=loop)
    there, back = io.BytesIO(), io.BytesIO()
    medium = open_animation(data)
    medium.write(medium.parts(), there, format="AVIF")
    medium = open_animation(there.getvalue())
    assert medium.format == "AVIF"
    medium.write(medium.parts(), back, format=kind)
    for each in (there.getvalue(), back.getvalue()):
        assert decode_frames(each, "b").plays == decode_frames(data, "a").plays
        frames = frames_of(each)
        assert [frame.seconds for frame in frames] == [Fraction(ms, 1000) for ms in MILLISECONDS]
        assert all(near(frame.picture.pixels, truth) for frame, truth in zip(frames, TRUTH, strict=True))


def test_times_below_a_millisecond_are_exact_and_none_is_lost() -> None:
    thirtieths = [Fraction(1, 30), Fraction(1001, 30_000), Fraction(0), Fraction(90_000)]
    assert [each.seconds for each in frames_of(written(TRUTH, thirtieths))] == thirtieths
    odd = [Fraction(1, each) for each in (65_521, 65_519, 65_497, 3)]
    found = [each.seconds for each in frames_of(written(TRUTH, odd))]
    assert abs(float(sum(found) - sum(odd))) < 1e-6
    assert [each.seconds for each in frames_of(written(TRUTH, [Fraction(0)] * 4))] == [Fraction(1, 1000)] * 4
    with pytest.raises(ValueError, match="longer than a track can say"):
        written(TRUTH, [Fraction(2**32)] * 4)


def test_one_frame_is_a_sequence_of_one() -> None:
    (frame,) = frames_of(written(TRUTH[:1], [Fraction(1, 2)], plays=3))
    assert near(frame.picture.pixels, TRUTH[0])
    assert frame.seconds == Fraction(1, 2)


def test_transparency_comes_through_wherever_it_begins_and_none_is_made_up() -> None:
    late = [np.dstack([each, np.full(each.shape[:2], 255, np.uint8)]) for each in TRUTH]
    late[3][:, 80:, 3] = 0
    mixed = [TRUTH[0], *late[1:]]
    frames = [each.picture for each in frames_of(written(mixed, [Fraction(1, 10)] * 4))]
    assert all((each.pixels[..., 3] == 255).all() for each in frames[:3])
    assert (frames[3].pixels[:, 84:, 3] <= 2).all()
    opaque = written(late[:3], [Fraction(1, 10)] * 3)
    assert b"auxv" not in opaque
    assert {each.picture.pixels.shape[2] for each in frames_of(opaque)} == {3}


def test_the_still_of_a_sequence_is_its_first_frame() -> None:
    data = written(TRUTH, [Fraction(1, 10)] * 4)
    assert all(each.picture.readings == () for each in frames_of(data))
    still = decode(data[:8] + b"avif" + data[12:].replace(b"avis", b"avif").replace(b"moov", b"free"))
    assert np.array_equal(still.pixels, frames_of(data)[0].picture.pixels)
    assert [box.kind for box in top_boxes(data)] == [b"ftyp", b"meta", b"moov", b"mdat"]


def test_a_profile_comes_through() -> None:
    icc = matrix_profile(P3, 2.2)
    still = decode(encode(Picture(TRUTH[0], icc=icc), format="AVIF")).icc
    assert still is not None
    assert {each.picture.icc for each in frames_of(written(TRUTH, [Fraction(1, 10)] * 4, icc=icc))} == {still}
    assert profile("sRGB") not in written(TRUTH, [Fraction(1, 10)] * 4)


def test_frames_are_asked_for_one_by_one() -> None:
    """However long the animation: what was written is not held."""
    alive: list[int] = []

    class Counted(np.ndarray[tuple[int, ...], np.dtype[np.uint8]]):
        def __del__(self) -> None:
            alive.append(-1)

    def each() -> Iterator[Picture]:
        for _ in range(40):
            alive.append(1)
            assert sum(alive) < 5
            yield Picture(TRUTH[0].copy().view(Counted), "PNG")

    write_sequence(each(), io.BytesIO(), [Fraction(1, 10)] * 40, 0, format="AVIF", quality=50)
    assert alive.count(1) == 40


def test_errors_name_the_file_and_the_reason() -> None:
    medium = open_animation(encoded(TRUTH))
    parts = list(medium.parts())
    small = Part(Picture(np.zeros((10, 10, 3), np.uint8), "PNG"))
    for some in (parts[:3], [*parts, Part(parts[0].picture)], []):
        with pytest.raises(WriteError, match=r"(written with as many|without frames)"):
            medium.write(some, io.BytesIO(), format="AVIF")
    with pytest.raises(WriteError, match="bytes: cannot be encoded as AVIF: a frame of 10 x 10 pixels after one of"):
        medium.write([*parts[:3], small], io.BytesIO(), format="AVIF")
    wide = Part(Picture(np.zeros((1, 32_769, 3), np.uint8), "PNG"))
    with pytest.raises(WriteError, match=r"cannot be encoded as AVIF: .* more than the 32,768 a side"):
        medium.write([wide] * 4, io.BytesIO(), format="AVIF")


def test_no_time_of_writing_and_no_encoder_is_told() -> None:
    data = written(TRUTH, [Fraction(1, 10)] * 4)
    assert b"AOM" not in data
    assert data == written(TRUTH, [Fraction(1, 10)] * 4)
    assert not Image.open(io.BytesIO(data)).getexif()
