"""HEIF sequences: those that another writes, what a track says against what its samples say, and frames as shown."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import libheif
import numpy as np
import pytest
from animations import encoded, red_square
from numpy.typing import NDArray
from sequence_files import Node, changed, entry_of, pictures, streams_of, track_of, whole, with_samples, written

from censor.media import heif as writing
from detect.errors import DamagedImageError, ImageError, LimitError, UnsupportedImageError
from detect.pictures.animation import animated, decode_frames, durations_of
from detect.pictures.animation.muxer import HEVC
from detect.pictures.animation.sequences import as_still
from detect.pictures.still import Picture, decode

PLACES = (0, 10, 60, 70, 20, 40)
TRUTH = [red_square(left) for left in PLACES]
SHAPE = {"width": 96, "height": 64}


def see_through() -> list[NDArray[np.uint8]]:
    frames = [np.dstack([each, np.full(each.shape[:2], 255, np.uint8)]) for each in TRUTH]
    for each in frames:
        each[44:, :, 3], each[:44, 84:, 3] = 128, 0
    return frames


@pytest.fixture(scope="module")
def plain() -> bytes:
    return encoded(TRUTH, "HEIF", duration=[100, 200, 300, 50, 70, 10])


@pytest.fixture(scope="module")
def veiled() -> bytes:
    return encoded(see_through(), "HEIF")


def shown(picture: Picture) -> list[NDArray[np.uint8]]:
    """As it is, and as others show it."""
    return [picture.pixels, *(each.pixels for each in picture.readings)]


def near(one: NDArray[np.uint8], other: NDArray[np.uint8], off: float = 2) -> bool:
    return bool(np.abs(one.astype(int) - other).mean() < off)


@pytest.mark.parametrize("structure", [libheif.INTRA_ONLY, libheif.LOW_DELAY, libheif.UNRESTRICTED])
@pytest.mark.parametrize("chroma", ["420", "422", "444"])
def test_what_another_writes_is_shown_as_it_shows_it(tmp_path: Path, structure: int, chroma: str) -> None:
    data = libheif.write_sequence(TRUTH, [100] * 6, tmp_path / "a", structure=structure, plays=5, chroma=chroma)
    assert animated(data)
    found = decode_frames(data, "a")
    assert (found.format, found.width, found.height, found.plays) == ("HEIF", 96, 64, 5)
    frames = list(found.frames)
    assert [each.start for each in frames] == [Fraction(each, 10) for each in range(6)]
    for each, truth, (theirs, ticks) in zip(frames, TRUTH, libheif.read_sequence(data, 6), strict=True):
        assert near(each.picture.pixels, truth)
        assert any(np.abs(one.astype(int) - theirs[..., :3]).max() <= 2 for one in shown(each.picture))
        assert (each.seconds, each.picture.format) == (Fraction(ticks, 1000), "HEIF")
    for plays in (0, 1):
        again = libheif.write_sequence(TRUTH, [100] * 6, tmp_path / "a", structure=structure, plays=plays)
        assert decode_frames(again, "a").plays == (plays if plays != 1 else 0)  # it writes no edit list then


def test_times_are_those_of_the_track(plain: bytes) -> None:
    seconds = [Fraction(each, 1000) for each in (100, 200, 300, 50, 70, 10)]
    assert [each.seconds for each in decode_frames(plain, "a").frames] == seconds == durations_of(plain, "a")


def test_transparency_and_what_is_beneath_it(veiled: bytes) -> None:
    for picture, (theirs, _) in zip(pictures(veiled), libheif.read_sequence(veiled, 6), strict=True):
        assert np.abs(picture.pixels[..., 3].astype(int) - theirs[..., 3]).max() <= 1
        assert (picture.pixels[:40, 88:] == 0).all()
        assert (np.abs(picture.pixels[50:, :, 3].astype(int) - 128) <= 1).all()
        assert picture.beneath is not None
        assert (np.abs(picture.beneath[:40, 88:].astype(int) - 185) < 8).all()


def test_colors_multiplied_by_transparency(veiled: bytes) -> None:
    def mark(root: Node) -> None:
        track_of(root).inner.insert(1, Node(b"tref", b"", [Node(b"prem", struct.pack(">I", 2))]))

    plain, multiplied = pictures(veiled)[1], pictures(changed(veiled, mark))[1]
    half = np.s_[52:, :80, :3]
    assert np.abs(np.minimum(plain.pixels[half] * 2.0, 255) - multiplied.pixels[half]).max() <= 2
    assert any((each.pixels[half] == plain.pixels[half]).all() for each in multiplied.readings)


def coded(monkeypatch: pytest.MonkeyPatch, points: dict[str, int], nclx: tuple[int, ...] | None, full: bool) -> bytes:
    """The first frame, as numbers that fit `full`, with these words in the codec and in the container."""
    monkeypatch.setattr(writing, "_POINTS", points)
    monkeypatch.setattr(writing, "_COLORS", replace(writing._COLORS, full=full))
    monkeypatch.setattr(writing, "_NCLX", b"" if nclx is None else struct.pack(">I8sHHHB", 19, b"colrnclx", *nclx))
    return written(writing.hevc_streams(iter([Picture(TRUTH[0]), Picture(TRUTH[1])]), quality=100))


FULL = {"color_primaries": 1, "color_trc": 13, "colorspace": 6, "color_range": 2}


@pytest.mark.parametrize(
    ("points", "nclx", "full"),
    [
        (FULL, (1, 13, 6, 0x80), True),
        (FULL, None, True),
        ({}, None, True),
        ({}, None, False),
        ({**FULL, "color_range": 1}, None, False),
        ({**FULL, "color_range": 1}, (1, 13, 6, 0x80), True),
        ({**FULL, "color_range": 1}, (1, 13, 6, 0x80), False),
        (FULL, (1, 13, 6, 0), False),
        (FULL, (1, 13, 1, 0x80), True),
    ],
)
def test_whatever_is_said_of_range_and_matrix_what_each_viewer_shows_is_judged(
    monkeypatch: pytest.MonkeyPatch, points: dict[str, int], nclx: tuple[int, ...] | None, full: bool
) -> None:
    data = coded(monkeypatch, points, nclx, full)
    first = pictures(data)[0]
    assert any(near(each, TRUTH[0], 3) for each in shown(first))
    theirs = libheif.read_sequence(data, 1)[0][0][..., :3]
    assert any(np.abs(each.astype(int) - theirs).max() <= 4 for each in shown(first))


@pytest.mark.parametrize(("nclx", "code"), [(None, 1), (None, 2), ((2, 2, 2, 0), 1), ((2, 2, 2, 0x80), 2)])
def test_grey_is_judged_as_it_is_and_stretched(nclx: tuple[int, ...] | None, code: int) -> None:
    """Readers show its numbers as they are, whatever is said of their range."""
    (_, alpha) = writing.hevc_streams(
        iter([Picture(np.dstack([each, each[..., 1]])) for each in TRUTH[:2]]), quality=100
    )
    colr = b"" if nclx is None else struct.pack(">I8sHHHB", 19, b"colrnclx", *nclx)
    data = written([replace(alpha, properties=colr)])
    theirs = libheif.read_sequence(data, 1)[0][0][..., :3]
    first = pictures(data)[0]
    assert any(np.abs(each.astype(int) - theirs).max() <= 2 for each in shown(first))
    assert len({each.tobytes() for each in shown(first)}) >= 2


def test_red_green_and_blue_of_a_narrow_range_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    container: Any = av.open(stream, "w", format="mp4", container_options={"use_editlist": "0"})
    with container:
        video = container.add_stream("libx265", rate=25, options={"x265-params": "log-level=none:info=0:bframes=0"})
        video.width, video.height, video.pix_fmt = 96, 64, "gbrp"
        video.codec_context.codec_tag, video.codec_context.colorspace = "hvc1", 0
        video.codec_context.color_range = 2
        for each in TRUTH:
            container.mux(video.encode(av.VideoFrame.from_ndarray(each, format="rgb24").reformat(format="gbrp")))
        container.mux(video.encode(None))
    data = stream.getvalue()
    (made,) = streams_of(data, HEVC)
    assert all(near(each.pixels, truth, 6) for each, truth in zip(pictures(written([made])), TRUTH, strict=True))
    narrow = struct.pack(">I8sHHHB", 19, b"colrnclx", 1, 13, 0, 0)
    with pytest.raises(UnsupportedImageError, match="red, green and blue that a matrix or a narrow range is said of"):
        pictures(written([replace(made, properties=narrow)]))


def test_a_still_that_is_something_else_is_judged_too() -> None:
    frames = [Picture(each) for each in TRUTH]
    (stream,) = writing.hevc_streams(iter(frames), quality=100)
    (other,) = writing.hevc_streams(iter(frames[::-1]), quality=100)
    data = written([stream])

    def point(root: Node) -> None:
        root.inner.append(Node(b"mdat", bytes(other.samples[0])))
        start = len(whole(root)) - len(other.samples[0])
        root.find(b"meta", b"iloc").put(14, ">II", start, len(other.samples[0]))

    first, *rest = pictures(changed(data, point))
    assert near(first.pixels, TRUTH[0], 3)
    assert any(near(each.pixels, TRUTH[-1], 3) for each in first.readings)
    assert not any(near(each.pixels, TRUTH[-1], 3) for each in pictures(data)[0].readings)
    assert [each.readings for each in rest] == [()] * 5
    still = as_still(data)
    assert still is not None
    assert near(decode(still).pixels, TRUTH[0], 3)


def test_samples_that_hold_none_or_several_pictures_or_layers_are_refused(plain: bytes) -> None:
    (stream,) = streams_of(plain, HEVC)
    first, second, third, *_ = (bytes(each) for each in stream.samples)
    with pytest.raises(UnsupportedImageError, match="several pictures or layers in one sample"):
        decode_frames(written([with_samples(stream, [first, second + third])]), "a")
    with pytest.raises(DamagedImageError, match="a sample without picture"):
        decode_frames(written([with_samples(stream, [first, struct.pack(">IH", 2, 36 << 9 | 1)])]), "a")
    with pytest.raises(DamagedImageError, match="begins with no picture of its own"):
        decode_frames(written([with_samples(stream, [second, third])]), "a")
    with pytest.raises(DamagedImageError, match="a sample to begin at that needs others"):
        decode_frames(written([with_samples(stream, [first, second], keys=[0, 1])]), "a")
    layered = struct.pack(">IHB", 3, 1 << 9 | 1 << 3 | 1, 0x80)
    with pytest.raises(UnsupportedImageError, match="several layers"):
        decode_frames(written([with_samples(stream, [first, second + layered])]), "a")


def test_a_picture_whose_reference_is_missing_or_that_is_damaged_is_an_error(plain: bytes) -> None:
    (stream,) = streams_of(plain, HEVC)
    samples = [bytes(each) for each in stream.samples]
    for some in ([samples[0], *samples[2:]], [*samples[:2], samples[2][:-4], *samples[3:]]):
        with pytest.raises(ImageError):
            pictures(written([with_samples(stream, some)]))
    cut = samples[2][:4] + samples[2][4:-8]
    with pytest.raises(DamagedImageError, match="an HEVC unit is cut short"):
        decode_frames(written([with_samples(stream, [*samples[:2], cut])]), "a")


def test_times_in_another_order_than_the_codec_has_are_refused(tmp_path: Path) -> None:
    data = libheif.write_sequence(TRUTH, [100] * 6, tmp_path / "a", structure=libheif.UNRESTRICTED)
    assert b"ctts" in data
    with pytest.raises(DamagedImageError, match="in another order than its time says"):
        pictures(changed(data, lambda root: root.find(b"moov", b"trak", b"mdia", b"minf", b"stbl").drop(b"ctts")))


def test_a_bomb_is_refused_by_what_its_samples_say() -> None:
    large = encoded([np.zeros((640, 640, 3), np.uint8)] * 2, "HEIF")

    def shrink(root: Node) -> None:
        track_of(root).find(b"tkhd").put(88, ">II", 104 << 16, 104 << 16)
        entry_of(root).put(24, ">HH", 104, 104)

    with pytest.raises(DamagedImageError, match="640 x 640 coded pixels where 104 x 104 are announced"):
        decode_frames(changed(large, shrink), "a")
    with pytest.raises(LimitError, match="640 x 640 coded pixels are over the cap of 20,000"):
        decode_frames(changed(large, shrink), "a", max_pixels=20_000)


def test_a_unit_within_a_unit_is_refused_before_anything_is_decoded(plain: bytes) -> None:
    (stream,) = streams_of(plain, HEVC)
    samples = [bytes(each) for each in stream.samples]
    hidden = bytes([50 << 1, 1]) + b"\5\0\0\1\x44\1\xc0"
    unit = struct.pack(">I", len(hidden)) + hidden
    with pytest.raises(DamagedImageError, match="an HEVC unit within a unit"):
        decode_frames(written([with_samples(stream, [samples[0], unit + samples[1]])]), "a")


def test_caps_hold(plain: bytes) -> None:
    with pytest.raises(LimitError, match="96 x 64 pixels are over the cap of 100"):
        decode_frames(plain, "a", max_pixels=100)
    with pytest.raises(LimitError, match="more than 2 frames"):
        decode_frames(plain, "a", max_frames=2)
    with pytest.raises(LimitError, match="6 frames of 96 x 64 pixels are over the cap"):
        decode_frames(plain, "a", max_total_pixels=6 * 96 * 64 - 1)


def test_other_codings_and_what_is_not_understood_are_refused(plain: bytes, veiled: bytes) -> None:
    depth = struct.pack(">I", 0) + b"urn:mpeg:hevc:2015:auxid:2\0"
    cases: list[tuple[bytes, Callable[[Node], Any], str]] = [
        (plain, lambda root: setattr(entry_of(root), "kind", b"hev1"), "HEIF sequences of kind 'hev1' are not taken"),
        (plain, lambda root: entry_of(root).inner.append(Node(b"lhvC", b"")), "not known, 'lhvC'"),
        (plain, lambda root: entry_of(root).inner.append(Node(b"clap", bytes(32))), "a clean aperture"),
        (plain, lambda root: entry_of(root).inner.append(Node(b"irot", b"\1")), "turned, which only some viewers heed"),
        (plain, lambda root: entry_of(root).inner.append(Node(b"imir", b"\0")), "turned, which only some viewers heed"),
        (veiled, lambda root: setattr(entry_of(root, 1).find(b"auxi"), "body", depth), "not their transparency"),
    ]
    for data, change, says in cases:
        with pytest.raises(UnsupportedImageError, match=f"^a: .*{says}"):
            decode_frames(changed(data, change), "a")


def test_what_is_cut_short_anywhere_gives_no_whole_animation(plain: bytes) -> None:
    for end in range(len(plain) - 1, 60, -max(1, len(plain) // 40)):
        with pytest.raises(ImageError):
            assert len(pictures(plain[:end])) < 0


def test_without_pyav_the_error_says_what_is_missing(plain: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UnsupportedImageError, match=r"HEIF sequences need the extra `video`: pip install"):
        pictures(plain)
