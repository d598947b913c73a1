"""Writing HEIF sequences: every frame, its time, how often all is shown, transparency and colours."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import libheif
import numpy as np
import pytest
from animations import encoded, red_square
from making import P3, matrix_profile
from numpy.typing import NDArray

from censor.errors import ExtraError, WriteError
from censor.media.animation import open_animation
from censor.media.image_sequences import write_sequence
from censor.media.medium import Part
from detect.pictures.animation import decode_frames
from detect.pictures.animation.frames import Frame
from detect.pictures.bmff import top_boxes
from detect.pictures.still import Picture

TRUTH = [red_square(left) for left in (0, 10, 60, 70)]
MILLISECONDS = [100, 50, 30, 240]
TENTH = Fraction(1, 10)


def written(
    pictures: Sequence[NDArray[np.uint8]], durations: Sequence[Fraction], plays: int = 0, icc: bytes | None = None
) -> bytes:
    out = io.BytesIO()
    every = (Picture(np.ascontiguousarray(each), "PNG", icc) for each in pictures)
    write_sequence(every, out, durations, plays, format="HEIF", quality=95)
    return out.getvalue()


def frames_of(data: bytes) -> list[Frame]:
    return list(decode_frames(data, "a").frames)


def starts_of(data: bytes) -> list[Fraction]:
    """When each picture of the track is first shown, by FFmpeg, which takes the still beside it for a stream, too."""
    container: Any = av.open(io.BytesIO(data))
    with container:
        (stream,) = (each for each in container.streams.video if each.frames > 1)
        return [frame.pts * frame.time_base for frame in container.decode(stream)]


def near(shown: NDArray[np.uint8], truth: NDArray[np.uint8]) -> bool:
    return bool(np.abs(shown.astype(int) - truth).mean() < 2)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize("loop", [0, 5])
def test_frames_times_and_plays_come_through(kind: str, loop: int) -> None:
    data = encoded(TRUTH, kind, duration=MILLISECONDS, loop=loop)
    there, back = io.BytesIO(), io.BytesIO()
    medium = open_animation(data)
    medium.write(medium.parts(), there, format="HEIF")
    medium = open_animation(there.getvalue())
    assert medium.format == "HEIF"
    medium.write(medium.parts(), back, format=kind)
    for each in (there.getvalue(), back.getvalue()):
        assert decode_frames(each, "b").plays == decode_frames(data, "a").plays
        frames = frames_of(each)
        assert [frame.seconds for frame in frames] == [Fraction(ms, 1000) for ms in MILLISECONDS]
        assert all(near(frame.picture.pixels, truth) for frame, truth in zip(frames, TRUTH, strict=True))


@pytest.mark.parametrize(("height", "width"), [(64, 96), (63, 95), (64, 95), (16, 16), (17, 33), (32, 48)])
def test_another_shows_it_so_whatever_its_size(height: int, width: int) -> None:
    truth = [each[:height, :width] for each in TRUTH]
    data = written(truth, [Fraction(each, 1000) for each in MILLISECONDS], plays=1)
    assert starts_of(data) == [Fraction(sum(MILLISECONDS[:each]), 1000) for each in range(4)]
    theirs = libheif.read_sequence(data)
    for frame, (shown, _), wanted in zip(frames_of(data), theirs, truth, strict=True):
        assert np.abs(frame.picture.pixels.astype(int) - shown[..., :3]).max() <= 2
        assert np.abs(shown[..., :3].astype(int) - wanted).mean() < (6 if width == 48 else 2)
    assert [box.kind for box in top_boxes(data)] == [b"ftyp", b"meta", b"moov", b"mdat"]


def test_transparency_comes_through_wherever_it_begins_and_none_is_made_up() -> None:
    late = [np.dstack([each, np.full(each.shape[:2], 255, np.uint8)]) for each in TRUTH]
    late[3][:, 80:, 3] = 0
    data = written([TRUTH[0], *late[1:]], [TENTH] * 4, plays=1)
    frames = [each.picture for each in frames_of(data)]
    assert all((each.pixels[..., 3] == 255).all() for each in frames[:3])
    assert (frames[3].pixels[:, 84:, 3] <= 2).all()
    assert all((shown[..., 3] == each.pixels[..., 3]).all() for (shown, _), each in
               zip(libheif.read_sequence(data), frames, strict=True))  # fmt: skip
    opaque = written(late[:3], [TENTH] * 3)
    assert b"auxv" not in opaque
    assert {each.picture.pixels.shape[2] for each in frames_of(opaque)} == {3}


def test_one_frame_is_a_sequence_of_one() -> None:
    (frame,) = frames_of(written(TRUTH[:1], [Fraction(1, 2)], plays=3))
    assert near(frame.picture.pixels, TRUTH[0])
    assert frame.seconds == Fraction(1, 2)


def test_a_profile_comes_through() -> None:
    icc = matrix_profile(P3, 2.2)
    assert {each.picture.icc is not None for each in frames_of(written(TRUTH, [TENTH] * 4, icc=icc))} == {True}
    assert {each.picture.icc for each in frames_of(written(TRUTH, [TENTH] * 4))} == {None}


def test_it_is_the_same_each_time_and_names_no_encoder() -> None:
    data = written(TRUTH, [TENTH] * 4)
    assert data == written(TRUTH, [TENTH] * 4)
    assert b"x265" not in data
    assert b"Lavf" not in data


def test_errors_name_the_file_and_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(TRUTH, "HEIF")
    medium = open_animation(data)
    parts = list(medium.parts())
    small = Part(Picture(np.zeros((10, 10, 3), np.uint8), "PNG"))
    with pytest.raises(WriteError, match="bytes: cannot be encoded as HEIF: a frame of 10 x 10 pixels after one of"):
        medium.write([*parts[:3], small], io.BytesIO(), format="HEIF")
    with pytest.raises(WriteError, match="cannot be encoded as HEIF: 10 x 10 pixels, which x265 does not take"):
        medium.write([small] * 4, io.BytesIO(), format="HEIF")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ExtraError, match="bytes: HEIF sequences need the extra `video`"):
        open_animation(data)
    with pytest.raises(ExtraError, match="bytes: HEIF sequences need the extra `video`"):
        open_animation(encoded(TRUTH)).require_output("HEIF")


NARROW = """
import hashlib
import io
import numpy as np
from fractions import Fraction
from censor.media.image_sequences import write_sequence
from detect.pictures.animation import decode_frames
from detect.pictures.still import Picture

def moving(height, width, k):
    y, x = np.mgrid[0:height, 0:width]
    plane = np.full((height, width), k * 50 % 255)
    return np.stack([(x * 7 + k * 30) % 200 + 20, (y * 5 + k * 20) % 200 + 20, plane], 2).astype(np.uint8)

for height, width in ((16, 16), (32, 32), (200, 16), (32, 48), (24, 40), (18, 34), (64, 64), (33, 127)):
    frames = [moving(height, width, each) for each in range(20)]
    written = set()
    for _ in range(3):
        out = io.BytesIO()
        write_sequence(map(Picture, frames), out, [Fraction(1, 25)] * 20, 1, format="HEIF", quality=95)
        written.add(hashlib.sha256(out.getvalue()).hexdigest())
    assert len(written) == 1, (height, width)
    shown = [each.picture.pixels.astype(int) for each in decode_frames(out.getvalue(), "a").frames]
    off = [abs(one - other).mean() for one, other in zip(shown, frames, strict=True)]
    assert max(off) < 12, (height, width, off)
"""


def test_narrow_pictures_come_out_as_they_are_and_the_same_each_time() -> None:
    """Where one of its largest blocks is as wide as the picture, x265 goes wrong, and may end the process."""
    done = subprocess.run([sys.executable, "-c", NARROW], capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_last_picture_that_is_shown_for_no_time_is_shown() -> None:
    data = written(TRUTH, [TENTH, TENTH, TENTH, Fraction(0)], plays=1)
    assert len(starts_of(data)) == len(libheif.read_sequence(data)) == len(frames_of(data)) == 4
