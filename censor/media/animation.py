"""Pictures that move: GIF, WebP and PNG with several frames, AVIF and HEIF sequences, as a medium of so many parts."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, chain
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from censor.errors import WriteError
from censor.media.apng import write_apng
from censor.media.encoding import QUALITY, check_sides
from censor.media.extras import require_pyav
from censor.media.medium import Part, SpareFactor, Where
from censor.media.steps import in_ticks
from detect.errors import UnsupportedImageError
from detect.pictures.animation import Animated, animated, decode_frames, durations_of
from detect.pictures.color import settled_srgb
from detect.pictures.formats import SNIFF_BYTES, sniff
from detect.pictures.limits import plugin
from detect.pictures.source import read_source
from detect.pictures.still import MAX_BYTES, MAX_PIXELS, Picture, Source

__all__ = ["BY_PYAV", "FORMATS", "Animation", "open_animation"]

BY_PYAV = "HEIF"
"""The one that PyAV decodes and encodes."""

_SEQUENCES = "HEIF sequences"
_IN_BOXES = ("AVIF", BY_PYAV)

FORMATS = ("GIF", "PNG", "WEBP", *_IN_BOXES)
"""Those that are read and written."""

_COLORS = 255  # of a GIF's palette: one is left for transparency


@dataclass(frozen=True, kw_only=True, eq=False)
class Animation:
    """Pictures that are shown one after the other. See `Medium` for what its methods take and raise.

    Attributes:
        data: The encoded animation.
        name: What errors call it.
        max_pixels: Cap on a frame's width times height.
    """

    data: bytes
    name: str
    max_pixels: int

    @property
    def format(self) -> str:
        """Pillow's name of the format it is in."""
        return sniff(self.data[:SNIFF_BYTES]) or ""

    def parts(self, *, spare: SpareFactor | None = None) -> Iterator[Part]:  # noqa: ARG002  # no format decodes less
        """Its frames, each with its number and the second that it is first shown at."""
        for number, frame in enumerate(self._decoded().frames):
            yield Part(frame.picture, Where(frame=number, seconds=float(frame.start)))

    def durations(self) -> list[Fraction]:
        """How long each frame is shown, in seconds."""
        return durations_of(self.data, self.name)

    rate = 0.0
    promised = 0
    display = None
    dropped = ()

    def end(self, times: Sequence[float]) -> float:  # noqa: ARG002  # each frame says how long it is shown
        """When all is over, in seconds."""
        return float(sum(self.durations()))

    def exact(self, times: Sequence[float]) -> list[Fraction]:  # noqa: ARG002
        """The seconds of all frames, and that of the end."""
        return list(accumulate(self.durations(), initial=Fraction(0)))

    def require_output(self, format: str, quality: int | None = None) -> None:  # noqa: A002  # Pillow's own word
        """Check, before all the work, that it can be written."""
        if format not in FORMATS:
            raise WriteError(f"{self.name}: {format} holds no animation; {', '.join(FORMATS)} do")
        if format == BY_PYAV:
            require_pyav(self.name, _SEQUENCES)
        if quality is not None and not 1 <= quality <= 100:
            raise ValueError(f"quality lies in 1..100, not {quality}")

    def close(self) -> None:
        """Nothing is open."""

    def write(self, parts: Iterable[Part], out: BinaryIO, *, format: str, quality: int | None = None) -> None:  # noqa: A002  # Pillow's own word
        """Encode the animation anew, each frame shown as long as before, and as many times."""
        self.require_output(format, quality)
        durations, plays = self.durations(), self._decoded().plays
        pictures = _counted(parts, len(durations), self.name)
        first = next(pictures, None)
        if first is None:
            raise WriteError(f"{self.name}: an animation without frames")
        every = chain([first], pictures)
        try:
            if format == "GIF":
                _gif(every, out, durations, plays)
            elif format == "PNG":
                write_apng(every, out, durations, plays)
            elif format in _IN_BOXES:
                from censor.media.image_sequences import write_sequence  # few outputs are

                check_sides(first, format)
                write_sequence(every, out, durations, plays, format=format, quality=quality or QUALITY)
            else:
                lossless = quality is None and self.format not in _IN_BOXES and b"VP8 " not in self.data
                profile = {} if first.icc is None else {"icc_profile": first.icc}
                _webp(every, out, durations, plays, lossless=lossless, quality=quality or QUALITY, **profile)
        except (OSError, ValueError) as error:
            raise WriteError(f"{self.name}: cannot be encoded as {format}: {error}") from error

    def _decoded(self) -> Animated:
        return decode_frames(self.data, self.name, max_pixels=self.max_pixels)


def open_animation(source: Source, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Animation:
    """Read a source that is an animation.

    Args:
        source: A path, an encoded animation or a binary file object.
        max_bytes: Cap on what is read of it.
        max_pixels: Cap on a frame's width times height.

    Raises:
        ReadError: It is missing or may not be read.
        LimitError: It has more bytes.
        ExtraError: It is a HEIF sequence, and PyAV is not here.
        UnsupportedImageError: It is no animation of a kind that is taken.
        TypeError: `source` is a Pillow image or an array.
    """
    if isinstance(source, Image.Image | np.ndarray):
        raise TypeError(f"an animation must be a path, bytes or a binary file object, not {type(source).__name__}")
    data, name = read_source(source, max_bytes)
    if not animated(data):
        raise UnsupportedImageError(
            f"{name}: not an animation (GIF, WebP or PNG of several frames, or an AVIF or HEIF sequence)"
        )
    if sniff(data[:SNIFF_BYTES]) == BY_PYAV:
        require_pyav(name, _SEQUENCES)
    return Animation(data=data, name=name, max_pixels=max_pixels)


def _counted(parts: Iterable[Part], expected: int, name: str) -> Iterator[Picture]:
    count = 0
    for count, part in enumerate(parts, 1):  # asked for after the loop
        if count > expected:
            break
        yield part.picture
    if count != expected:
        raise WriteError(f"{name}: an animation of {expected} frames is written with as many, not {count}")


def _gif(pictures: Iterator[Picture], out: BinaryIO, durations: Sequence[Fraction], plays: int) -> None:
    loop = {} if plays == 1 else {"loop": plays and plays - 1}  # how often it is repeated; 0 for without end
    first = next(pictures)
    cleared = {"disposal": 2} if first.pixels.shape[2] == 4 else {}  # or what was there shines through
    images = map(_palette, chain([first], pictures))
    _save(images, out, "GIF", [10 * each for each in in_ticks(durations, 100)], **cleared, **loop)


def _webp(pictures: Iterator[Picture], out: BinaryIO, durations: Sequence[Fraction], plays: int, **how: Any) -> None:
    images = (Image.fromarray(each.pixels) for each in pictures)
    _save(images, out, "WEBP", in_ticks(durations, 1000), loop=plays, method=4, **how)


def _save(images: Iterator[Image.Image], out: BinaryIO, format: str, milliseconds: Sequence[int], **how: Any) -> None:  # noqa: A002
    plugin(format)
    stream = io.BytesIO()
    next(images).save(stream, format, save_all=True, append_images=images, duration=list(milliseconds), **how)
    out.write(stream.getvalue())


def _palette(picture: Picture) -> Image.Image:
    """A frame in the colours that suit it best: what is censored in it has no say in them."""
    pixels = picture.pixels if picture.icc is None else settled_srgb(picture.pixels, picture.icc)
    image = Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
    quantized = image.quantize(_COLORS, Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.FLOYDSTEINBERG)
    if pixels.shape[2] == 3:
        return quantized
    return _transparent(quantized, pixels[..., 3])


def _transparent(image: Image.Image, alpha: NDArray[np.uint8]) -> Image.Image:
    """A palette with one colour more, which is none, where a picture is more transparent than not."""
    colors = len(image.getpalette() or []) // 3
    numbers = np.asarray(image).copy()
    numbers[alpha < 128] = colors
    shown = Image.fromarray(numbers, "P")
    shown.putpalette([*(image.getpalette() or []), 0, 0, 0])
    shown.info["transparency"] = colors
    return shown
