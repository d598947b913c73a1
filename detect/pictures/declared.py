"""What a file says of its colours, format by format: that first which browsers go by, and then the rest.

The rest is there because some other viewer may go by it: see `detect.pictures.color`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from detect.errors import UnsupportedImageError
from detect.pictures.cicp import SRGB, Cicp, lit
from detect.pictures.color import Declared
from detect.pictures.icc import Shaper, sampled, xyz_of_primaries
from detect.pictures.png import early_chunks

__all__ = ["colors_of", "info_colors"]


def colors_of(data: bytes, found: str, image: Image.Image, name: str) -> list[Declared]:
    """All that a file says of what its numbers stand for.

    Args:
        data: The file; of a PNG what `detect.pictures.png.seen` made of it.
        found: What `sniff` says it is.
        image: As Pillow opened it; need not be loaded.
        name: What errors call it.

    Raises:
        UnsupportedImageError: Code points that a PNG may not have: browsers refuse it too.
    """
    icc = image.info.get("icc_profile")
    if found == "PNG":
        return _png(data, icc, name)
    if found in ("AVIF", "HEIF"):
        from detect.pictures.colr import colors_of_heif

        return colors_of_heif(data)
    if found == "BMP":
        return _bmp(data)
    if found == "GIF":
        return _gif(data)
    declared: list[Declared] = [icc] if isinstance(icc, bytes) and icc else []
    if found == "TIFF" and (tags := getattr(image, "tag_v2", None)) is not None:
        declared += _tiff(tags, beside=bool(declared))
    return declared


def info_colors(image: Image.Image) -> list[Declared]:
    """What is known of a Pillow image whose file is gone."""
    icc, gamma = image.info.get("icc_profile"), image.info.get("gamma")
    if isinstance(icc, bytes) and icc:
        return [icc]
    if gamma and "srgb" not in image.info and not ("chromaticity" not in image.info and _neutral(gamma)):
        return [_matrix_profile(float(gamma), image.info.get("chromaticity"))]
    return []


def _matrix_profile(gamma: float, xy: Sequence[float] | None) -> bytes:
    """gAMA, and cHRM if it makes a colour space, as a profile (PNG 3rd ed., 11.3.2.1 and 11.3.2.2)."""
    colorants = None if xy is None else xyz_of_primaries(xy)
    if colorants is None:
        colorants = xyz_of_primaries((0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06))
    curve = (np.arange(256) / 255) ** (1 / gamma)
    return sampled(Shaper(np.asarray(colorants), np.stack([curve] * 3)))


def _png(data: bytes, icc: object, name: str) -> list[Declared]:
    """PNG 3rd ed., 4.3: cICP before iCCP before sRGB before gAMA with cHRM. Of each the first; then all the others."""
    ranked: list[tuple[int, Declared]] = [(1, icc)] if isinstance(icc, bytes) and icc else []
    numbers: dict[bytes, list[float]] = {}
    palette = False
    light = _light(data)
    for kind, body in early_chunks(data):
        palette |= kind == b"PLTE"
        if kind == b"cICP" and (cicp := _cicp(body, name)):
            # Browsers pass over one behind a palette, where it may not stand, and one of narrow range.
            first, *rest = lit(cicp, light)
            ranked += [(4, SRGB), (5, first)] if palette or body[3] == 0 else [(0, first)]
            ranked += [(5, each) for each in rest]
        elif kind == b"sRGB" and len(body) == 1 and body[0] < 4:
            ranked.append((2, SRGB))
        elif len(body) == {b"gAMA": 4, b"cHRM": 32}.get(kind):
            values = [int.from_bytes(body[each : each + 4], "big") / 100_000 for each in range(0, len(body), 4)]
            numbers.setdefault(kind, values)
    gamma, xy = numbers.get(b"gAMA", [0.0])[0], numbers.get(b"cHRM")
    if gamma and (xy is not None or not _neutral(gamma)):
        if xy is not None and xyz_of_primaries(xy) is None:
            ranked.append((3, SRGB))
        ranked.append((3, _matrix_profile(gamma, xy)))
    return [each for _, each in sorted(ranked, key=lambda pair: pair[0])]


def _light(data: bytes) -> list[float]:
    """How bright a PNG says that it gets, cd/m²: by cLLI before mDCV, as browsers take it (PNG 3rd ed., 11.3.2)."""
    said: dict[bytes, list[float]] = {b"cLLI": [], b"mDCV": []}
    for kind, body in early_chunks(data):
        if len(body) == {b"cLLI": 8, b"mDCV": 24}.get(kind):
            at = 0 if kind == b"cLLI" else 16
            said[kind].append(int.from_bytes(body[at : at + 4]) / 10_000)
    return [*said[b"cLLI"], *said[b"mDCV"]]


def _neutral(gamma: float) -> bool:
    """Whether a gAMA by itself means sRGB, as Chromium has it."""
    return 0.95 < gamma * 2.2 < 1.05


def _cicp(body: bytes, name: str) -> Cicp | None:
    """The code points of a cICP chunk, None where nobody heeds it."""
    if len(body) != 4:
        return None
    if body[2] != 0 or body[3] > 1:
        raise UnsupportedImageError(f"{name}: cICP of {list(body)}, which is none for a PNG")
    cicp = Cicp(body[0], body[1])
    return cicp if cicp.specified else None


def _bmp(data: bytes) -> list[Declared]:
    """BITMAPV5HEADER's embedded profile. Its calibrated colours are for the few that read them: browsers don't."""
    size, kind = int.from_bytes(data[14:18], "little"), data[70:74]
    if size >= 124 and kind == b"DEBM":  # PROFILE_EMBEDDED, "MBED" back to front
        start, length = (int.from_bytes(data[at : at + 4], "little") for at in (126, 130))
        profile = data[14 + start : 14 + start + length]
        return [profile] if profile else []
    if size >= 108 and kind == b"\0\0\0\0":  # LCS_CALIBRATED_RGB
        gammas = [int.from_bytes(data[at : at + 4], "little") / 65536 for at in (110, 114, 118)]
        if all(gammas):
            curves = np.stack([(np.arange(256) / 255) ** each for each in gammas])
            colorants = xyz_of_primaries((0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06))
            return [SRGB, sampled(Shaper(np.asarray(colorants), curves))]
    return []


def _gif(data: bytes) -> list[Declared]:
    """The ICC application extension, which browsers ignore and ImageMagick heeds."""
    at = data.find(b"\x21\xff\x0bICCRGBG1012")
    if at < 0:
        return []
    at, profile = at + 14, b""
    while at < len(data) and (length := data[at]):
        profile += data[at + 1 : at + 1 + length]
        at += 1 + length
    return [SRGB, profile] if profile else []


def _tiff(tags: Mapping[int, Any], *, beside: bool) -> list[Declared]:
    """TIFF 6.0, section 20: TransferFunction, WhitePoint and PrimaryChromaticities, which hardly anything reads."""
    table, white, primaries = tags.get(301), tags.get(318), tags.get(319)
    if table is None and primaries is None:
        return []
    curve = np.array(table if table is not None else (), np.float64)
    if curve.size in (256, 768):
        curves = np.broadcast_to(curve.reshape(-1, 256), (3, 256)) / 65535
    else:
        curves = np.stack([(np.arange(256) / 255) ** 2.2] * 3)
    xy = [float(each) for each in (*(white or (0.3127, 0.3290)), *(primaries or ()))]
    colorants = xyz_of_primaries(xy) if len(xy) == 8 else None
    if colorants is None:
        colorants = xyz_of_primaries((0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06))
    return [*([] if beside else [SRGB]), sampled(Shaper(np.asarray(colorants), np.clip(curves, 0, 1)))]
