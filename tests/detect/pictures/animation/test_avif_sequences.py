"""AVIF sequences: what a track says against what its samples say, and its frames as they are shown."""

from __future__ import annotations

import copy
import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from animations import red_square
from heif_files import ispe
from numpy.typing import NDArray
from sequence_files import (
    Node,
    changed,
    entry_of,
    pictures,
    sequence,
    streams_of,
    table_of,
    track_of,
    whole,
    with_samples,
    written,
)  # fmt: skip

from detect.errors import DamagedImageError, ImageError, LimitError, UnsupportedImageError
from detect.pictures.animation import animated, decode_frames, durations_of
from detect.pictures.animation.sequences import as_still
from detect.pictures.still import decode

PLACES = (0, 10, 60)
TRUTH = [red_square(left) for left in PLACES]


def see_through() -> list[NDArray[np.uint8]]:
    frames = [np.dstack([each, np.full(each.shape[:2], 255, np.uint8)]) for each in TRUTH]
    for each in frames:
        each[44:, :, 3], each[:44, 84:, 3] = 128, 0
    return frames


@pytest.fixture(scope="module")
def plain() -> bytes:
    return sequence(TRUTH, duration=[100, 200, 300], quality=95, subsampling="4:4:4")


@pytest.fixture(scope="module")
def veiled() -> bytes:
    return sequence(see_through())


def test_frames_are_whole_with_the_times_that_the_file_says(plain: bytes) -> None:
    assert animated(plain)
    found = decode_frames(plain, "a")
    assert (found.format, found.width, found.height, found.plays) == ("AVIF", 96, 64, 0)
    frames = list(found.frames)
    assert [each.seconds for each in frames] == [Fraction(each, 10) for each in (1, 2, 3)] == durations_of(plain, "a")
    assert [each.start for each in frames] == [0, Fraction(1, 10), Fraction(3, 10)]
    for each, truth in zip(frames, TRUTH, strict=True):
        assert each.picture.format == "AVIF"
        assert each.picture.readings == ()
        assert np.abs(each.picture.pixels.astype(int) - truth).mean() < 2


@pytest.mark.parametrize("plays", [0, 1, 5])
def test_what_is_written_has_its_times_and_plays(plain: bytes, plays: int) -> None:
    data = written(streams_of(plain), ticks=[1, 0, 1001], timescale=30_000, plays=plays)
    found = decode_frames(data, "a")
    assert found.plays == plays
    assert [each.seconds for each in found.frames] == [Fraction(each, 30_000) for each in (1, 0, 1001)]


def test_times_that_a_file_cannot_say(plain: bytes) -> None:
    for wrong in ({"ticks": [2**32] * 3}, {"timescale": 0}, {"plays": 2**62, "ticks": [2**31] * 3}):
        with pytest.raises(ValueError, match="times that a track cannot say"):
            written(streams_of(plain), **wrong)


def test_transparency_and_what_is_beneath_it(veiled: bytes) -> None:
    for picture in pictures(veiled):
        assert (picture.pixels[:40, 88:] == 0).all()
        assert (picture.pixels[:40, :80, 3] == 255).all()
        assert (np.abs(picture.pixels[50:, :, 3].astype(int) - 128) <= 1).all()
        assert picture.beneath is not None
        assert (np.abs(picture.beneath[:40, 88:].astype(int) - 185) < 8).all()


def test_colors_multiplied_by_transparency(veiled: bytes) -> None:
    def mark(root: Node) -> None:
        track_of(root).inner.insert(1, Node(b"tref", b"", [Node(b"prem", struct.pack(">I", 2))]))
        root.drop(b"meta")

    plain, multiplied = pictures(veiled)[1], pictures(changed(veiled, mark))[1]
    assert (multiplied.pixels[..., 3] == plain.pixels[..., 3]).all()
    half = np.s_[52:, :80, :3]
    assert np.abs(np.minimum(plain.pixels[half] * 2.0, 255) - multiplied.pixels[half]).max() <= 2
    assert any((each.pixels[half] == plain.pixels[half]).all() for each in multiplied.readings)


@pytest.mark.parametrize(("turns", "steps"), [([(b"irot", 1)], 1), ([(b"irot", 3), (b"imir", 1)], 3)])
def test_frames_are_turned_as_their_track_says(plain: bytes, turns: list[tuple[bytes, int]], steps: int) -> None:
    upright = pictures(plain)[2].pixels
    wanted = np.rot90(upright, steps)
    wanted = wanted[:, ::-1] if len(turns) > 1 else wanted
    (stream,) = streams_of(plain)
    more = b"".join(struct.pack(">I4sB", 9, kind, value) for kind, value in turns)
    turned = replace(stream, properties=stream.properties + more)
    found = decode_frames(written([turned]), "a")
    assert (found.width, found.height) == (64, 96)
    assert np.array_equal([each.picture for each in found.frames][2].pixels, wanted)


def test_a_still_that_is_something_else_is_judged_too(plain: bytes) -> None:
    (stream,), (other,) = streams_of(plain), streams_of(sequence([TRUTH[2]] * 2, quality=95, subsampling="4:4:4"))
    data = written([stream])
    at = data.rindex(stream.samples[0])

    def point(root: Node) -> None:
        root.inner.append(Node(b"mdat", bytes(other.samples[0])))
        start = len(whole(root)) - len(other.samples[0])
        root.find(b"meta", b"iloc").put(14, ">II", start, len(other.samples[0]))

    assert at > 0
    first, *rest = pictures(changed(data, point))
    assert np.abs(first.pixels.astype(int) - TRUTH[0]).mean() < 2
    (reading,) = first.readings
    assert np.abs(reading.pixels.astype(int) - TRUTH[2]).mean() < 2
    assert [each.readings for each in rest] == [(), ()]
    turned = changed(data, lambda root: entry_of(root).inner.append(Node(b"irot", b"\1")))
    with pytest.raises(UnsupportedImageError, match="a still picture of 96 x 64 pixels beside a sequence of 64 x 96"):
        pictures(turned)
    assert pictures(changed(data, lambda root: root.drop(b"meta")))[0].readings == ()
    assert as_still(changed(data, lambda root: root.drop(b"meta"))) is None
    still = as_still(data)
    assert still is not None
    assert np.array_equal(decode(still).pixels, pictures(data)[0].pixels)


@pytest.mark.parametrize("brand", [b"avif", b"avis", b"mif1"])
def test_frames_are_taken_whatever_brand_comes_first(plain: bytes, brand: bytes) -> None:
    data = plain[:8] + brand + plain[12:]
    assert animated(data)
    assert len(pictures(data)) == 3


def test_a_bomb_is_refused_by_what_its_samples_say() -> None:
    large = sequence([np.zeros((640, 640, 3), np.uint8)] * 2)

    def shrink(root: Node) -> None:
        track_of(root).find(b"tkhd").put(88, ">II", 100 << 16, 100 << 16)
        entry_of(root).put(24, ">HH", 100, 100)
        root.find(b"meta", b"iprp", b"ipco", b"ispe").body = ispe(100, 100)[8:]

    data = changed(large, shrink)
    with pytest.raises(DamagedImageError, match="640 x 640 coded pixels where 100 x 100 are announced"):
        decode_frames(data, "a")
    with pytest.raises(LimitError, match="640 x 640 coded pixels are over the cap of 20,000"):
        decode_frames(data, "a", max_pixels=20_000)


def test_a_later_sample_of_another_size_is_refused(plain: bytes) -> None:
    (stream,) = streams_of(plain)
    (other,) = streams_of(sequence([np.zeros((640, 640, 3), np.uint8)] * 2))
    with pytest.raises(DamagedImageError, match="an AV1 sequence header that changes"):
        decode_frames(written([with_samples(stream, [stream.samples[0], other.samples[0]])]), "a")
    for transparent in (False, True):
        colors, alpha = streams_of(sequence(see_through()))
        _, wide = streams_of(sequence([np.zeros((96, 96, 4), np.uint8)] * 3))
        both = [colors, with_samples(alpha, wide.samples)] if transparent else [with_samples(colors, alpha.samples)]
        with pytest.raises(ImageError):
            pictures(written(both))


def test_samples_that_hold_none_or_several_pictures_are_refused(plain: bytes) -> None:
    (stream,) = streams_of(plain)
    first, second, third = (bytes(each) for each in stream.samples)
    with pytest.raises(UnsupportedImageError, match="several pictures or layers in one sample"):
        decode_frames(written([with_samples(stream, [first, second + third])]), "a")
    with pytest.raises(DamagedImageError, match="a sample without picture"):
        decode_frames(written([with_samples(stream, [first, b"\x12\0"])]), "a")
    with pytest.raises(DamagedImageError, match="before its sequence header"):
        decode_frames(written([with_samples(stream, [second, third])]), "a")
    with pytest.raises(DamagedImageError, match="a sample to begin at that needs others"):
        decode_frames(written([with_samples(stream, [first, second], keys=[0, 1])]), "a")
    header = first[: 4 + first[3]]
    with pytest.raises(DamagedImageError, match="begins with no picture of its own"):
        decode_frames(written([with_samples(stream, [header + second, third])]), "a")


def another_handler(kind: bytes, number: int = 0) -> Callable[[Node], None]:
    return lambda root: track_of(root, number).find(b"mdia", b"hdlr").put(8, ">4s", kind)


def with_property(kind: bytes, body: bytes) -> Callable[[Node], None]:
    return lambda root: entry_of(root).inner.append(Node(kind, body))


DOUBTFUL: dict[str, tuple[Callable[[Node], Any], str]] = {
    "sound": (another_handler(b"soun"), "not one track of pictures"),
    "text": (another_handler(b"text", 1), "a track of kind 'text', which some viewers may show"),
    "film": (another_handler(b"vide"), "a track of kind 'vide', which some viewers may show"),
    "transparency as data": (another_handler(b"meta", 1), "a track of kind 'meta', which some viewers may show"),
    "two of pictures": (another_handler(b"pict", 1), "not one track of pictures"),
    "twice": (lambda root: root.find(b"moov").inner.append(track_of(root)), "not one track of pictures"),
    "of nothing": (lambda root: track_of(root, 1).drop(b"tref"), "a track that belongs to none that is shown"),
    "of another": (
        lambda root: track_of(root, 1).find(b"tref", b"auxl").put(0, ">I", 9),
        "a track that belongs to none that is shown",
    ),
    "pictures of another": (
        lambda root: track_of(root).inner.append(Node(b"tref", b"", [Node(b"auxl", struct.pack(">I", 2))])),
        "a track of pictures that belongs to another",
    ),
    "of no kind": (lambda root: entry_of(root, 1).drop(b"auxi"), "that is not their transparency"),
    "depth": (lambda root: entry_of(root, 1).find(b"auxi").put(4, ">9s", b"urn:depth"), "not their transparency"),
    "other times": (
        lambda root: table_of(root, 1).find(b"stts").put(12, ">I", 101),
        "an edit list|other sizes or times",
    ),
    "turned transparency": (
        lambda root: entry_of(root, 1).inner.append(Node(b"irot", b"\1")),
        "transparency that is turned another way",
    ),
    "cropped": (with_property(b"clap", bytes(32)), "cropped by a clean aperture"),
    "unknown": (with_property(b"xxxx", b""), "a property of a sequence that is not known, 'xxxx'"),
    "order of turns": (
        lambda root: entry_of(root).inner.extend([Node(b"imir", b"\0"), Node(b"irot", b"\1")]),
        "turned in an order that viewers do not agree on",
    ),
    "colours twice": (with_property(b"colr", b"nclx" + bytes(7)), "colours of a sequence that are said twice"),
    "matrix": (
        lambda root: entry_of(root).find(b"colr").put(8, ">H", 0),
        "a matrix of colours, 0, that is another in the codec, 6",
    ),
    "codec": (lambda root: setattr(entry_of(root), "kind", b"hvc1"), "AVIF sequences of kind 'hvc1' are not taken"),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_what_viewers_show_in_different_ways_is_refused(veiled: bytes, case: str) -> None:
    change, says = DOUBTFUL[case]
    with pytest.raises(UnsupportedImageError, match=f"^a: .*({says})"):
        decode_frames(changed(veiled, change), "a")


def test_what_is_broken_is_refused(plain: bytes) -> None:
    for change, says in (
        (with_property(b"irot", b"\4"), "a turn of an unknown form"),
        (with_property(b"av1C", bytes(4)), "a track without configuration of its codec or with two"),
        (lambda root: setattr(entry_of(root).find(b"colr"), "body", b"nclx\0\1"), "code points that end early"),
        (lambda root: root.inner.append(root.find(b"meta")), "not one meta box"),
        (lambda root: root.inner.append(root.find(b"moov")), "not one moov box"),
    ):
        with pytest.raises(DamagedImageError, match=says):
            decode_frames(changed(plain, change), "a")


def test_tracks_of_sound_are_passed_over(plain: bytes) -> None:
    def add(root: Node) -> None:
        other = copy.deepcopy(track_of(root))
        other.find(b"mdia", b"hdlr").put(8, ">4s", b"soun")
        other.find(b"mdia", b"minf", b"stbl", b"stsd").inner = [Node(b"mp4a", bytes(40))]
        root.find(b"moov").inner.insert(1, other)

    assert len(pictures(changed(plain, add))) == 3


def test_what_is_cut_short_anywhere_gives_no_whole_animation(plain: bytes) -> None:
    for end in range(len(plain) - 1, 60, -max(1, len(plain) // 40)):
        with pytest.raises(ImageError):
            assert len(pictures(plain[:end])) < 0


def test_caps_hold(plain: bytes) -> None:
    with pytest.raises(LimitError, match="96 x 64 pixels are over the cap of 100"):
        decode_frames(plain, "a", max_pixels=100)
    with pytest.raises(LimitError, match="more than 2 frames"):
        decode_frames(plain, "a", max_frames=2)
    with pytest.raises(LimitError, match="3 frames of 96 x 64 pixels are over the cap"):
        decode_frames(plain, "a", max_total_pixels=3 * 96 * 64 - 1)


def test_samples_that_share_their_data_many_times_over_are_refused(plain: bytes) -> None:
    count, most = 8_000, 10_000
    (stream,) = streams_of(plain)

    def share(root: Node) -> None:
        table = table_of(root)
        start = int.from_bytes(table.find(b"stco").body[8:12])
        table.find(b"stts").body = struct.pack(">4I", 0, 1, count, 1)
        table.find(b"stsz").body = struct.pack(">3I", 0, len(stream.samples[0]), count)
        table.find(b"stsc").body = struct.pack(">5I", 0, 1, 1, 1, 1)
        table.find(b"stco").body = struct.pack(f">{count + 2}I", 0, count, *[start] * count)
        track_of(root).drop(b"edts")

    with pytest.raises(DamagedImageError, match="samples that share their data many times over"):
        decode_frames(changed(plain, share), "a", max_frames=most)
