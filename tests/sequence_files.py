"""AVIF and HEIF sequences taken apart into boxes and put together again, so that tests can change anything in them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from heif_files import box
from numpy.typing import NDArray
from PIL import Image

from detect.pictures.animation import decode_frames
from detect.pictures.animation.muxer import AV1, Coding, Stream, sequence_of
from detect.pictures.bmff import boxes
from detect.pictures.still import Picture
from detect.pictures.tracks import tracks

_INNER = {b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"dinf": 0, b"stbl": 0, b"edts": 0, b"tref": 0, b"stsd": 8,
          b"av01": 78, b"hvc1": 78, b"meta": 4, b"iprp": 0, b"ipco": 0, b"iref": 4}  # fmt: skip
"""Boxes with others in them, and how many bytes come before those."""


@dataclass
class Node:
    """A box: its bytes, or those before the boxes in it."""

    kind: bytes
    body: bytes
    inner: list[Node] = field(default_factory=list)

    def build(self) -> bytes:
        return box(self.kind, self.body, *(each.build() for each in self.inner))

    def find(self, *path: bytes) -> Node:
        """The first box of each kind, one within the other."""
        node = self
        for kind in path:
            node = next(each for each in node.inner if each.kind == kind)
        return node

    def all(self, kind: bytes) -> list[Node]:
        return [each for each in self.inner if each.kind == kind]

    def drop(self, kind: bytes) -> None:
        self.inner = [each for each in self.inner if each.kind != kind]

    def put(self, at: int, form: str, *values: int | bytes) -> None:
        """Write numbers, or words, over some of the body."""
        made = bytearray(self.body)
        struct.pack_into(form, made, at, *values)
        self.body = bytes(made)


def _nodes(data: bytes, start: int, end: int) -> list[Node]:
    found = []
    for each in boxes(data, start, end):
        head = _INNER.get(each.kind)
        if head is None:
            found.append(Node(each.kind, data[each.start : each.end]))
        else:
            inside = each.start + head
            found.append(Node(each.kind, data[each.start : inside], _nodes(data, inside, each.end)))
    return found


def read(data: bytes) -> Node:
    """All of a file, its samples moved to the front, so that what is changed behind them moves none."""
    root = Node(b"", b"", _nodes(data, 0, len(data)))
    samples = root.find(b"mdat")
    by = root.find(b"ftyp").build()
    shift = len(by) + 8 - data.index(b"mdat") - 4
    root.inner = [root.find(b"ftyp"), samples, *(each for each in root.inner if each.kind not in (b"ftyp", b"mdat"))]
    for track in root.find(b"moov").all(b"trak"):
        table = track.find(b"mdia", b"minf", b"stbl", b"stco")
        count = int.from_bytes(table.body[4:8])
        for at in range(8, 8 + 4 * count, 4):
            table.put(at, ">I", int.from_bytes(table.body[at : at + 4]) + shift)
    for meta in root.all(b"meta"):
        items = meta.find(b"iloc")
        for at in range(8, len(items.body), 14):
            items.put(at + 6, ">I", int.from_bytes(items.body[at + 6 : at + 10]) + shift)
    return root


def whole(root: Node) -> bytes:
    return b"".join(each.build() for each in root.inner)


def track_of(root: Node, number: int = 0) -> Node:
    return root.find(b"moov").all(b"trak")[number]


def table_of(root: Node, number: int = 0) -> Node:
    return track_of(root, number).find(b"mdia", b"minf", b"stbl")


def entry_of(root: Node, number: int = 0) -> Node:
    (entry,) = table_of(root, number).find(b"stsd").inner
    return entry


def sequence(frames: Sequence[NDArray[np.uint8]], **options: Any) -> bytes:
    """By Pillow: 100 ms each unless `duration` says otherwise, shown without end."""
    stream = io.BytesIO()
    images = [Image.fromarray(each) for each in frames]
    how: dict[str, Any] = {"duration": 100, "quality": 90, "speed": 10, **options}
    images[0].save(stream, "AVIF", save_all=True, append_images=images[1:], **how)
    return stream.getvalue()


def pictures(data: bytes, **caps: int) -> list[Picture]:
    return [each.picture for each in decode_frames(data, "a", **caps).frames]


def changed(data: bytes, *changes: Callable[[Node], Any]) -> bytes:
    root = read(data)
    for change in changes:
        change(root)
    return whole(root)


def streams_of(data: bytes, coding: Coding = AV1) -> list[Stream]:
    """What its tracks hold, colours before transparency."""
    found, _ = tracks(data, handlers=frozenset({b"pict", b"auxv", b"vide"}), name="a", most=100)
    made = []
    for track in sorted(found, key=lambda each: each.handler, reverse=True):
        bodies = {box.kind: data[box.start : box.end] for box in track.properties}
        colors = box(b"colr", bodies[b"colr"]) if b"colr" in bodies else b""
        samples = [data[start:end] for start, end in track.samples]
        made.append(
            Stream(
                configuration=bodies[coding.configuration], properties=colors, samples=samples, keys=track.keys or [],
                coding=coding,
            )
        )  # fmt: skip
    return made


def written(streams: Sequence[Stream], **options: Any) -> bytes:
    """Of 96 x 64 pixels, a tenth of a second for each."""
    count = len(streams[0].samples)
    how = {"width": 96, "height": 64, "ticks": [100] * count, "timescale": 1000, "plays": 0, **options}
    return sequence_of(*streams[:2], **how)


def with_samples(stream: Stream, samples: Sequence[bytes | memoryview], keys: Sequence[int] = (0,)) -> Stream:
    return replace(stream, samples=samples, keys=keys)
