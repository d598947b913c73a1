"""Which tracks of a sequence are shown, and whether what is said of them is understood.

Source:
    ISO/IEC 23008-12, 7 (sequences) and 9.3 (their properties); AV1 Image File Format, 3.
"""

from __future__ import annotations

from collections.abc import Iterable

from detect.errors import UnsupportedImageError
from detect.pictures.animation.muxer import Coding
from detect.pictures.tracks import Track, tracks

__all__ = ["bodies", "kept_properties", "orientation", "shown_tracks"]

_HANDLERS = frozenset({b"pict", b"auxv"})

_SOUND = b"soun"
"""What the only tracks are for that no reader shows anything of, whatever their samples are: they do not come out."""

_HEEDED = frozenset({b"colr", b"irot", b"imir", b"auxi"})

_UNHEEDED = frozenset(b"pasp ccst btrt clli mdcv cclv amve ndwt reve free skip pixi ispe taic".split())
"""Boxes of a sample entry that change nothing in what is shown."""

_TURNS = (b"irot", b"imir")

_ORIENTATIONS = ((1, 8, 3, 6), (4, 5, 2, 7), (2, 7, 4, 5))
"""By quarter turns to the left, the EXIF orientation: not mirrored, then top to bottom, or left to right."""


def shown_tracks(data: bytes, name: str, most: int, coding: Coding) -> tuple[Track, Track | None]:
    """The track of a sequence that is shown, and that of its transparency.

    Args:
        data: The file.
        name: What errors call it.
        most: Cap on the samples of a track.
        coding: How they are to be coded.

    Raises:
        LimitError: More samples.
        UnsupportedImageError: What viewers show in different ways, or what is not understood.
        ValueError: Broken.
    """
    read, others = tracks(data, handlers=_HANDLERS, name=name, most=most)
    for handler in others:
        if handler != _SOUND:
            kind = handler.decode("latin-1")
            raise UnsupportedImageError(f"{name}: a track of kind {kind!r}, which some viewers may show")
    colors, alphas = ([track for track in read if track.handler == each] for each in (b"pict", b"auxv"))
    if len(colors) != 1 or len(alphas) > 1:
        raise UnsupportedImageError(f"{name}: not one track of pictures, and one of their transparency at most")
    color = colors[0]
    for track in read:
        _check_entry(data, track, name, coding)
    if b"auxl" in color.references:
        raise UnsupportedImageError(f"{name}: a track of pictures that belongs to another")
    if not alphas:
        return color, None
    alpha = alphas[0]
    if color.number == alpha.number or alpha.references.get(b"auxl") != [color.number]:
        raise UnsupportedImageError(f"{name}: a track that belongs to none that is shown")
    if (alpha.width, alpha.height, alpha.seconds) != (color.width, color.height, color.seconds):
        raise UnsupportedImageError(f"{name}: transparency of other sizes or times than the pictures")
    if bodies(data, alpha, *_TURNS) not in ([], bodies(data, color, *_TURNS)):
        raise UnsupportedImageError(f"{name}: transparency that is turned another way than the pictures")
    return color, alpha


def bodies(data: bytes, track: Track, *kinds: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and body of each box of a track's sample entry that is of some kinds."""
    return [(box.kind, data[box.start : box.end]) for box in track.properties if box.kind in kinds]


def kept_properties(data: bytes, track: Track) -> bytes:
    """The boxes of a track of pictures that say what colours they are in and how they are turned; none of another's."""
    if track.handler != b"pict":
        return b""
    return b"".join((8 + len(body)).to_bytes(4) + kind + body for kind, body in bodies(data, track, b"colr", *_TURNS))


def orientation(data: bytes, track: Track) -> int:
    """The EXIF orientation that turns pictures as their track says.

    Source:
        ISO/IEC 23008-12, 6.5.10 (irot, counterclockwise) and 6.5.12 (imir, behind it; 1 is left to right).
    """
    turns = dict(bodies(data, track, *_TURNS))
    quarters = turns[b"irot"][0] & 3 if b"irot" in turns else 0
    mirrored = 1 + (turns[b"imir"][0] & 1) if b"imir" in turns else 0
    return _ORIENTATIONS[mirrored][quarters]


def _check_entry(data: bytes, track: Track, name: str, coding: Coding) -> None:
    """What is said of a track's samples."""
    if track.entry != coding.entry:
        kind = track.entry.decode("latin-1")
        raise UnsupportedImageError(
            f"{name}: {coding.format} sequences of kind {kind!r} are not taken; export it again"
        )
    for box in track.properties:
        if box.kind == b"clap":
            raise UnsupportedImageError(f"{name}: a sequence cropped by a clean aperture; export it again")
        if box.kind not in _HEEDED | _UNHEEDED | {coding.configuration}:
            kind = box.kind.decode("latin-1")
            raise UnsupportedImageError(f"{name}: a property of a sequence that is not known, {kind!r}")
    if bodies(data, track, *_TURNS) and not coding.turns:
        raise UnsupportedImageError(f"{name}: a {coding.format} sequence that is turned, which only some viewers heed")
    if len(bodies(data, track, coding.configuration)) != 1:
        raise ValueError("a track without configuration of its codec or with two")
    turns = bodies(data, track, *_TURNS)
    if [kind for kind, _ in turns] != [kind for kind in _TURNS if kind in dict(turns)]:
        raise UnsupportedImageError(f"{name}: turned in an order that viewers do not agree on")
    if any(len(body) != 1 or body[0] > 3 for _, body in turns):
        raise ValueError("a turn of an unknown form")
    _check_colors([body for _, body in bodies(data, track, b"colr")], name)
    told = [body[4:].split(b"\0")[0] for _, body in bodies(data, track, b"auxi")]
    if (told != []) if track.handler == b"pict" else (len(told) != 1 or told[0] not in coding.alphas):
        raise UnsupportedImageError(f"{name}: a track beside the pictures that is not their transparency")


def _check_colors(said: Iterable[bytes], name: str) -> None:
    if any(body[:4] == b"nclx" and len(body) < 11 for body in said):
        raise ValueError("code points that end early")
    colors = [body[:4] for body in said]
    profiles = [kind for kind in colors if kind in (b"prof", b"rICC")]
    if len(profiles) > 1 or [kind for kind in colors if kind not in profiles] not in ([], [b"nclx"]):
        raise UnsupportedImageError(f"{name}: colours of a sequence that are said twice, or in an unknown way")
