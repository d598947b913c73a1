import io
from fractions import Fraction

import numpy as np
import pytest
import skimage.data
from animations import FORMATS, encoded, red_square
from numpy.typing import NDArray
from PIL import Image

from censor.errors import WriteError
from censor.media.animation import Animation, open_animation
from censor.media.apng import write_apng
from censor.media.medium import Part
from censor.media.steps import in_ticks
from detect.errors import LimitError, ReadError, UnsupportedImageError
from detect.pictures.animation import decode_frames
from detect.pictures.still import Picture

TRUTH = [red_square(left) for left in (0, 10, 60, 70)]
MILLISECONDS = [100, 50, 30, 240]


def rewritten(data: bytes, format: str, **options: int) -> bytes:  # noqa: A002
    medium, out = open_animation(data), io.BytesIO()
    medium.write(medium.parts(), out, format=format, **options)
    return out.getvalue()


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    error = ((one.astype(float) - other) ** 2).mean()
    return float(10 * np.log10(255**2 / error)) if error else np.inf


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("loop", [0, 1, 5])
def test_frames_times_and_plays_come_through(kind: str, target: str, loop: int) -> None:
    data = encoded(TRUTH, kind, duration=MILLISECONDS, loop=loop)
    before, after = decode_frames(data, "a"), decode_frames(rewritten(data, target), "b")
    assert after.plays == before.plays
    frames = list(after.frames)
    assert [each.seconds for each in frames] == [Fraction(each, 1000) for each in MILLISECONDS]
    for frame, truth in zip(frames, TRUTH, strict=True):
        assert psnr(frame.picture.pixels, truth) > 45


def test_a_gif_that_is_shown_once_is_shown_once() -> None:
    images = [Image.fromarray(each).quantize(64) for each in TRUTH]
    stream = io.BytesIO()
    images[0].save(stream, "GIF", save_all=True, append_images=images[1:], duration=100)
    assert decode_frames(stream.getvalue(), "a").plays == 1
    assert decode_frames(rewritten(stream.getvalue(), "GIF"), "b").plays == 1


@pytest.mark.parametrize("kind", FORMATS)
def test_transparency_comes_through(kind: str) -> None:
    frames = []
    for left in (0, 30):
        pixels = np.zeros((64, 96, 4), np.uint8)
        pixels[20:36, left : left + 16] = (250, 10, 20, 255)
        frames.append(pixels)
    shown = [each.picture.pixels for each in decode_frames(rewritten(encoded(frames, "PNG"), kind), "a").frames]
    for pixels, truth in zip(shown, frames, strict=True):
        assert np.array_equal(pixels[..., 3], truth[..., 3])
        assert np.abs(pixels.astype(int) - truth).max() <= 4


def test_what_is_rounded_off_a_time_goes_to_the_next_frame() -> None:
    assert in_ticks([Fraction(1, 30)] * 6, 100) == [3, 4, 3, 3, 4, 3]
    assert sum(in_ticks([Fraction(1, 1000)] * 20, 100)) == 2
    assert in_ticks([], 100) == []


def test_a_png_keeps_times_that_no_other_format_can_say() -> None:
    out = io.BytesIO()
    thirtieths = [Fraction(1, 30), Fraction(1001, 30_000), Fraction(0), Fraction(90_000)]
    write_apng([Picture(each, "PNG") for each in TRUTH], out, thirtieths, 2)
    found = decode_frames(out.getvalue(), "a")
    assert found.plays == 2
    frames = list(found.frames)
    assert [each.seconds for each in frames] == [*thirtieths[:3], 65_535]
    assert all(np.array_equal(each.picture.pixels, truth) for each, truth in zip(frames, TRUTH, strict=True))


def test_the_palette_of_a_gif_is_better_than_the_encoders_own() -> None:
    photo = Image.fromarray(skimage.data.astronaut()).resize((160, 160))
    frames = [np.asarray(photo.rotate(angle)) for angle in (0, 10)]
    ours = [each.picture.pixels for each in decode_frames(rewritten(encoded(frames), "GIF"), "a").frames]
    stream = io.BytesIO()
    images = [Image.fromarray(each) for each in frames]
    images[0].save(stream, "GIF", save_all=True, append_images=images[1:])
    theirs = [each.picture.pixels for each in decode_frames(stream.getvalue(), "b").frames]
    gained = [psnr(one, truth) - psnr(other, truth) for one, other, truth in zip(ours, theirs, frames, strict=True)]
    assert min(gained) > 1


def test_errors_name_the_file_and_the_reason() -> None:
    data = encoded(TRUTH)
    medium = open_animation(data)
    with pytest.raises(WriteError, match="bytes: JPEG holds no animation; GIF, PNG, WEBP, AVIF, HEIF do"):
        medium.write(medium.parts(), io.BytesIO(), format="JPEG")
    with pytest.raises(ValueError, match=r"quality lies in 1\.\.100, not 0"):
        medium.write(medium.parts(), io.BytesIO(), format="WEBP", quality=0)
    parts = list(medium.parts())
    for some in (parts[:3], [*parts, Part(parts[0].picture)], []):
        with pytest.raises(WriteError, match="an animation of 4 frames is written with as many"):
            medium.write(some, io.BytesIO(), format="WEBP")
    with pytest.raises(UnsupportedImageError, match="bytes: not an animation"):
        open_animation(b"\x89PNG\r\n\x1a\nrest")
    with pytest.raises(LimitError, match="the cap on a picture's size"):
        open_animation(data, max_bytes=100)
    with pytest.raises(ReadError, match=r"nowhere\.gif"):
        open_animation("nowhere.gif")
    with pytest.raises(TypeError, match="not ndarray"):
        open_animation(TRUTH[0])


def test_a_medium_says_where_its_parts_stand_and_can_be_read_twice() -> None:
    medium = Animation(data=encoded(TRUTH, duration=MILLISECONDS), name="a", max_pixels=10_000)
    for _ in range(2):
        where = [part.where for part in medium.parts()]
        assert [each.frame for each in where] == [0, 1, 2, 3]
        assert [each.seconds for each in where] == pytest.approx([0, 0.1, 0.15, 0.18])
