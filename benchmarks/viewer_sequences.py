"""AVIF sequences for `compare_viewers.py`, whose first frame is shown for a minute."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sequence_files import Node, entry_of, read, track_of, whole

__all__ = ["sequence_cases"]

RGB = NDArray[np.uint8]


def _sequence(first: RGB, second: RGB, **options: Any) -> bytes:
    stream = io.BytesIO()
    how = {"quality": 97, "subsampling": "4:4:4", "speed": 9, **options}
    Image.fromarray(first).save(
        stream, "AVIF", save_all=True, append_images=[Image.fromarray(second)], duration=[60_000, 100], **how
    )
    return stream.getvalue()


def _changed(data: bytes, change: Callable[[Node], object]) -> bytes:
    root = read(data)
    change(root)
    return whole(root)


def sequence_cases(rgb: RGB, profiles: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Code points, profiles and turns of the track, transparency, and stills that are something else.

    Args:
        rgb: What the first frame shows; the second is its negative.
        profiles: Colour profiles by name.
    """
    alpha = np.tile(np.linspace(0, 255, rgb.shape[1]).astype(np.uint8), (len(rgb), 1))
    for name, options in {"full": {}, "narrow": {"range": "limited"}, "4:2:0": {"subsampling": "4:2:0"}}.items():
        yield name, _sequence(rgb, 255 - rgb, **options)
        yield f"{name}, alpha", _sequence(np.dstack([rgb, alpha]), np.dstack([255 - rgb, alpha]), **options)
    base = _sequence(rgb, 255 - rgb, range="limited")
    for primaries, transfer in ((1, 1), (1, 8), (9, 13), (9, 16), (9, 18), (12, 13), (2, 2), (99, 99)):
        points = b"nclx" + struct.pack(">HH", primaries, transfer)
        yield f"points {primaries}/{transfer}", base.replace(b"nclx\0\1\0\x0d", points)
        yield f"points {primaries}/{transfer} of the track alone", _changed(base, partial(_put_points, points=points))
    for name in ("srgb", "p3", "linear", "swapped", "junk"):
        yield f"ICC {name}", _sequence(rgb, 255 - rgb, icc_profile=profiles[name], range="limited")
    for kind, values in ((b"irot", range(4)), (b"imir", range(2))):
        for value in values:
            turn = partial(_add, node=Node(kind, bytes([value])))
            yield f"{kind.decode()} {value} of the track alone", _changed(base, turn)
    for pair in ((9, 16), (1, 8), (12, 13)):
        items = base.replace(b"nclx\0\1\0\x0d", b"nclx" + struct.pack(">HH", *pair), 1)
        yield f"points {pair} of the items alone", items
        yield (
            f"points {pair} of the items, none of the track",
            _changed(items, lambda root: entry_of(root).drop(b"colr")),
        )
    for matrix in (0, 1, 2, 8, 9):
        yield f"matrix {matrix} of the track alone", _changed(base, partial(_put_matrix, matrix=matrix))
    yield "a matrix of the track", _changed(base, lambda root: track_of(root).find(b"tkhd").put(52, ">9i", *_HALF_TURN))
    yield "the items' brand first", base.replace(b"ftypavis", b"ftypavif")
    yield "no items", _changed(base, lambda root: root.drop(b"meta"))
    yield "no edit list", _changed(base, lambda root: track_of(root).drop(b"edts"))
    yield "later", _changed(base, lambda root: track_of(root).find(b"edts", b"elst").put(16, ">q", 60_000))
    yield "of a film", _changed(base, lambda root: track_of(root).find(b"mdia", b"hdlr").put(8, ">4s", b"vide"))


def _put_points(root: Node, points: bytes) -> None:
    entry_of(root).find(b"colr").put(0, ">8s", points)


def _put_matrix(root: Node, matrix: int) -> None:
    entry_of(root).find(b"colr").put(8, ">H", matrix)


def _add(root: Node, node: Node) -> None:
    entry_of(root).inner.append(node)


_HALF_TURN = (-0x10000, 0, 0, 0, -0x10000, 0, 0, 0, 0x40000000)
