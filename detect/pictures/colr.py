"""What a HEIF or AVIF file says of the colours of its primary picture.

Source:
    ISO/IEC 23008-12 (HEIF), 6.5.5; ISO/IEC 14496-12, 12.1.5 (`colr`).
"""

from __future__ import annotations

from collections.abc import Iterable

from detect.pictures import av1
from detect.pictures.bmff import Box, Items, items, top_boxes
from detect.pictures.cicp import Cicp, lit
from detect.pictures.color import Declared

__all__ = ["LIGHT", "colors_of_boxes", "colors_of_heif", "peaks_of_boxes"]

LIGHT = b"clli"
"""The box of how bright it gets (ISO/IEC 14496-12, 12.1.6), which browsers heed; that of the screen they do not."""


def colors_of_heif(data: bytes) -> list[Declared]:
    """Profiles of the primary item before its code points, as browsers take them.

    Args:
        data: A file that `detect.pictures.heif.check_items` has let pass.

    Returns:
        Where the primary item has neither: what its AV1 stream says, and then what is said of other items.
    """
    meta = next(box for box in top_boxes(data) if box.kind == b"meta")
    every = items(data, meta)
    own = _colors(data, every, [every.primary])
    if own:
        return own
    found = _of_stream(data, every)
    light = peaks_of_boxes(data, every.by_id[every.primary].find(LIGHT))
    others = _colors(data, every, [number for number in every.by_id if number != every.primary])
    return others if found is None else [*lit(found, light), *others]


def colors_of_boxes(data: bytes, found: Iterable[Box]) -> list[Declared]:
    """What some `colr` boxes say: profiles before code points, which may have their light from a `clli` beside them."""
    found = list(found)
    light = peaks_of_boxes(data, found)
    profiles: list[Declared] = []
    points: list[Declared] = []
    for box in found:
        body = data[box.start : box.end]
        if body[:4] in (b"prof", b"rICC"):
            profiles.append(body[4:])
        elif body[:4] in (b"nclx", b"nclc") and len(body) >= 10:
            primaries, transfer = (int.from_bytes(body[at : at + 2], "big") for at in (4, 6))
            points += lit(Cicp(primaries, transfer, video=True), light)
    return list(dict.fromkeys([*profiles, *points]))


def peaks_of_boxes(data: bytes, found: Iterable[Box]) -> list[float]:
    """How bright it gets, cd/m², as some boxes say."""
    bodies = [data[box.start : box.end] for box in found if box.kind == LIGHT]
    return [float(int.from_bytes(body[:2])) for body in bodies if len(body) >= 4]


def _colors(data: bytes, every: Items, numbers: list[int]) -> list[Declared]:
    said = [box for number in numbers for box, _ in every.by_id[number].properties if box.kind in (b"colr", LIGHT)]
    return colors_of_boxes(data, said)


def _of_stream(data: bytes, every: Items) -> Cicp | None:
    """By the primary item, or by the first that there is where that is a grid of others."""
    view = memoryview(data)
    for number in sorted(every.by_id, key=lambda each: each != every.primary):
        item = every.by_id[number]
        if item.kind == b"av01" and item.extents and item.extents[0][0] >= 0:
            start, end = item.extents[0]
            found = av1.points(view[start:end])
            return None if found is None else Cicp(*found, video=True)
    return None
