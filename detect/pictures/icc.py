"""ICC profiles: what they say about RGB, and small ones of our own that say the same.

A profile is a container. Whatever hides in a tag, between tags or behind them would leave with the output, so nothing
of a profile's bytes is ever written: what is, is made here of nine numbers for the colorants and a few for the curves.

Source:
    ICC.1:2022. Where it leaves room for doubt: what skcms does, which is in Chromium, Android and Firefox's kin.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detect.pictures.clut import Clut, read_clut
from detect.pictures.curves import fixed, read_curve

__all__ = [
    "D50",
    "SRGB_CURVE",
    "SRGB_FROM_XYZ",
    "Curve",
    "Profile",
    "Shaper",
    "Table",
    "built",
    "encoded",
    "parsed",
    "sampled",
    "xyz_of_primaries",
]

D50 = (0.9642, 1.0, 0.8249)
"""The profile connection space's white: ICC.1:2022, 7.2.16."""

SRGB_FROM_XYZ = np.linalg.inv(
    np.array([[0.436066, 0.385147, 0.143066], [0.222488, 0.716873, 0.060608], [0.013916, 0.097076, 0.714096]])
)
"""XYZ under D50 to linear sRGB: IEC 61966-2-1, adapted after Bradford."""

Curve = tuple[float, float, float, float, float]
"""g, a, b, c, d: (a x + b) ** g from d on, c x below. ICC.1:2022, 10.18, function type 3."""

SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

_LEVELS = np.arange(256) / 255
_CHANNELS = {b"RGB ": 3, b"CMYK": 4, b"GRAY": 1}
_READ = frozenset(
    (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"A2B0", b"A2B1", b"cicp")
)  # the tags that anything is taken from
_MOST_LIGHT = 2.0**20  # beyond which nothing changes any more
_MOST_TAGS = 100  # LittleCMS takes no more


class Shaper(NamedTuple):
    """A curve for each channel, and then a matrix.

    Attributes:
        colorants: (3, 3) XYZ under D50, a column for each of R, G and B.
        curves: (3, 256) linear light at every 8-bit level, which may be off [0, 1].
    """

    colorants: NDArray[np.float64]
    curves: NDArray[np.float64]


class Table(NamedTuple):
    """A look-up table in both ways of reading one.

    Attributes:
        clut: As browsers read it, None where they don't.
        alone: A profile of ours around it, for LittleCMS alone.
    """

    clut: Clut | None
    alone: bytes


class Profile(NamedTuple):
    """What a profile says, and who listens.

    Attributes:
        shaper: Its curves and colorants, None where they are not there or are malformed.
        tables: Its look-up tables: perceptual, colorimetric. Browsers go by the first.
        sound: Nothing about it is out of order, so that every viewer reads it alike.
        taken: Whether browsers apply it.
        cicp: Primaries and transfer of its code points, None if there are none.
    """

    shaper: Shaper | None
    tables: tuple[Table, ...]
    sound: bool
    taken: bool
    cicp: tuple[int, int] | None


def parsed(icc: bytes, space: bytes = b"RGB ") -> Profile | None:
    """A profile for RGB, or for CMYK or GRAY if that is asked for; None if it is one for something else, or none."""
    if len(icc) < 132 or icc[16:20] != space or icc[36:40] != b"acsp":
        return None
    size, count = _u32(icc, 0), _u32(icc, 128)
    entries = [struct.unpack_from(">4sII", icc, 132 + 12 * each) for each in range(min(count, (len(icc) - 132) // 12))]
    kinds: set[bytes] = set()
    tags: dict[bytes, bytes] = {}
    whole = len(entries) == count and 132 + 12 * count <= size <= len(icc)
    for kind, start, length in entries:
        whole &= length >= 4 and start + length <= size
        kinds.add(kind)
        if kind in _READ and kind not in tags:  # of all tags it would be the whole profile many thousand times
            tags[kind] = icc[start : start + length] if length else icc[start:]  # 0 is no length to Chromium
    white = np.abs(np.array([fixed(icc, 68), fixed(icc, 72), fixed(icc, 76)]) - D50).max() <= 0.01
    taken = whole and icc[8] <= 4 and bool(white) and icc[20:24] in (b"XYZ ", b"Lab ")
    shaper, malformed = _grey(tags) if space == b"GRAY" else _shaper(tags)
    lab = icc[20:24] == b"Lab "
    tables = tuple(
        Table(read_clut(tag, _CHANNELS[space], lab=lab), _around(icc, tag))
        for tag in (tags.get(kind, b"") for kind in (b"A2B0", b"A2B1")) if len(tag) > 32
    )  # fmt: skip
    cicp = tags.get(b"cicp", b"")
    return Profile(
        shaper=shaper,
        tables=tables,
        sound=taken and len(kinds) == count <= _MOST_TAGS and icc[8] in (2, 4) and icc[20:24] == b"XYZ "
        and icc[12:16] in (b"mntr", b"scnr", b"spac", b"prtr")
        and not {b"A2B0", b"A2B1", b"A2B2", b"D2B0", b"D2B1", b"D2B2", b"D2B3", b"cicp"} & kinds,
        taken=taken and not malformed and (shaper is not None or bool(tables)),
        cicp=(cicp[8], cicp[9]) if cicp[:4] == b"cicp" and len(cicp) >= 12 else None,
    )  # fmt: skip


def _shaper(tags: dict[bytes, bytes]) -> tuple[Shaper | None, bool]:
    """Curves and colorants, and whether any of them is there but malformed."""
    curves = [_curve(tags[kind]) for kind in (b"rTRC", b"gTRC", b"bTRC") if kind in tags]
    columns = [_xyz(tags[kind]) for kind in (b"rXYZ", b"gXYZ", b"bXYZ") if kind in tags]
    malformed = (len(curves) == 3 and any(each is None for each in curves)) or (
        len(columns) == 3 and any(each is None for each in columns)
    )
    good_curves = [each for each in curves if each is not None]
    good_columns = [each for each in columns if each is not None]
    if len(good_curves) < 3 or len(good_columns) < 3:
        return None, malformed
    return Shaper(np.stack(good_columns, axis=1), np.stack(good_curves)), malformed


def _grey(tags: dict[bytes, bytes]) -> tuple[Shaper | None, bool]:
    """The curve for grey as that of all three channels, and whether it is malformed."""
    curve = _curve(tags[b"kTRC"]) if b"kTRC" in tags else None
    return (None, b"kTRC" in tags) if curve is None else (Shaper(np.diag(D50), np.stack([curve] * 3)), False)


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _xyz(tag: bytes) -> NDArray[np.float64] | None:
    return np.array([fixed(tag, at) for at in (8, 12, 16)]) if tag[:4] == b"XYZ " and len(tag) >= 20 else None


def _curve(tag: bytes) -> NDArray[np.float64] | None:
    """A curve tag at every 8-bit level."""
    read = read_curve(tag)
    if read is None:
        return None
    values = read[0](_LEVELS)
    return None if np.isnan(values).any() else np.clip(values, -_MOST_LIGHT, _MOST_LIGHT)


def _around(icc: bytes, table: bytes) -> bytes:
    """A profile with one look-up table for its only tag, and a header that LittleCMS takes."""
    if table[:4] in (
        b"mft1",
        b"mft2",
    ):  # whose matrix is for XYZ as input alone (10.10): LittleCMS applies it, skcms not
        table = table[:12] + b"".join(_number(each) for each in (1, 0, 0, 0, 1, 0, 0, 0, 1)) + table[48:]
    start = 132 + 12
    header = bytearray(128)
    header[0:4] = struct.pack(">I", start + len(table))
    header[8] = min(max(icc[8], 2), 4)
    header[12:16], header[16:24], header[36:40] = b"mntr", icc[16:24], b"acsp"
    header[68:80] = b"".join(_number(each) for each in D50)
    return bytes(header) + struct.pack(">I4sII", 1, b"A2B0", start, len(table)) + table


def encoded(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light in [0, 1] to sRGB in 0..255 (IEC 61966-2-1)."""
    return 255 * np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def xyz_of_primaries(xy: Sequence[float]) -> NDArray[np.float64] | None:
    """Colorants under D50, adapted after Bradford.

    Args:
        xy: White, red, green and blue, x and y of each, in [0, 1].

    Returns:
        (3, 3), or None where the numbers make no colour space.
    """
    points = np.array(xy, np.float64).reshape(4, 2)
    if not ((points >= 0) & (points <= 1)).all() or points[0, 1] == 0:
        return None
    whole = np.column_stack([points, 1 - points.sum(axis=1)])
    white = whole[0] / whole[0, 1]
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    try:
        matrix = whole[1:].T * np.linalg.solve(whole[1:].T, white)
        with np.errstate(all="ignore"):
            adapted = np.linalg.inv(cone) @ np.diag((cone @ D50) / (cone @ white)) @ cone @ matrix
    except np.linalg.LinAlgError:
        return None
    return adapted if np.isfinite(adapted).all() and np.abs(adapted).max() < 2**15 else None


def _number(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _text(text: str) -> bytes:
    """A multiLocalizedUnicodeType in one language (ICC.1:2022, 10.15)."""
    body = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(body), 28) + body


def sampled(shaper: Shaper) -> bytes:
    """A profile that is exact at every 8-bit level. For converting only: its curves are the source's."""
    return _written(
        shaper.colorants,
        [b"curv\0\0\0\0" + struct.pack(">I", 256) + np.round(curve * 65535).astype(">u2").tobytes()
         for curve in shaper.curves],
    )  # fmt: skip


@functools.lru_cache(maxsize=64)
def built(colorants: tuple[float, ...], curves: tuple[Curve, ...]) -> bytes:
    """A profile of colorants and parametric curves, and nothing else (ICC.1:2022, 8.3)."""
    written = []
    for curve in curves:
        pure = curve[1:] == (1.0, 0.0, 0.0, 0.0)
        numbers = curve[:1] if pure else curve
        written.append(b"para\0\0\0\0" + struct.pack(">HH", 0 if pure else 3, 0) + b"".join(map(_number, numbers)))
    return _written(np.array(colorants).reshape(3, 3), written)


def _written(colorants: NDArray[np.float64], curves: Sequence[bytes]) -> bytes:
    tags = {
        b"desc": _text("RGB"),
        b"cprt": _text("CC0"),
        b"wtpt": b"XYZ \0\0\0\0" + b"".join(_number(each) for each in D50),
    }
    for channel, name in enumerate((b"r", b"g", b"b")):
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + b"".join(_number(each) for each in colorants[:, channel])
        tags[name + b"TRC"] = curves[channel]
    entries, body, start = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        entries += name + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    header = bytearray(128)
    header[0:4] = struct.pack(">I", start + len(body))
    header[8:12], header[12:24], header[36:40] = b"\x04\x20\0\0", b"mntrRGB XYZ ", b"acsp"
    header[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # a date there must be
    header[68:80] = b"".join(_number(each) for each in D50)
    return bytes(header) + struct.pack(">I", len(tags)) + entries + body
