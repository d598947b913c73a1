"""The tables of a track: where samples lie, how long each is shown, and all that may be wrong with them."""

from __future__ import annotations

import copy
import struct
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from sequence_files import Node, read, sequence, table_of, track_of, whole

from detect.errors import LimitError, UnsupportedImageError
from detect.pictures.bmff import boxes
from detect.pictures.tracks import Track, tracks

PICTURES = frozenset({b"pict", b"auxv"})


@pytest.fixture(scope="module")
def plain() -> bytes:
    return sequence([np.full((64, 96, 3), 60 * each, np.uint8) for each in range(3)], duration=[100, 200, 300])


def only(data: bytes, most: int = 10) -> Track:
    (track,), others = tracks(data, handlers=PICTURES, name="a", most=most)
    assert others == []
    return track


def changed(data: bytes, change: Callable[[Node], None]) -> bytes:
    root = read(data)
    change(root)
    return whole(root)


def test_a_track_is_read_whole(plain: bytes) -> None:
    track = only(plain)
    assert (track.number, track.handler, track.entry, track.width, track.height) == (1, b"pict", b"av01", 96, 64)
    assert track.seconds == [Fraction(1, 10), Fraction(1, 5), Fraction(3, 10)]
    assert (track.timescale, track.keys, track.plays) == (1000, [0], 0)
    assert [box.kind for box in track.properties] == [b"av1C", b"colr", b"ccst"]
    (data,) = (box for box in boxes(plain, 0, len(plain)) if box.kind == b"mdat")
    assert (track.samples[0][0], track.samples[-1][1]) == (data.start, data.end)
    assert [end for _, end in track.samples[:-1]] == [start for start, _ in track.samples[1:]]


def test_samples_in_several_chunks_and_in_boxes_of_another_version(plain: bytes) -> None:
    before = only(changed(plain, lambda root: None))
    first, second, third = before.samples

    def change(root: Node) -> None:
        table = table_of(root)
        table.drop(b"stco")
        table.inner.append(Node(b"co64", struct.pack(">IIQQ", 0, 2, first[0], third[0])))
        table.find(b"stsc").body = struct.pack(">8I", 0, 2, 1, 2, 1, 2, 1, 1)
        header = track_of(root).find(b"tkhd")
        header.body = struct.pack(">IIIIII", 1, 0, 0, 1, 0, 1200) + header.body[36:]
        edit = track_of(root).find(b"edts", b"elst")
        edit.body = struct.pack(">IIIiI", 1, 1, 600, 0, 0x10000)

    found = only(changed(plain, change))
    assert found.samples == [first, second, third]
    assert found.plays == 2


@pytest.mark.parametrize(("whole_of", "plays"), [(600, 1), (601, 2), (1800, 3), (2**63, 0), (2**64 - 1, 0)])
def test_how_often_it_is_shown(plain: bytes, whole_of: int, plays: int) -> None:
    assert only(changed(plain, lambda root: track_of(root).find(b"tkhd").put(28, ">Q", whole_of))).plays == plays


def test_without_an_edit_list_it_is_shown_without_end_and_with_one_that_is_not_repeated_once(plain: bytes) -> None:
    assert only(changed(plain, lambda root: track_of(root).drop(b"edts"))).plays == 0
    assert only(changed(plain, lambda root: track_of(root).find(b"edts", b"elst").put(0, ">I", 1 << 24))).plays == 1


def test_pictures_in_another_order_than_they_are_stored(plain: bytes) -> None:
    """Stored for 100, 200 and 300 ms, from 0, 100 and 300 on; shown from 0, 400 and 300 on, and all for 600."""
    assert only(plain).order == [0, 1, 2]
    found = only(changed(plain, lambda root: table_of(root).inner.append(offsets(1, 0, 300, 0))))
    assert (found.order, found.ticks) == ([0, 2, 1], [300, 100, 200])

    def later(root: Node) -> None:
        """All of it a tenth of a second later, and the edit list begins there."""
        table_of(root).inner.append(offsets(0, 100, 400, 100))
        track_of(root).find(b"edts", b"elst").put(16, ">q", 100)

    found = only(changed(plain, later))
    assert (found.order, found.ticks, sum(found.seconds)) == ([0, 2, 1], [300, 100, 200], Fraction(3, 5))


def in_another_file(root: Node) -> None:
    reference = track_of(root).find(b"mdia", b"minf", b"dinf", b"dref")
    reference.body = struct.pack(">III4sI", 0, 1, 12, b"url ", 0)


def in_two_forms(root: Node) -> None:
    described = table_of(root).find(b"stsd")
    described.body, described.inner = struct.pack(">II", 0, 2), [described.find(b"av01")] * 2


def offsets(version: int, *values: int) -> Node:
    """How long after it is decoded each picture is shown."""
    pairs = b"".join(struct.pack(">Ii", 1, each) for each in values)
    return Node(b"ctts", struct.pack(">II", version << 24, len(values)) + pairs)


DOUBTFUL: dict[str, tuple[Callable[[Node], None], str]] = {
    "shorter": (lambda root: track_of(root).find(b"edts", b"elst").put(8, ">Q", 100), "an edit list that shows"),
    "later": (lambda root: track_of(root).find(b"edts", b"elst").put(16, ">q", 100), "an edit list that shows"),
    "slower": (lambda root: track_of(root).find(b"edts", b"elst").put(24, ">I", 0x8000), "an edit list that shows"),
    "turned": (lambda root: track_of(root).find(b"tkhd").put(52, ">I", 0), "turned by a matrix"),
    "turned as a whole": (lambda root: root.find(b"moov", b"mvhd").put(48, ">I", 0), "turned by a matrix"),
    "off": (lambda root: track_of(root).find(b"tkhd").put(0, ">I", 1 << 24), "switched off"),
    "elsewhere": (in_another_file, "in another file"),
    "fragments": (lambda root: root.inner.append(Node(b"moof", b"")), "in fragments"),
    "fragments to come": (lambda root: root.find(b"moov").inner.append(Node(b"mvex", b"")), "in fragments"),
    "compact": (lambda root: table_of(root).inner.append(Node(b"stz2", bytes(8))), "a compact table of sizes"),
    "delayed": (lambda root: table_of(root).inner.append(offsets(0, 50, 50, 50)), "an edit list that shows"),
    "two forms": (in_two_forms, "in several forms"),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_what_readers_show_in_different_ways_is_refused(plain: bytes, case: str) -> None:
    change, says = DOUBTFUL[case]
    with pytest.raises(UnsupportedImageError, match=f"a: .*{says}"):
        only(changed(plain, change))


@pytest.mark.parametrize("inside", ["udta", "dinf", "wave", "free"])
@pytest.mark.parametrize("kind", [b"stco", b"trak", b"moov", b"stsd", b"covr"])
@pytest.mark.parametrize("where", ["file", "movie", "track", "media", "information", "table", "stills"])
def test_tables_where_only_some_readers_look_for_them_are_refused(
    plain: bytes, inside: str, kind: bytes, where: str
) -> None:
    """FFmpeg looks into most boxes, wherever they stand, and goes by the first table that it finds."""

    def change(root: Node) -> None:
        media = track_of(root).find(b"mdia")
        parents = {
            "file": root, "movie": root.find(b"moov"), "track": track_of(root), "media": media,
            "information": media.find(b"minf"), "table": table_of(root), "stills": root.find(b"meta"),
        }  # fmt: skip
        parents[where].inner.insert(1, Node(inside.encode(), b"", [Node(kind, bytes(12))]))

    with pytest.raises((UnsupportedImageError, ValueError)):
        only(changed(plain, change))
    harmless = changed(plain, lambda root: track_of(root).inner.append(Node(b"udta", b"", [Node(b"\xa9nam", b"x")])))
    assert len(only(harmless).samples) == 3


def test_a_coarse_clock_cuts_off_no_picture(plain: bytes) -> None:
    """Of 600 ms in ticks of a second an edit list may say one or none, and the last picture lasts 300."""

    def change(root: Node, lasts: int) -> None:
        root.find(b"moov", b"mvhd").put(20, ">I", 1)
        track_of(root).find(b"edts", b"elst").put(8, ">Q", lasts)
        track_of(root).find(b"tkhd").put(28, ">Q", lasts)

    with pytest.raises(UnsupportedImageError, match="an edit list that shows"):
        only(changed(plain, lambda root: change(root, 1)))


def numbers(*path: bytes) -> Callable[..., Callable[[Node], None]]:
    """What replaces the body of a box of the sample table by numbers."""

    def replaced(form: str, *values: int) -> Callable[[Node], None]:
        def change(root: Node) -> None:
            table_of(root).find(*path).body = struct.pack(form, *values)

        return change

    return replaced


BROKEN: dict[str, tuple[Callable[[Node], None], str]] = {
    "fewer durations": (numbers(b"stts")(">4I", 0, 1, 2, 100), "times of fewer samples"),
    "more durations": (numbers(b"stts")(">4I", 0, 1, 4, 100), "times of other samples"),
    "no durations": (numbers(b"stts")(">6I", 0, 2, 0, 100, 3, 100), "times of other samples"),
    "durations cut short": (numbers(b"stts")(">3I", 0, 2, 3), "ends early"),
    "fewer offsets": (lambda root: table_of(root).inner.append(offsets(0, 1, 2)), "times of fewer samples"),
    "due at once": (lambda root: table_of(root).inner.append(offsets(0, 100, 0, 0)), "due at the same time"),
    "after the end": (lambda root: table_of(root).inner.append(offsets(0, 0, 0, 301)), "or after the end"),
    "before the start": (lambda root: table_of(root).inner.append(offsets(1, -1, 0, 0)), "or after the end"),
    "no samples": (numbers(b"stsz")(">3I", 0, 0, 0), "without samples"),
    "empty sample": (numbers(b"stsz")(">6I", 0, 0, 3, 9, 0, 9), "without bytes"),
    "sample beyond": (numbers(b"stsz")(">3I", 0, 10**8, 3), "not in the file"),
    "fewer in chunks": (numbers(b"stsc")(">5I", 0, 1, 1, 2, 1), "samples that are nowhere"),
    "more in chunks": (numbers(b"stsc")(">5I", 0, 1, 1, 4, 1), "not in the file"),
    "chunk of none": (numbers(b"stsc")(">5I", 0, 1, 1, 0, 1), "of an unknown form"),
    "another form": (numbers(b"stsc")(">5I", 0, 1, 1, 3, 2), "of an unknown form"),
    "chunks from two on": (numbers(b"stsc")(">5I", 0, 1, 2, 3, 1), "that are not there"),
    "chunks beyond": (numbers(b"stsc")(">8I", 0, 2, 1, 3, 1, 5, 3, 1), "that are not there"),
    "no chunk": (numbers(b"stco")(">2I", 0, 0), "that are not there"),
    "key beyond": (numbers(b"stss")(">3I", 0, 1, 4), "samples to begin at"),
    "keys out of order": (numbers(b"stss")(">4I", 0, 2, 2, 1), "samples to begin at"),
    "two tables": (lambda root: table_of(root).inner.append(Node(b"stts", bytes(8))), "not one stts box"),
    "unknown version": (numbers(b"stts")(">4I", 1 << 24, 1, 3, 100), "unknown version"),
    "no timescale": (lambda root: track_of(root).find(b"mdia", b"mdhd").put(20, ">I", 0), "without a timescale"),
    "no timescale of all": (lambda root: root.find(b"moov", b"mvhd").put(20, ">I", 0), "without a timescale"),
    "half a pixel": (lambda root: track_of(root).find(b"tkhd").put(88, ">I", (96 << 16) + 1), "no whole size"),
    "other size": (lambda root: track_of(root).find(b"tkhd").put(88, ">I", 48 << 16), "a track of 48 x 64 with"),
    "no number": (lambda root: track_of(root).find(b"tkhd").put(20, ">I", 0), "a track without a number"),
    "no time": (lambda root: track_of(root).find(b"tkhd").put(28, ">Q", 0), "for no time"),
    "no file": (lambda root: table_of(root).find(b"stsd", b"av01").put(6, ">H", 2), "a file that is not named"),
    "long references": (
        lambda root: track_of(root).inner.append(Node(b"tref", b"", [Node(b"auxl", bytes(400))])),
        "references of an unknown form",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_says_how(plain: bytes, case: str) -> None:
    change, says = BROKEN[case]
    with pytest.raises(ValueError, match=says):
        only(changed(plain, change))


def test_caps(plain: bytes) -> None:
    with pytest.raises(LimitError, match="a: more than 2 frames"):
        only(plain, most=2)
    many = changed(plain, numbers(b"stsz")(">3I", 0, 1, 2**32 - 1))
    with pytest.raises(LimitError, match="a: more than 10 frames"):
        only(many)
    tracked = changed(plain, lambda root: root.find(b"moov").inner.extend([track_of(root)] * 64))
    with pytest.raises(LimitError, match="a: more than 64 tracks"):
        only(tracked)


def test_other_tracks_are_named_and_not_read(plain: bytes) -> None:
    def add(root: Node) -> None:
        other = copy.deepcopy(track_of(root))
        other.find(b"mdia", b"hdlr").put(8, ">4s", b"text")
        other.find(b"mdia").drop(b"minf")
        root.find(b"moov").inner.insert(1, other)

    found, others = tracks(changed(plain, add), handlers=PICTURES, name="a", most=10)
    assert [track.handler for track in found] == [b"pict"]
    assert others == [b"text"]
