"""Curves of ICC profiles, as functions.

Source:
    ICC.1:2022, 10.6 and 10.18, as skcms reads them: `read_curve` and `eval_curve`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tones", "fixed", "read_curve", "tabled"]

Tones = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""What a curve makes of numbers, which may be off [0, 1]."""


def fixed(data: bytes, at: int) -> float:
    """An s15Fixed16Number."""
    return int.from_bytes(data[at : at + 4], "big", signed=True) / 65536


def read_curve(data: bytes) -> tuple[Tones, int] | None:
    """The curve that data begin with.

    Returns:
        The curve, and how many bytes it takes; None where it is malformed.

    Raises:
        ValueError: A parametric curve that may fall: Chromium takes the numbers for light then, others do not.
    """
    if data[:4] == b"para" and len(data) >= 12:
        return _parametric(data)
    if data[:4] != b"curv" or len(data) < 12:
        return None
    count = int.from_bytes(data[8:12], "big")
    if len(data) < 12 + 2 * count:
        return None
    if count < 2:
        gamma = struct.unpack_from(">H", data, 12)[0] / 256 if count else 1.0
        return _power(gamma, 1, 0, 0, 0, 0, 0), 12 + 2 * count
    return tabled(np.frombuffer(data, ">u2", count, 12) / 65535), 12 + 2 * count


def tabled(table: NDArray[np.float64]) -> Tones:
    """Straight lines between samples that lie evenly over [0, 1]."""
    at = np.arange(len(table))
    return lambda x: np.interp(x * (len(table) - 1), at, table)


def _parametric(data: bytes) -> tuple[Tones, int] | None:
    kind = int.from_bytes(data[8:10], "big")
    count = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}.get(kind)
    if count is None or len(data) < 12 + 4 * count:
        return None
    g, a, b, c, d, e, f = [*(fixed(data, 12 + 4 * each) for each in range(count)), *[0.0] * (7 - count)]
    if kind == 0:
        a = 1.0
    if kind in (1, 2):
        if a == 0:
            return None
        c, d, e, f = 0.0, -b / a, c, c
    if g < 0 or a < 0 or c < 0 or d < 0 or a * d + b < 0:
        raise ValueError("a colour profile with a curve that may fall, which each viewer takes for another")
    return _power(g, a, b, c, d, e, f), 12 + 4 * count


def _power(g: float, a: float, b: float, c: float, d: float, e: float, f: float) -> Tones:
    def tones(x: NDArray[np.float64]) -> NDArray[np.float64]:
        size = np.abs(x)  # as skcms: below zero it is the same curve, turned about the origin
        with np.errstate(all="ignore"):
            base = np.maximum(a * size + b, 0)
            risen = np.where(base == 0, 0, base**g)  # to the power of nothing, too: there skcms leaves 0 what it is
            bent = np.where(d <= size, risen + e, c * size + f)
        return np.where(x < 0, -bent, bent)

    return tones
