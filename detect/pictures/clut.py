"""Look-up tables of ICC profiles, evaluated as browsers do: between the points of a grid all corners of a cell count.

LittleCMS takes four corners of a cell of eight, those that a tetrahedron has. A table can be made that shows one
picture in the one way and another, or none, in the other.

Source:
    ICC.1:2022, 10.10 (lut16Type), 10.11 (lut8Type) and 10.12 (lutAToBType), as skcms reads and applies them:
    `read_tag_mft1`, `read_tag_mft2`, `read_tag_mab`, `skcms_Transform` and `clut`.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detect.pictures.curves import Tones, fixed, read_curve, tabled

__all__ = ["Clut", "read_clut", "to_xyz"]

_WHITE = np.array([0.9642, 1.0, 0.8249])


class Clut(NamedTuple):
    """The stages of a table, in the order in which they are applied.

    Attributes:
        inputs: A curve for each channel; none where there is no grid.
        grid: (points, ..., 3), uint8 or big-endian uint16.
        middles: Three curves, or none.
        matrix: (3, 4), the last column added; only behind `middles`.
        outputs: Three curves.
        lab: The outcome is Lab, not XYZ.
    """

    inputs: tuple[Tones, ...]
    grid: NDArray[np.unsignedinteger] | None
    middles: tuple[Tones, ...]
    matrix: NDArray[np.float64] | None
    outputs: tuple[Tones, ...]
    lab: bool


def read_clut(tag: bytes, channels: int, *, lab: bool) -> Clut | None:
    """A tag as skcms reads it.

    Args:
        tag: The whole tag.
        channels: How many the picture has.
        lab: The profile's connection space is Lab, not XYZ.

    Returns:
        None where the tag is malformed, or is for another number of channels.
    """
    if len(tag) < 32 or tag[8] != channels or tag[9] != 3:
        return None
    if tag[:4] == b"mft1":
        return _simple(tag, 48, np.dtype("u1"), (256, 256), lab=lab)
    if tag[:4] == b"mft2" and len(tag) >= 52:
        counts = (int.from_bytes(tag[48:50], "big"), int.from_bytes(tag[50:52], "big"))
        return _simple(tag, 52, np.dtype(">u2"), counts, lab=lab) if all(2 <= n <= 4096 for n in counts) else None
    return _staged(tag, channels, lab=lab) if tag[:4] == b"mAB " else None


def to_xyz(
    clut: Clut, levels: NDArray[np.uint8], shaken: np.random.Generator | None = None, most: float = 0.0
) -> NDArray[np.float64]:
    """XYZ under D50.

    Args:
        clut: As `read_clut` gave it.
        levels: uint8 (N, channels).
        shaken: What moves every number between two stages a little, up to `most` either way.
        most: See there.

    Returns:
        (N, 3), not finite where a curve runs off.
    """

    def moved(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values if shaken is None else values + shaken.uniform(-most, most, values.shape)

    if clut.grid is None:
        values = levels / 255
    else:
        ramp = np.arange(256) / 255
        curves = np.stack([curve(ramp) for curve in clut.inputs])
        values = _between(clut.grid, np.clip(moved(curves[np.arange(levels.shape[1]), levels]), 0, 1))
    if clut.matrix is not None:
        bent = _bent(clut.middles, moved(values))
        with np.errstate(all="ignore"):
            values = bent @ clut.matrix[:, :3].T + clut.matrix[:, 3]
    values = _bent(clut.outputs, moved(values))
    return _from_lab(values) if clut.lab else values


def _simple(
    tag: bytes, start: int, kind: np.dtype[np.unsignedinteger], counts: tuple[int, int], *, lab: bool
) -> Clut | None:
    """lut8Type and lut16Type. Their matrix is for XYZ as input, and the encoding of Lab for both is that of 8 bits."""
    channels, points = tag[8], tag[10]
    shape = (points,) * channels + (3,)
    sizes = [channels * counts[0], 3 * points**channels, 3 * counts[1]]
    if points < 2 or len(tag) - start < sum(sizes) * kind.itemsize:
        return None
    numbers = np.frombuffer(tag, kind, sum(sizes), start)
    ahead, grid, behind = np.split(numbers, np.cumsum(sizes)[:2])
    most = 2 ** (8 * kind.itemsize) - 1
    return Clut(
        tuple(tabled(each / most) for each in ahead.reshape(channels, -1)), grid.reshape(shape), (), None,
        tuple(tabled(each / most) for each in behind.reshape(3, -1)), lab,
    )  # fmt: skip


def _staged(tag: bytes, channels: int, *, lab: bool) -> Clut | None:
    """lutAToBType: as many of its stages as there are."""
    last, matrix_at, middle, grid_at, first = (int.from_bytes(tag[at : at + 4], "big") for at in range(12, 32, 4))
    outputs = _curves(tag, last, 3)
    middles, inputs = _curves(tag, middle, 3) if middle else (), _curves(tag, first, channels) if first else ()
    if last == 0 or outputs is None or middles is None or inputs is None:
        return None
    if bool(middle) != bool(matrix_at) or bool(first) != bool(grid_at) or (not first and channels != 3):
        return None
    matrix = None
    if middle:
        if len(tag) < matrix_at + 48:
            return None
        numbers = np.array([fixed(tag, matrix_at + 4 * each) for each in range(12)])
        matrix = np.column_stack([numbers[:9].reshape(3, 3), numbers[9:]]) * (1 if lab else 65535 / 32768)
    grid = _grid(tag[grid_at:], channels) if first else None
    return None if first and grid is None else Clut(inputs, grid, middles, matrix, outputs, lab)


def _grid(data: bytes, channels: int) -> NDArray[np.unsignedinteger] | None:
    if len(data) < 20 or data[16] not in (1, 2) or min(data[:channels]) < 2:
        return None
    shape = (*data[:channels], 3)
    count = int(np.prod([int(each) for each in shape], dtype=object))
    if len(data) < 20 + count * data[16]:
        return None
    return np.frombuffer(data, "u1" if data[16] == 1 else ">u2", count, 20).reshape(shape)


def _curves(tag: bytes, at: int, count: int) -> tuple[Tones, ...] | None:
    """Curves one behind the other, each from a multiple of four bytes on."""
    curves = []
    for _ in range(count):
        read = read_curve(tag[at:])
        if read is None:
            return None
        tones, length = read
        curves.append(tones)
        at += length + -length % 4
    return tuple(curves)


def _between(grid: NDArray[np.unsignedinteger], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """The grid at (N, channels) in [0, 1]: of every corner of the cell as much as the point is near it."""
    flat = grid.reshape(-1, 3)
    values = np.zeros((len(at), 3))
    axes = []
    stride = len(flat)
    for channel, points in enumerate(grid.shape[:-1]):
        stride //= points
        scaled = np.nan_to_num(at[:, channel]) * (points - 1)
        low = np.minimum(scaled.astype(np.int64), points - 2)
        part = scaled - low
        axes.append(((low * stride, 1 - part), ((low + 1) * stride, part)))
    for corner in itertools.product(*axes):
        (index, weight), *rest = corner
        for more, times in rest:
            index, weight = index + more, weight * times
        values += weight[:, None] * flat.take(index, axis=0)
    values /= np.iinfo(grid.dtype).max
    values[~np.isfinite(at).all(axis=1)] = np.nan
    return values


def _bent(curves: tuple[Tones, ...], values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([curve(values[:, each]) for each, curve in enumerate(curves)], axis=1)


def _from_lab(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lab of 8 bits, scaled to [0, 1], to XYZ (ICC.1:2022, 6.3.4.2 and annex A)."""
    with np.errstate(all="ignore"):
        y = (values[:, 0] * 100 + 16) / 116
        x, z = y + (values[:, 1] * 255 - 128) / 500, y - (values[:, 2] * 255 - 128) / 200
        roots = np.stack([x, y, z], axis=1)
        cubes = roots * roots * roots
        return np.asarray(np.where(cubes > 0.008856, cubes, (roots - 16 / 116) / 7.787) * _WHITE)
