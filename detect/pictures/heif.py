"""Whether a HEIF or AVIF file holds what it says: what codecs announce against what the container says.

Decoders make room for what the codec's own headers announce, whatever the container says. And where both differ, some
scale, some crop and some refuse.

Source:
    ISO/IEC 23008-12 (HEIF), 6.5 and 6.6; ISO/IEC 23000-22 (MIAF), 7.3; AV1 Image File Format, 2 and 4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction

from detect.errors import AnimatedImageError, LimitError, UnsupportedImageError
from detect.pictures import av1, hevc
from detect.pictures.bmff import Item, Items, boxes, items, top_boxes
from detect.pictures.formats import damaged, several

__all__ = ["ALPHA", "check_items", "multiplied"]

_CODECS = {"AVIF": (b"av01", b"av1C"), "HEIF": (b"hvc1", b"hvcC")}

_UNDERSTOOD = frozenset(
    b"ispe pixi pasp colr auxC av1C hvcC clap irot imir a1op a1lx lsel clli mdcv cclv amve ndwt reve".split()
)

ALPHA = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:hevc:2015:auxid:1",
    b"urn:mpeg:avc:2015:auxid:1",
)
"""What transparency is called; the first in AV1, the second in HEVC."""

_SMALL = 4_000_000
"""Pixels that a grid's tiles may always have more than the grid."""


def check_items(data: bytes, found: str, name: str, max_pixels: int) -> None:
    """Refuse a file whose primary picture, transparency or tiles are not what the container says they are.

    Args:
        data: The file.
        found: "AVIF" or "HEIF".
        name: What errors call it.
        max_pixels: The cap for the picture, and for all of its tiles together.

    Raises:
        DamagedImageError: Boxes that are broken, or sizes that differ.
        LimitError: More pixels than allowed, in the picture or in what it is made of.
        UnsupportedImageError: A picture put together in a way that viewers do not agree on.
        AnimatedImageError: Several pictures in one item, or a track.
    """
    try:
        _check(data, found, name, max_pixels)
    except (ValueError, EOFError) as error:
        raise damaged(name, str(error)) from error


def _check(data: bytes, found: str, name: str, max_pixels: int) -> None:
    top = top_boxes(data)
    metas = [box for box in top if box.kind == b"meta"]
    if len(metas) != 1:
        raise ValueError("not one meta box")
    if any(box.kind == b"moov" for box in top):
        raise several(name, found)
    every = items(data, metas[0])
    width, height = _size(data, every.by_id[every.primary])
    if width * height > max_pixels:
        raise LimitError(f"{name}: {width} x {height} pixels are over the cap of {max_pixels:,}")
    _check_turns(data, every.by_id[every.primary], found, name)
    read = 0
    for number in [every.primary, *_alphas(data, every)]:
        coded = _coded_items(data, every, number, found, name, max_pixels)
        across, down = _size(data, every.by_id[number])
        if across > width or down > height:
            raise ValueError(f"transparency of {across} x {down} pixels for {width} x {height}")
        if found == "HEIF" and _turns(data, every.by_id[number]) != _turns(data, every.by_id[every.primary]):
            raise ValueError("transparency that is turned another way than the picture")
        for item in coded:
            read += sum(end - start for start, end in item.extents)
            if read > 4 * len(data) + 2**20:
                raise ValueError("items that share their data many times over")
            _check_coded(data, item, found, name, max_pixels)


def multiplied(data: bytes) -> bytes | None:
    """A file whose colours are multiplied by their transparency, made not to say so: decoders then give what is there.

    Args:
        data: A file that `check_items` has taken.

    Returns:
        None for all other files.

    Source:
        ISO/IEC 23008-12, 7.3.5.2, the reference `prem`.
    """
    if b"prem" not in data:
        return None
    meta = next(box for box in top_boxes(data) if box.kind == b"meta")
    every = items(data, meta)
    if not set(_alphas(data, every)) & {to for each in every.referred(b"prem", every.primary) for to in each}:
        return None
    made = bytearray(data)
    for parent in boxes(data, meta.start + 4, meta.end):
        for box in boxes(data, parent.start + 4, parent.end) if parent.kind == b"iref" else ():
            if box.kind == b"prem":
                at = data.rindex(b"prem", 0, box.start)
                made[at : at + 4] = b"free"
    return bytes(made)


def _size(data: bytes, item: Item) -> tuple[int, int]:
    found = item.find(b"ispe")
    if len(found) != 1 or found[0].end - found[0].start != 12:
        raise ValueError("an item without size or with two")
    start = found[0].start
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (start + 4, start + 8))
    if width < 1 or height < 1:
        raise ValueError(f"{width} x {height} pixels are no picture")
    return width, height


def _check_turns(data: bytes, item: Item, found: str, name: str) -> None:
    """Crop, rotation and mirroring of the picture as a whole, which MIAF has in this order (7.3.6.7)."""
    turns = [kind for kind, _ in _turns(data, item)]
    if found == "AVIF" and b"clap" in turns:
        # Pillow shows the whole coded picture; viewers show the clean aperture, and what was cropped would come back.
        raise UnsupportedImageError(f"{name}: an AVIF cropped by a clean aperture; export it again")
    if turns != [kind for kind in (b"clap", b"irot", b"imir") if kind in turns]:
        raise UnsupportedImageError(f"{name}: cropped and turned in an order that viewers do not agree on")
    for box in item.find(b"clap"):
        _check_aperture(data[box.start : box.end], _size(data, item))


def _turns(data: bytes, item: Item) -> list[tuple[bytes, bytes]]:
    kinds = (b"clap", b"irot", b"imir")
    return [(box.kind, data[box.start : box.end]) for box, _ in item.properties if box.kind in kinds]


def _check_aperture(body: bytes, size: tuple[int, int]) -> None:
    """A clean aperture of whole pixels inside the picture (ISO/IEC 14496-12, 12.1.4): others get rounded."""
    if len(body) != 32:
        raise ValueError("a clean aperture of an unknown form")
    values = struct.unpack(">IIIIiIiI", body)
    if not all(values[1::2]):
        raise ValueError("a clean aperture of no size")
    across, down, right, below = (Fraction(values[at], values[at + 1]) for at in range(0, 8, 2))
    for whole, part, offset in zip(size, (across, down), (right, below), strict=True):
        start = Fraction(whole - 1, 2) + offset - (part - 1) / 2
        if part < 1 or start < 0 or start + part > whole or part.denominator != 1 or start.denominator != 1:
            raise ValueError("a clean aperture that does not lie in the picture")


def _alphas(data: bytes, every: Items) -> Iterator[int]:
    """Items that hold the transparency of the picture, or of one of its tiles."""
    shown = {every.primary, *(tile for tiles in every.referred(b"dimg", every.primary) for tile in tiles)}
    for number, item in every.by_id.items():
        if item.find(b"auxC") and any(shown & set(to) for to in every.referred(b"auxl", number)):
            kind = item.find(b"auxC")[0]
            if data[kind.start + 4 : kind.end].split(b"\0")[0] in ALPHA:
                yield number


def _coded_items(data: bytes, every: Items, number: int, found: str, name: str, max_pixels: int) -> list[Item]:
    """The items that a codec decodes for a picture: itself, or its tiles."""
    item = every.by_id[number]
    _check_understood(item, name)
    if item.kind == _CODECS[found][0]:
        return [item]
    if item.kind != b"grid":
        kind = item.kind.decode("latin-1")
        raise UnsupportedImageError(f"{name}: {found} pictures of kind {kind!r} are not taken; export it again")
    lists = every.referred(b"dimg", number)
    tiles = [every.by_id[tile] for tile in lists[0] if tile in every.by_id] if len(lists) == 1 else []
    rows, columns, width, height = _grid(b"".join(data[start:end] for start, end in _extents(item)[:1]))
    if len(tiles) != rows * columns or len(tiles) != len(lists[0]) or (width, height) != _size(data, item):
        raise ValueError("a grid that does not fit its tiles or its size")
    across, down = _size(data, tiles[0])
    if across * columns < width or down * rows < height:
        raise ValueError("a grid that its tiles do not fill")
    if across * columns * down * rows - width * height > max(width * height, _SMALL):
        raise LimitError(f"{name}: tiles of {across} x {down} pixels for a picture of {width} x {height}")
    for tile in tiles:
        _check_understood(tile, name)
        if tile.kind != _CODECS[found][0] or _size(data, tile) != (across, down):
            raise ValueError("a grid of unequal tiles")
        if any(tile.find(kind) for kind in (b"clap", b"irot", b"imir")):
            raise UnsupportedImageError(f"{name}: tiles that are cropped or turned one by one")
    if across * down > max_pixels:
        raise LimitError(f"{name}: tiles of {across} x {down} pixels are over the cap of {max_pixels:,}")
    return tiles


def _check_understood(item: Item, name: str) -> None:
    for box, essential in item.properties:
        if essential and box.kind not in _UNDERSTOOD:
            kind = box.kind.decode("latin-1")
            raise UnsupportedImageError(f"{name}: a property that must be understood and is not known, {kind!r}")


def _extents(item: Item) -> list[tuple[int, int]]:
    if not item.extents or (-1, -1) in item.extents:
        raise ValueError("an item whose data are not in the file")
    return item.extents


def _grid(body: bytes) -> tuple[int, int, int, int]:
    """Rows, columns, width and height (ISO/IEC 23008-12, 6.6.2.3)."""
    size = 4 if body[1:2] and body[1] & 1 else 2
    if len(body) != 4 + 2 * size or body[0]:
        raise ValueError("a grid of an unknown form")
    width, height = (int.from_bytes(body[at : at + size], "big") for at in (4, 4 + size))
    return body[2] + 1, body[3] + 1, width, height


def _check_coded(data: bytes, item: Item, found: str, name: str, max_pixels: int) -> None:
    """Compare the size of a coded item with what its bitstream says."""
    said = _size(data, item)
    extents = _extents(item)
    view = memoryview(data)
    whole = view[slice(*extents[0])] if len(extents) == 1 else memoryview(b"".join(view[a:b] for a, b in extents))
    configuration = item.find(_CODECS[found][1])
    if len(configuration) != 1:
        raise ValueError("an item without configuration of its codec or with two")
    setting = view[configuration[0].start : configuration[0].end]
    sizes, count = (_av1 if found == "AVIF" else _hevc)(setting, whole)
    for width, height in sizes:
        if width * height > max_pixels:
            raise LimitError(f"{name}: {width} x {height} coded pixels are over the cap of {max_pixels:,}")
        if (width, height) != said:
            raise damaged(name, f"{width} x {height} coded pixels where {said[0]} x {said[1]} are announced")
    if not sizes or not count:
        raise ValueError("an item without picture")
    if count > 1:
        raise AnimatedImageError(f"{name}: several frames in one item; export it again")


def _av1(setting: memoryview, data: memoryview) -> tuple[list[tuple[int, int]], int]:
    """Sizes of all sequence headers and frames, and how many pictures a layer has at most."""
    found = [*av1.frames(setting[4:]), *av1.frames(data)]
    shown = [frame.layer for frame in found if frame.shown]
    return [(frame.width, frame.height) for frame in found], max((shown.count(layer) for layer in shown), default=0)


def _hevc(setting: memoryview, data: memoryview) -> tuple[list[tuple[int, int]], int]:
    """Sizes of all parameter sets, and how many pictures begin."""
    found = hevc.of_item(setting, data)
    for coded, cropped in zip(found.coded, found.cropped, strict=True):
        hevc.require_little_cropped(coded, cropped)
    return found.cropped, found.begun
