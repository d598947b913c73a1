"""Films in boxes: tables where only some players look for them are refused, and what all films have is not."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import av
import pytest
from film_files import blob, film
from heif_files import box

from censor.media.film import open_film
from censor.media.film_boxes import check_film_boxes
from detect.errors import DamagedImageError, UnsupportedImageError


@pytest.fixture(scope="module")
def clip() -> bytes:
    return film([blob(8 + 4 * each) for each in range(4)])


def check(data: bytes) -> None:
    check_film_boxes(io.BytesIO(data), len(data), "a")


def into(data: bytes, kind: bytes, more: bytes) -> bytes:
    """A film in whose first box of a kind, and in all around that, there is something more behind the rest."""
    paths = {b"moov": (), b"trak": (b"moov",), b"mdia": (b"moov", b"trak"), b"minf": (b"moov", b"trak", b"mdia"),
             b"stbl": (b"moov", b"trak", b"mdia", b"minf")}  # fmt: skip
    at, made = 0, bytearray(data)
    for each in (*paths[kind], kind):
        at = made.index(each, at) - 4
        made[at : at + 4] = (int.from_bytes(made[at : at + 4]) + len(more)).to_bytes(4)
        at += 4
    end = at - 4 + int.from_bytes(made[at - 4 : at])
    return bytes(made[: end - len(more)]) + more + bytes(made[end - len(more) :])


PLACES: list[Callable[[bytes, bytes], bytes]] = [
    *(lambda data, more, kind=kind: into(data, kind, more) for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl")),
    lambda data, more: data + more,
    lambda data, more: data[: int.from_bytes(data[:4])] + more + data[int.from_bytes(data[:4]) :],
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", [b"stco", b"trak", b"stsd", b"moov"])
@pytest.mark.parametrize("inside", [b"udta", b"dinf", b"wave", b"xxxx"])
def test_tables_where_only_some_players_look_are_refused(
    clip: bytes, place: Callable[[bytes, bytes], bytes], kind: bytes, inside: bytes
) -> None:
    check(place(clip, box(inside, box(b"name", b"by nobody"))))
    hidden = place(clip, box(inside, box(kind, bytes(16))))
    with pytest.raises((UnsupportedImageError, DamagedImageError), match=r"^a: "):
        check(hidden)


def test_two_tables_of_contents_are_refused(clip: bytes) -> None:
    start = clip.index(b"moov") - 4
    movie = clip[start : start + int.from_bytes(clip[start : start + 4])]
    with pytest.raises(UnsupportedImageError, match="a film with two tables of contents"):
        check(clip + movie)
    old = b"free" + movie[4:]
    check(clip + len(movie).to_bytes(4) + old[:4] + movie[8:])


def test_a_film_of_fragments_is_taken_and_tables_in_one_are_not() -> None:
    stream = io.BytesIO()
    read: Any = av.open(io.BytesIO(film([blob(8 + 4 * each) for each in range(4)], audio=None)))
    written: Any = av.open(stream, "w", format="mp4", container_options={"movflags": "frag_keyframe+empty_moov"})
    with read, written:
        (source,) = read.streams.video
        copy = written.add_stream_from_template(source)
        for packet in read.demux(source):
            if packet.size:
                packet.stream = copy
                written.mux(packet)
    data = stream.getvalue()
    assert b"moof" in data
    check(data)
    at = data.index(b"moof") - 4
    more = box(b"trak", bytes(8))
    grown = (int.from_bytes(data[at : at + 4]) + len(more)).to_bytes(4) + data[at + 4 : at + 8] + more + data[at + 8 :]
    with pytest.raises(UnsupportedImageError, match="a 'trak' box with what only some readers look for"):
        check(data[:at] + grown)


def test_it_is_asked_when_a_film_is_opened(clip: bytes) -> None:
    open_film(clip).close()
    with pytest.raises(UnsupportedImageError, match="only some readers look for"):
        open_film(into(clip, b"trak", box(b"udta", box(b"stco", bytes(8)))))
