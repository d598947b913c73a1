"""From the patches of an animation to its frames, as viewers compose them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from detect.errors import LimitError, UnsupportedImageError
from detect.pictures.animation import apng, gif, webp
from detect.pictures.animation.patches import Disposal, Patch, Patches
from detect.pictures.formats import SNIFF_BYTES, damaged, sniff
from detect.pictures.still import MAX_PIXELS, Picture, decode_bytes

__all__ = ["MAX_FRAMES", "MAX_TOTAL_PIXELS", "Animated", "Frame", "animated", "decode_frames", "durations_of"]

MAX_FRAMES = 20_000
"""Default cap on the number of frames."""

MAX_TOTAL_PIXELS = 8_000_000_000
"""Default cap on the canvas's pixels times frames: two minutes of a film in high definition."""

_PATCHED = {"GIF": gif, "PNG": apng, "WEBP": webp}

_TRACKED = ("AVIF", "HEIF")


@dataclass(frozen=True, kw_only=True, eq=False)
class Animated:
    """What an animation says of itself before any frame is decoded.

    Attributes:
        format: Pillow's name of the format: "AVIF", "GIF", "HEIF", "PNG" or "WEBP".
        width: Columns of each frame.
        height: Rows of each frame.
        plays: How many times it is to be shown; 0 for without end.
        frames: Its frames, one after the other, decoded as they are asked for; once.
    """

    format: str
    width: int
    height: int
    plays: int
    frames: Iterator[Frame]


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """What is shown between two changes.

    Attributes:
        picture: All of it, whatever part the file stores anew. Its pixels are its own.
        start: When it is first shown, in seconds from the beginning.
        seconds: How long, as the file says: viewers make a tenth of a second of what is next to nothing.
    """

    picture: Picture
    start: Fraction
    seconds: Fraction


def animated(data: bytes) -> bool:
    """Whether a file is an animation of a kind that is taken: AVIF, GIF, HEIF, PNG or WebP."""
    found = sniff(data[:SNIFF_BYTES]) or ""
    if found in _TRACKED:
        from detect.pictures.bmff import top_boxes  # few pictures are in boxes

        return any(box.kind == b"moov" for box in top_boxes(data))
    return found in _PATCHED and _PATCHED[found].moves(data)


def decode_frames(
    data: bytes,
    name: str,
    *,
    max_pixels: int = MAX_PIXELS,
    max_frames: int = MAX_FRAMES,
    max_total_pixels: int = MAX_TOTAL_PIXELS,
) -> Animated:
    """Take an animation apart, and compose its frames.

    Each patch is a file of its own to the decoder of still pictures, which refuses in it what it refuses anywhere; the
    frames of an AVIF or a HEIF come whole.

    Args:
        data: A file for which `animated` holds.
        name: What errors call it.
        max_pixels: Cap on the canvas's columns times rows.
        max_frames: Cap on their number.
        max_total_pixels: Cap on the canvas's pixels times frames.

    Returns:
        The animation; what is wrong with a frame is raised when that is asked for, and then nothing may come of it.

    Raises:
        DamagedImageError: Cut short or broken.
        LimitError: Over a cap.
        UnsupportedImageError: What viewers show in different ways.
    """
    found = sniff(data[:SNIFF_BYTES]) or ""
    if found in _TRACKED:
        return _decode_track(data, found, name, max_pixels, max_frames, max_total_pixels)
    patches = _PATCHED[found].take_apart(data, name)
    if patches.width < 1 or patches.height < 1:
        raise damaged(name, f"{patches.width} x {patches.height} pixels")
    size = patches.width * patches.height
    if size > max_pixels:
        raise LimitError(f"{name}: {patches.width} x {patches.height} pixels are over the cap of {max_pixels:,}")
    most = min(max_frames, max_total_pixels // size)
    return Animated(
        format=found,
        width=patches.width,
        height=patches.height,
        plays=patches.plays,
        frames=_compose(patches, found, name, max_pixels, most),
    )


def durations_of(data: bytes, name: str) -> list[Fraction]:
    """How long each frame of an animation is shown, in seconds; nothing is decoded.

    Raises:
        DamagedImageError: Cut short or broken.
        LimitError: Over a cap.
        UnsupportedImageError: What viewers show in different ways.
    """
    found = sniff(data[:SNIFF_BYTES]) or ""
    if found in _TRACKED:
        from detect.pictures.animation import sequences

        return sequences.seconds_of(data, found, name, MAX_FRAMES)
    return [patch.seconds for patch in _PATCHED[found].take_apart(data, name).each]


def _decode_track(
    data: bytes, found: str, name: str, max_pixels: int, max_frames: int, max_total_pixels: int
) -> Animated:
    """Frames that come whole, one behind the other."""
    from detect.pictures.animation import sequences  # ten modules, and few pictures need them

    opened = sequences.open_sequence(
        data, found, name, max_pixels=max_pixels, most=max_frames, max_total_pixels=max_total_pixels
    )
    starts = accumulate(opened.seconds, initial=Fraction(0))
    timed = zip(opened.each, starts, opened.seconds, strict=False)
    return Animated(
        format=found,
        width=opened.width,
        height=opened.height,
        plays=opened.plays,
        frames=(Frame(picture=picture, start=start, seconds=seconds) for picture, start, seconds in timed),
    )


def _compose(patches: Patches, found: str, name: str, max_pixels: int, most: int) -> Iterator[Frame]:
    canvas = np.zeros((patches.height, patches.width, 4), np.uint8)
    beneath = np.zeros((patches.height, patches.width, 3), np.uint8)
    start = Fraction(0)
    for row, patch in enumerate(patches.each):
        if row >= most:
            raise LimitError(f"{name}: more than {most:,} frames of {patches.width} x {patches.height} pixels")
        laid = _decode(patch, f"{name}, frame {row + 1}", max_pixels)
        before = canvas.copy() if patch.disposal is Disposal.RESTORE else None
        window = np.s_[patch.top : patch.top + patch.height, patch.left : patch.left + patch.width]
        colors = laid.pixels[..., :3] if laid.beneath is None else laid.beneath
        _lay(canvas[window], beneath[window], laid.pixels, colors, blend=patch.blend)
        yield Frame(picture=_shown(canvas, beneath, laid, found, name), start=start, seconds=patch.seconds)
        start += patch.seconds
        if patch.disposal is Disposal.CLEAR:
            canvas[window] = 0
        elif before is not None:
            canvas = before


def _decode(patch: Patch, name: str, max_pixels: int) -> Picture:
    picture = decode_bytes(patch.still, name, max_pixels=max_pixels)
    if picture.readings:
        raise UnsupportedImageError(f"{name}: colours that viewers show in different ways, in an animation")
    if (picture.width, picture.height) != (patch.width, patch.height):
        raise damaged(name, f"{picture.width} x {picture.height} pixels where {patch.width} x {patch.height} should be")
    return picture


def _lay(
    canvas: NDArray[np.uint8],
    beneath: NDArray[np.uint8],
    pixels: NDArray[np.uint8],
    colors: NDArray[np.uint8],
    *,
    blend: bool,
) -> None:
    """Lay a patch on its window of the canvas, and remember the colours that hide under full transparency there."""
    beneath[:] = colors
    if pixels.shape[2] == 3:
        canvas[..., :3], canvas[..., 3] = pixels, 255
        return
    alpha = pixels[..., 3]
    if not blend:
        canvas[:] = pixels
        return
    full = alpha == 255
    canvas[full] = pixels[full]
    partly = (alpha > 0) & ~full
    if partly.any():  # Porter and Duff, "over", of straight alpha
        over, under = pixels[partly].astype(np.float64), canvas[partly].astype(np.float64)
        share = over[:, 3:] / 255
        rest = under[:, 3:] / 255 * (1 - share)
        colors_of = (over[:, :3] * share + under[:, :3] * rest) / (share + rest)
        canvas[partly] = np.rint(np.hstack([colors_of, 255 * (share + rest)])).astype(np.uint8)


def _shown(canvas: NDArray[np.uint8], beneath: NDArray[np.uint8], laid: Picture, found: str, name: str) -> Picture:
    """The canvas as a picture of its own; fully opaque ones have no alpha."""
    alpha = canvas[..., 3]
    if (alpha == 255).all():
        return Picture(canvas[..., :3].copy(), found, laid.icc, name)
    hidden = alpha == 0
    colors = np.where(hidden[..., None], beneath, canvas[..., :3])
    pixels = canvas.copy()
    pixels[hidden] = 0
    return Picture(pixels, found, laid.icc, name, beneath=colors if colors[hidden].any() else None)
