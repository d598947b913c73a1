"""What numbers stand for: one truth for what is judged, what is written and what viewers show.

A detector sees numbers, a viewer shows colours. Where both are nearly the same (sRGB, Display P3, Adobe RGB and their
like) the numbers are judged and kept, with a profile made anew; see `detect.pictures.icc`. Any other numbers are
converted to sRGB, as browsers show them, and that is what is judged and written. And because not every viewer reads a
profile, or reads it alike, such a picture is also judged as the others show it.
"""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detect.errors import UnsupportedImageError
from detect.pictures.cicp import Cicp, unknown
from detect.pictures.clut import Clut, to_xyz
from detect.pictures.icc import SRGB_CURVE, SRGB_FROM_XYZ, Curve, Profile, Shaper, built, encoded, parsed

__all__ = ["Declared", "Settled", "is_plain", "of_grey_or_ink", "settle", "settled_srgb", "to_srgb"]

Declared = bytes | Cicp
"""What a file says of its colours: an ICC profile, or code points."""

_NEAR, _NEAR_GREY = 12.0, 16.0
"""Mean difference from sRGB over a colour cube, and the largest of a grey, of 255. Display P3 and Adobe RGB have means
of 10, Rec. 2020 has 17; a gamma of 2.2 is 9 off in the darkest greys, one of 1.8 is 24 off."""

_SAME = 8
"""Two readings that differ nowhere by more than this, of 255, are one."""

_SHAKE, _STEADY = 1e-4, 24
"""How little a number between two stages of a look-up table may be off, of 1, and how far that may carry, of 255."""

_SLACK = 1e-3
"""How far a curve may be off [0, 1] by the rounding of its numbers."""

_FIT = 0.6
"""Of 255: how far a curve may lie from the plain one that is written for it."""


class Settled(NamedTuple):
    """Colours after all has been said.

    Attributes:
        pixels: uint8 (H, W, 3) or (H, W, 4), what is judged and written.
        icc: The profile to write with them, one of ours; None for sRGB.
        others: What other viewers show, of the shape of `pixels`, for judging only.
    """

    pixels: NDArray[np.uint8]
    icc: bytes | None
    others: tuple[NDArray[np.uint8], ...] = ()


class _Plain(NamedTuple):
    """Colorants and curves of a profile that shows nearly what sRGB would."""

    colorants: tuple[float, ...]
    curves: tuple[Curve, ...]


def is_plain(declared: Sequence[Declared]) -> bool:
    """Whether the numbers are kept as they are, so that they may be averaged before anything is known of them."""
    return all(_is_srgb(each) or _plain(each) is not None for each in declared)


def settle(pixels: NDArray[np.uint8], declared: Sequence[Declared], name: str) -> Settled:
    """Pixels and the profile to write with them, and what else some viewers show.

    Args:
        pixels: uint8 (H, W, 3) or (H, W, 4), numbers as they stand in the file.
        declared: All that the file says of their colours, that first which browsers go by.
        name: What errors call the picture.

    Returns:
        A plain profile leaves the pixels alone. With any other they are converted to sRGB, and what the numbers show by
        themselves, and by what else the file says, are further readings.

    Raises:
        UnsupportedImageError: Browsers apply a profile that cannot be applied here.
    """
    if not declared:
        return Settled(pixels, None)
    if is_plain(declared):
        plain = None if _is_srgb(declared[0]) else _plain(declared[0])
        return Settled(pixels, None if plain is None else built(*plain))
    shown = [each for one in declared for each in _readings(pixels[..., :3], one, name)]
    shown.append(pixels[..., :3])
    first, *others = _distinct(shown)
    if pixels.shape[2] == 4:
        first, *others = [np.dstack([each, pixels[..., 3]]) for each in (first, *others)]
    return Settled(np.ascontiguousarray(first), None, tuple(np.ascontiguousarray(each) for each in others))


def of_grey_or_ink(image: Image.Image, icc: bytes, name: str) -> list[NDArray[np.uint8]]:
    """Grey or CMYK by a profile for it.

    Args:
        image: Of mode L or CMYK.
        icc: Any profile.
        name: What errors call the picture.

    Returns:
        uint8 (H, W, 3), first what browsers show; of readings that are alike one. Nothing if the profile is for others.

    Raises:
        UnsupportedImageError: Browsers apply a profile that cannot be applied here.
    """
    grey = image.mode == "L"
    profile = parsed(icc, b"GRAY" if grey else b"CMYK")
    if profile is None:
        return []
    shown = _by_tables(image, profile, name)
    if grey:
        colors = np.asarray(image.convert("RGB"))
    else:  # Chromium makes RGB of ink before it asks the profile, and gives a table that for ink without black
        colors = _from_ink(np.asarray(image))
        for clut in [table.clut for table in profile.tables[:1] if table.clut is not None]:
            shown.append(_looked_up(np.dstack([255 - colors, np.zeros_like(colors[..., 0])]), clut, name))
    if profile.shaper is not None:
        shown += _by_shaper(colors, profile.shaper)
    if grey and (whole := to_srgb(image, icc)) is not None:
        shown.append(np.asarray(whole))
    return _distinct(shown)


def settled_srgb(pixels: NDArray[np.uint8], icc: bytes) -> NDArray[np.uint8]:
    """Pixels with a profile of ours in sRGB, for what holds no profile: uint8 (H, W, 3) or (H, W, 4), alpha kept."""
    profile = parsed(icc)
    if profile is None or profile.shaper is None:
        return pixels
    shown = _applied(pixels[..., :3], profile.shaper)
    return np.dstack([shown, pixels[..., 3]]) if pixels.shape[2] == 4 else shown


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image | None:
    """An image of the profile's own mode, as RGB in sRGB; None if the profile cannot be used."""
    from PIL import ImageCms  # 5 ms, and few pictures need it

    try:
        return ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,  # or black points are moved, which browsers don't
            outputMode="RGB",
            flags=ImageCms.Flags.NOOPTIMIZE,  # or tables are sampled anew, and what lies between the samples is lost
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _distinct(shown: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Readings without those that are nearly one before."""
    kept: list[NDArray[np.uint8]] = []
    for each in shown:
        if all(_differ(each, known) for known in kept):
            kept.append(each)
    return kept


def _differ(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    strips = range(0, len(one), 256)
    return any(np.abs(one[top : top + 256].astype(np.int16) - other[top : top + 256]).max() > _SAME for top in strips)


def _readings(pixels: NDArray[np.uint8], declared: Declared, name: str) -> list[NDArray[np.uint8]]:
    """What viewers make of RGB by one declaration: first what browsers show."""
    if isinstance(declared, Cicp):
        if unknown(declared):
            raise UnsupportedImageError(f"{name}: colours of code points {declared[:2]}, which no browser shows")
        if declared.hdr:
            return [declared.tone_mapped(pixels)]
        shaper = declared.shaper
        return [pixels if shaper is None else _applied(pixels, shaper)]
    profile = parsed(declared)
    if profile is None:
        return []
    shown = []
    if profile.cicp is not None:
        shown += _readings(pixels, Cicp(*profile.cicp), name)
    shown += _by_tables(Image.fromarray(pixels), profile, name)
    if profile.shaper is not None:
        shown += _by_shaper(pixels, profile.shaper)
    taken = profile.taken and all(table.clut is not None for table in profile.tables[:1])
    return shown if taken else [pixels, *shown]


def _by_tables(image: Image.Image, profile: Profile, name: str) -> list[NDArray[np.uint8]]:
    """What each look-up table of a profile for an image's mode makes of it, as browsers and as LittleCMS read it."""
    shown = []
    for table in profile.tables:
        if table.clut is not None:
            shown.append(_looked_up(np.asarray(image), table.clut, name))
        if (converted := to_srgb(image, table.alone)) is not None:
            shown.append(np.asarray(converted))
        elif table.clut is None and profile.taken:
            raise UnsupportedImageError(f"{name}: a colour profile with look-up tables that cannot be applied")
    return shown


def _from_ink(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """CMYK to RGB without a profile, rounded down as in Chromium."""
    paper = 255 - ink.astype(np.uint16)
    return (paper[..., :3] * paper[..., 3:] // 255).astype(np.uint8)


def _looked_up(pixels: NDArray[np.uint8], clut: Clut, name: str) -> NDArray[np.uint8]:
    """Pixels (H, W) or (H, W, channels) in sRGB by a look-up table.

    Raises:
        UnsupportedImageError: What comes out hangs on how finely a viewer reckons.
    """
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    flat = np.ascontiguousarray(pixels).reshape(-1, channels)
    shown = np.empty((len(flat), 3), np.uint8)
    for start in range(0, len(flat), 2**18):
        strip = flat[start : start + 2**18]
        packed = np.zeros((len(strip), 4), np.uint8)
        packed[:, :channels] = strip
        colors, which = np.unique(packed.view(np.uint32)[:, 0], return_inverse=True)
        levels = colors.view(np.uint8).reshape(-1, 4)[:, :channels]
        # Of the pixels themselves, or one could make pixels which it spares.
        seed = int.from_bytes(hashlib.blake2b(strip.tobytes(), digest_size=16).digest(), "big")
        steady = _encoded_xyz(to_xyz(clut, levels))
        shaken = _encoded_xyz(to_xyz(clut, levels, np.random.default_rng(seed), _SHAKE))
        if steady is None or shaken is None or np.abs(steady.astype(np.int16) - shaken).max() > _STEADY:
            raise UnsupportedImageError(f"{name}: a colour profile with look-up tables that no two viewers read alike")
        shown[start : start + 2**18] = steady[which]
    return shown.reshape(*pixels.shape[:2], 3)


def _encoded_xyz(xyz: NDArray[np.float64]) -> NDArray[np.uint8] | None:
    """XYZ (N, 3) in sRGB, None where a number is none."""
    with np.errstate(all="ignore"):
        linear = xyz @ SRGB_FROM_XYZ.T
    return _encoded(linear) if np.isfinite(linear).all() else None


def _encoded(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    table = _encoding()
    return np.asarray(table[np.rint(np.clip(linear, 0, 1) * (len(table) - 1)).astype(np.uint16)])


def _by_shaper(pixels: NDArray[np.uint8], shaper: Shaper) -> list[NDArray[np.uint8]]:
    """RGB (H, W, 3) in sRGB: as skcms has it, which keeps light that is off [0, 1], and as LittleCMS, which cuts it."""
    cut = np.clip(shaper.curves, 0, 1)
    kept = [] if np.abs(cut - shaper.curves).max() <= _SLACK else [_applied(pixels, shaper)]
    return [*kept, _applied(pixels, shaper._replace(curves=cut))]


def _applied(pixels: NDArray[np.uint8], shaper: Shaper) -> NDArray[np.uint8]:
    """RGB (H, W, 3) in sRGB. In floats: LittleCMS overflows where colorants are far out."""
    matrix = (SRGB_FROM_XYZ @ shaper.colorants).T.astype(np.float32)
    curves = shaper.curves.astype(np.float32)
    shown = np.empty_like(pixels)
    for top in range(0, len(pixels), 64):  # in strips: floats take four times the memory
        shown[top : top + 64] = _encoded(curves[np.arange(3), pixels[top : top + 64]] @ matrix)
    return shown


@functools.cache
def _encoding() -> NDArray[np.uint8]:
    return np.rint(encoded(np.linspace(0, 1, 2**15))).astype(np.uint8)


def _is_srgb(declared: Declared) -> bool:
    return isinstance(declared, Cicp) and not declared.hdr and not unknown(declared) and declared.shaper is None


@functools.lru_cache(maxsize=64)
def _plain(declared: Declared) -> _Plain | None:
    """What a declaration comes to, where that is nearly sRGB and every viewer reads it alike."""
    if isinstance(declared, Cicp):
        shaper = None if declared.hdr or unknown(declared) else declared.shaper
    else:
        profile = parsed(declared)
        shaper = profile.shaper if profile is not None and profile.sound else None
    if shaper is None:
        return None
    cut = np.clip(shaper.curves, 0, 1)
    curves = [_fitted(curve) for curve in cut] if np.abs(cut - shaper.curves).max() <= _SLACK else []
    plain = [each for each in curves if each is not None]
    if len(plain) < 3 or not _near_srgb(shaper):
        return None
    return _Plain(tuple(float(each) for each in np.round(shaper.colorants * 2**14).ravel() / 2**14), tuple(plain))


def _near_srgb(shaper: Shaper) -> bool:
    steps = np.arange(0, 256, 51)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    greys = np.repeat(np.arange(256)[:, None], 3, axis=1)
    off = [np.abs(_evaluated(shaper, levels) - levels) for levels in (cube, greys)]
    return float(off[0].mean()) <= _NEAR and float(off[1].max()) <= _NEAR_GREY


def _evaluated(shaper: Shaper, levels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Levels of sRGB in 0..255 of RGB levels (N, 3)."""
    linear = shaper.curves[np.arange(3), levels] @ shaper.colorants.T @ SRGB_FROM_XYZ.T
    return encoded(np.clip(linear, 0, 1))


def _fitted(values: NDArray[np.float64]) -> Curve | None:
    """The curve of sRGB or a pure power, if a channel's levels lie on one of them."""
    levels = np.arange(256) / 255
    inner = values[96:224]
    if not (values[[0, 255]] == [0, 1]).all() or (inner <= 0).any() or (inner >= 1).any():
        return None
    gamma = float(np.median(np.log(inner) / np.log(levels[96:224])))
    g, a, b, c, d = SRGB_CURVE
    candidates: list[tuple[Curve, NDArray[np.float64]]] = [
        (SRGB_CURVE, np.where(levels >= d, (a * levels + b) ** g, c * levels)),
        ((round(gamma * 256) / 256, 1.0, 0.0, 0.0, 0.0), levels ** (round(gamma * 256) / 256)),
    ]
    for curve, ideal in candidates:
        if np.abs(encoded(ideal) - encoded(values)).max() <= _FIT:
            return curve
    return None
