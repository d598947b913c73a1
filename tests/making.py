"""Files put together by hand: what no library writes, and what some viewers read in their own way."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))


def matrix_profile(
    primaries: tuple[tuple[float, float], ...], curve: float | NDArray[np.uint16], extra: bytes = b"", tail: bytes = b""
) -> bytes:
    """A version 2 display profile (ICC.1:2022, 7 and 8.3), its primaries adapted from D65 to D50 after Bradford."""

    def xyz(x: float, y: float) -> NDArray[np.float64]:
        return np.array([x / y, 1, (1 - x - y) / y])

    matrix = np.stack([xyz(*each) for each in primaries], axis=1)
    white, d50 = xyz(0.3127, 0.3290), np.array([0.9642, 1, 0.8249])
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    adapt = np.linalg.inv(cone) @ np.diag((cone @ d50) / (cone @ white)) @ cone
    matrix = adapt @ (matrix * np.linalg.solve(matrix, white))

    def number(values: NDArray[np.float64]) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    if isinstance(curve, float):
        table = struct.pack(">IH", 1, round(curve * 256)) + b"\0\0"
    else:
        table = struct.pack(">I", len(curve)) + curve.astype(">u2").tobytes()
    tags = {b"wtpt": b"XYZ \0\0\0\0" + number(d50)}
    for channel, name in enumerate((b"r", b"g", b"b")):
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + number(matrix[:, channel])
        tags[name + b"TRC"] = b"curv\0\0\0\0" + table
    if extra:
        tags[b"priv"] = b"text\0\0\0\0" + extra
    entries, body, start = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        entries += name + struct.pack(">II", start + len(body), len(value))
        body += padded
    head = bytearray(128)
    head[0:4] = struct.pack(">I", start + len(body))
    head[8:12], head[12:24], head[36:40] = b"\x02\x10\0\0", b"mntrRGB XYZ ", b"acsp"
    head[68:80] = number(d50)
    return bytes(head) + struct.pack(">I", len(tags)) + entries + body + tail


def lut_profile(table: NDArray[np.uint8], space: bytes = b"RGB ", tag: bytes = b"A2B0") -> bytes:
    """A profile of one lut8Type in Lab with a grid of two points: `table` is (2 ** n, 3)."""
    grid = (table / 255).reshape((2,) * (len(table).bit_length() - 1) + (3,))
    return table_profile({tag: lut_tag(grid, b"mft1")}, space)


def lut_tag(grid: NDArray[np.float64], kind: bytes, behind: NDArray[np.float64] | None = None) -> bytes:
    """A look-up table (ICC.1:2022, 10.10 to 10.12) of a grid (points, ..., 3) in [0, 1], and one curve behind it."""
    channels, points = grid.ndim - 1, len(grid)
    behind = np.linspace(0, 1, 256) if behind is None else behind
    if kind == b"mAB ":
        plain = b"curv" + bytes(8)
        curve = b"curv\0\0\0\0" + struct.pack(">I", len(behind)) + np.round(behind * 65535).astype(">u2").tobytes()
        curves = (curve + bytes(-len(curve) % 4)) * 3
        numbers = (
            bytes([points] * channels).ljust(16, b"\0") + b"\2\0\0\0" + np.round(grid * 65535).astype(">u2").tobytes()
        )
        first = 32 + len(curves)
        offsets = struct.pack(">5I", 32, 0, 0, first + 12 * channels, first)
        return b"mAB \0\0\0\0" + bytes([channels, 3, 0, 0]) + offsets + curves + plain * channels + numbers
    matrix = struct.pack(">9i", *(65536 * each for each in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    ramp = np.linspace(0, 1, 256)
    samples = np.concatenate([*[ramp] * channels, grid.ravel(), *[behind] * 3])
    head = kind + bytes(4) + bytes([channels, 3, points, 0]) + matrix
    if kind == b"mft1":
        return head + np.round(samples * 255).astype(np.uint8).tobytes()
    return head + struct.pack(">HH", 256, len(behind)) + np.round(samples * 65535).astype(">u2").tobytes()


def table_profile(
    tags: dict[bytes, bytes], space: bytes = b"RGB ", connection: bytes = b"Lab ", version: int = 2
) -> bytes:
    """A profile of these tags alone (ICC.1:2022, 7)."""
    entries, body, start = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        entries += name + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = bytearray(128)
    head[0:4] = struct.pack(">I", start + len(body))
    head[8:12], head[12:24], head[36:40] = bytes([version, 0x10, 0, 0]), b"mntr" + space + connection, b"acsp"
    head[68:80] = struct.pack(">3i", 63190, 65536, 54061)
    return bytes(head) + struct.pack(">I", len(tags)) + entries + body


Chunk = tuple[bytes, bytes]


def gama(value: float) -> Chunk:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def chrm(*xy: float) -> Chunk:
    return b"cHRM", struct.pack(">8I", *(round(each * 100_000) for each in xy))


def cicp(*points: int) -> Chunk:
    return b"cICP", bytes(points)


def iccp(profile: bytes) -> Chunk:
    return b"iCCP", b"x\0\0" + zlib.compress(profile)


def png(
    pixels: NDArray[np.integer],
    before: Sequence[Chunk] = (),
    *,
    behind_palette: Sequence[Chunk] = (),
    behind_pixels: Sequence[Chunk] = (),
    palette: bytes | None = None,
    bits: int = 8,
) -> bytes:
    """A PNG of (H, W), (H, W, 2), (H, W, 3) or (H, W, 4) with chunks where no library would put them."""
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[1 if pixels.ndim == 2 else pixels.shape[2]] if palette is None else 3

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = pixels.astype(">u2" if bits == 16 else np.uint8)
    height, width = pixels.shape[:2]
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)), *before]
    parts += [(b"PLTE", palette)] if palette is not None else []
    parts += [*behind_palette, (b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in [*parts, *behind_pixels, (b"IEND", b"")])


def bmp(
    pixels: NDArray[np.uint8], *, header: int = 124, space: bytes = b"BGRs", gamma: float = 0, profile: bytes = b""
) -> bytes:
    """A 24-bit BMP with a BITMAPV4HEADER or BITMAPV5HEADER; `space` back to front, as it stands in the file."""
    height, width = pixels.shape[:2]
    rows = b"".join(row[:, ::-1].tobytes() + bytes(-3 * width % 4) for row in pixels[::-1])
    head = struct.pack("<IiiHHIIiiII", header, width, height, 1, 24, 0, len(rows), 2835, 2835, 0, 0) + bytes(16)
    head += space + bytes(36) + struct.pack("<3I", *[round(gamma * 65536)] * 3)
    if header == 124:
        head += struct.pack("<4I", 4, header + len(rows) if profile else 0, len(profile), 0)
    start = 14 + len(head)
    return b"BM" + struct.pack("<IHHI", start + len(rows) + len(profile), 0, 0, start) + head + rows + profile


def gif_with_profile(pixels: NDArray[np.uint8], profile: bytes) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).quantize(256).save(stream, "GIF")
    data = stream.getvalue()
    behind = 13 + 3 * (2 << (data[10] & 7))
    blocks = b"".join(
        bytes([len(profile[at : at + 255])]) + profile[at : at + 255] for at in range(0, len(profile), 255)
    )
    return data[:behind] + b"!\xff\x0bICCRGBG1012" + blocks + b"\0" + data[behind:]


def exif_block(*orientations: int, kind: int = 3, count: int = 1) -> bytes:
    """A TIFF header and a directory with one orientation after the other (EXIF 2.32, 4.6.2)."""
    entries = b"".join(struct.pack(">HHIHH", 0x0112, kind, count, each, 0) for each in orientations)
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", len(orientations)) + entries + bytes(4)


def with_segments(jpeg: bytes, *bodies: bytes) -> bytes:
    """A JPEG with APP1 segments in front of all others."""
    return jpeg[:2] + b"".join(b"\xff\xe1" + struct.pack(">H", len(each) + 2) + each for each in bodies) + jpeg[2:]


def xmp_orientation(value: int) -> bytes:
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>'
    ) % value
