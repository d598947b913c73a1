"""Files of `viewer_files` with a few bytes changed: what nobody thought of."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from viewer_files import MIME, Case, cases_of

__all__ = ["random_case"]


def random_case(rng: np.random.Generator, only: str | None) -> Case:
    """A fixed file of a kind that browsers show, with a few bytes of its profile, header, boxes or chunks changed.

    Where pixels lie is left alone: damage there is another matter. Check sums of chunks are made right again.
    """
    family = only or str(rng.choice([each for each, mime in MIME.items() if mime]))
    case = cases_of(family)[rng.integers(len(cases_of(family)))]
    data, changes = bytearray(case.data), []
    start, end = _before_pixels(family, case.data)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(start, end))
        data[at] = int(rng.choice([int(rng.integers(256)), data[at] ^ (1 << int(rng.integers(8))), 0, 255]))
        changes.append(f"{at}={data[at]}")
    return Case(family, f"{case.name}; {', '.join(changes)}", _summed(bytes(data)) if family == "png" else bytes(data))


def _before_pixels(family: str, data: bytes) -> tuple[int, int]:
    marks = {"png": b"IDAT", "jpeg": b"\xff\xda", "webp": b"VP8L", "avif": b"mdat", "gif": b"!\xff\x0bICC"}
    found = data.find(marks.get(family, b"none"))
    return (21 if family == "webp" else 12), max(found - 4, 30) if found >= 0 else min(len(data), 138)


def _summed(data: bytes) -> bytes:
    at, out = 8, bytearray(data)
    while at + 12 <= len(out):
        length = int.from_bytes(out[at : at + 4], "big")
        if at + 12 + length > len(out):
            break
        out[at + 8 + length : at + 12 + length] = struct.pack(">I", zlib.crc32(out[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(out)
