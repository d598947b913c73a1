"""Files to pixels and back: the one decode path, and encoding from pixels alone.

A picture is taken by its content, never by its extension. Whatever it was (palette, grey, CMYK, 16 bit), what comes
out is upright 8-bit RGB or RGBA. OpenCV is not used here: it rotates JPEG but not WebP, AVIF or PNG, and returns a
half grey picture for a truncated upload where this module raises.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from censor.errors import (
    AnimatedImageError,
    DamagedImageError,
    ImageError,
    LimitError,
    ReadError,
    UnsupportedImageError,
)

__all__ = ["MAX_BYTES", "MAX_PIXELS", "Picture", "Source", "decode", "sniff"]

MAX_BYTES = 64 * 2**20
"""Default cap on the size of an encoded picture, in bytes."""

MAX_PIXELS = 100_000_000
"""Default cap on width times height, read from the header before anything is decoded."""

Source: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | NDArray[np.uint8]
)
"""A path, an encoded picture, a binary file object, a Pillow image, or uint8 pixels (H, W), (H, W, 3) or (H, W, 4)."""

_ORIENTATION = 0x0112  # EXIF 2.32, table 4


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright picture, and what is needed to write it back the way it came.

    Attributes:
        pixels: uint8, (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha. Fully transparent pixels are black: whatever
            colour hid beneath them is gone.
        format: Pillow's name of the format it came in ("JPEG", "HEIF" …), None if it came as pixels.
        icc: Its RGB colour profile.
        name: What errors call it.
    """

    pixels: NDArray[np.uint8]
    format: str | None = None
    icc: bytes | None = None
    name: str = "picture"

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])


def decode(source: Source, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Picture:
    """Turn anything that is one still picture into upright pixels.

    Args:
        source: See `Source`. A string is a path. Paths, bytes and file objects with the same content give the same
            pixels.
        max_bytes: More bytes than this are refused before they are all read.
        max_pixels: More pixels than this are refused before any is decoded.

    Raises:
        ReadError: The file is missing or may not be read.
        UnsupportedImageError: Not a picture of a supported kind (JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP, GIF).
        AnimatedImageError: More than one frame or page.
        DamagedImageError: Cut short or broken.
        LimitError: Over a cap.
        ValueError: An array of the wrong type or shape.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels)
    if isinstance(source, Image.Image):
        name = str(getattr(source, "filename", "") or "picture")
        with _Translate(name):
            return _from_pillow(source, name, max_pixels)
    data, name = _read(source, max_bytes)
    with _Translate(name):
        return _from_bytes(data, name, max_pixels)


def sniff(head: bytes) -> str | None:
    """Pillow's name of the format that a file's first bytes (64 are enough) announce, None for anything unsupported."""
    return next((name for name, (accept, _) in _openers().items() if accept(head)), None)


def unsupported(name: str) -> UnsupportedImageError:
    """The error for a file that `sniff` does not know."""
    return UnsupportedImageError(f"{name}: not a picture (JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP or GIF)")


def empty(name: str) -> DamagedImageError:
    """The error for a file without content."""
    return DamagedImageError(f"{name}: the file is empty")


def _openers() -> dict[str, tuple[Callable[[bytes], bool], Callable[[io.BytesIO], ImageFile.ImageFile]]]:
    """Format: (does it begin like one, open it). An allow-list: Pillow's forty other plug-ins are never asked.

    The plug-in classes are called directly. `Image.open` would warn or raise at a pixel count of its own, and some of
    the names are registered only after a plug-in has been installed into the host's Pillow, which is not ours to do.
    """
    return {
        "JPEG": (lambda head: head[:3] == b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
        "PNG": (lambda head: head[:8] == b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
        "WEBP": (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", WebPImagePlugin.WebPImageFile),
        "AVIF": (lambda head: head[4:8] == b"ftyp" and _is_avif(head), AvifImagePlugin.AvifImageFile),
        "HEIF": (lambda head: head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS, _open_heif),
        "TIFF": (lambda head: head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImagePlugin.TiffImageFile),
        "BMP": (lambda head: head[:2] == b"BM", BmpImagePlugin.BmpImageFile),
        "GIF": (lambda head: head[:6] in (b"GIF87a", b"GIF89a"), GifImagePlugin.GifImageFile),
    }


_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"msf1", b"hevc", b"hevx", b"hevm", b"hevs")


def _is_avif(head: bytes) -> bool:
    """Whether the file type box names AVIF among its brands (ISO/IEC 14496-12, 4.3): four bytes each, from byte 16."""
    brands = head[8:12], *(head[at : at + 4] for at in range(16, min(len(head), head[3]), 4))
    return b"avif" in brands or b"avis" in brands


def _open_heif(stream: io.BytesIO) -> ImageFile.ImageFile:
    import pillow_heif  # 50 ms, and few pictures need it

    open_heif: Callable[[io.BytesIO], ImageFile.ImageFile] = pillow_heif.HeifImageFile
    return open_heif(stream)


class _Translate:
    """Turns whatever a decoder raises into our errors. Decoders raise many things; none may pass for success."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        if ImageFile.LOAD_TRUNCATED_IMAGES:
            raise ImageError(
                f"{self._name}: PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set in this process, so a damaged picture could "
                "not be told from a whole one; unset it"
            )

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, ImageError):
            reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
            raise DamagedImageError(f"{self._name}: the picture is damaged or cut short ({reason})") from error


def _read(source: str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes], cap: int) -> tuple[bytes, str]:
    if isinstance(source, bytes | bytearray | memoryview):
        data, name = bytes(source), "bytes"
    elif isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        try:
            with Path(source).open("rb") as stream:
                data = stream.read(cap + 1)
        except (OSError, ValueError) as error:  # ValueError: a null character in the path
            raise ReadError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    else:
        name = str(getattr(source, "name", "stream"))
        data = source.read(cap + 1)
    if len(data) > cap:
        raise LimitError(f"{name}: more than {cap:,} bytes, the cap on a picture's size")
    if not data:
        raise empty(name)
    return data, name


def _from_bytes(data: bytes, name: str, max_pixels: int) -> Picture:
    found = sniff(data[:64])
    if found is None:
        raise unsupported(name)
    image = _openers()[found][1](io.BytesIO(data))
    _check_header(image, name, max_pixels)
    _check_single(image, found, name, data)
    icc = image.info.get("icc_profile")
    if found == "JPEG" and image.mode in ("RGB", "L") and not (image.mode == "L" and icc):
        # libjpeg-turbo with warnings as errors: Pillow would accept a picture with broken entropy-coded data.
        pixels = simplejpeg.decode_jpeg(data, colorspace="RGB")
        orientation = _orientation(image)
    else:
        image.load()
        if found == "PNG":
            _check_png_rows(image, data)
        orientation = _orientation(image)
        pixels, icc = _to_pixels(image, name)
    return Picture(_blank_transparent(_upright(pixels, orientation)), found, _rgb_profile(icc), name)


def _from_pillow(image: Image.Image, name: str, max_pixels: int) -> Picture:
    _check_header(image, name, max_pixels)
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise AnimatedImageError(f"{name}: {getattr(image, 'n_frames', 0)} frames; only still pictures are taken")
    if image.format == "MPO":
        _check_multi_picture(image, name)
    image.load()
    orientation = _orientation(image)
    pixels, icc = _to_pixels(image, name)
    known = "JPEG" if image.format == "MPO" else image.format
    return Picture(_blank_transparent(_upright(pixels, orientation)), known, _rgb_profile(icc), name)


def _from_array(array: NDArray[np.uint8], max_pixels: int) -> Picture:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ValueError(
            f"pixels must be uint8 of shape (H, W), (H, W, 3) or (H, W, 4), not {array.dtype} {array.shape}; "
            "scale floats and 16-bit values to 0..255 first"
        )
    if array.size == 0:
        raise ValueError(f"pixels must not be empty: {array.shape}")
    if array.shape[0] * array.shape[1] > max_pixels:
        raise LimitError(f"picture: {array.shape[1]} x {array.shape[0]} pixels are over the cap of {max_pixels:,}")
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    return Picture(_blank_transparent(np.ascontiguousarray(array)))


def _check_header(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise DamagedImageError(f"{name}: {width} x {height} pixels is no picture")
    if width * height > max_pixels:
        raise LimitError(f"{name}: {width} x {height} pixels are over the cap of {max_pixels:,}")


def _check_single(image: ImageFile.ImageFile, found: str, name: str, data: bytes) -> None:
    """Refuse what holds more than one picture that a viewer could show."""
    if found == "JPEG":
        _check_multi_picture(image, name)
    elif found == "TIFF" and isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        # NewSubfileType bit 0, SubIFDs, DNGVersion (TIFF 6.0; TIFF/EP): the first page is a preview of the real one.
        if int(tags.get(254, 0)) & 1 or 330 in tags or 50706 in tags:
            raise UnsupportedImageError(f"{name}: a camera's raw file or a multi-resolution TIFF; develop it first")
    sequence = found == "HEIF" and (b"msf1" in data[8:64] or data[8:12] in (b"hevc", b"hevx", b"hevm", b"hevs"))
    if sequence or getattr(image, "is_animated", False) or image.info.get("default_image"):
        raise AnimatedImageError(f"{name}: several frames or pages; only still pictures are taken")


def _check_multi_picture(image: Image.Image, name: str) -> None:
    """A JPEG may carry further pictures behind the first (CIPA DC-007).

    Phones put previews and gain maps there, which no viewer shows as the picture and the output drops. Panoramas,
    stereo pairs and angles are pictures in their own right, and get refused like any second page.
    """
    if "mp" not in image.info:
        return
    entries = (JpegImagePlugin._getmp(image) or {}).get(0xB002, [])  # type: ignore[arg-type]  # noqa: SLF001
    for entry in entries:
        if str(entry["Attribute"]["MPType"]).startswith("Multi-Frame"):
            raise AnimatedImageError(
                f"{name}: a multi-picture file (panorama, stereo or angles); only stills are taken"
            )


def _check_png_rows(image: ImageFile.ImageFile, data: bytes) -> None:
    """Refuse a PNG whose compressed rows end early though file and stream are sound: Pillow leaves the rest zero.

    Rows are counted only where the bottom one is zero, or Adam7 could have left gaps elsewhere (PNG 3rd ed., 8.1).
    """
    width, height = image.size
    interlaced = bool(image.info.get("interlace"))
    if not interlaced and image.crop((0, height - 1, width, height)).getbbox(alpha_only=False) is not None:
        return
    bits = data[24] * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[data[25]]  # IHDR: bit depth, colour type
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    expected = 0
    for x, y, step_x, step_y in passes if interlaced else [(0, 0, 1, 1)]:
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        expected += rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0
    found, inflate, at = 0, zlib.decompressobj(), 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IDAT":
            rest = data[at + 8 : at + 8 + length]
            while rest and found < expected:
                found += len(inflate.decompress(rest, 1 << 20))
                rest = inflate.unconsumed_tail
        at += 12 + length
    if found + len(inflate.flush()) < expected:
        raise OSError(f"{found} of {expected} bytes of pixels")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1-8; 1 where there is none or the EXIF block is broken, which is how viewers show it."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001  # the parser raises half a dozen types, and none concerns the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (EXIF 2.32, 4.6.4: where row 0 and column 0 of the stored picture lie)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _to_pixels(image: Image.Image, name: str) -> tuple[NDArray[np.uint8], bytes | None]:
    """Any mode that Pillow decodes to RGB or RGBA, and the profile that those pixels are in."""
    icc = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):
        return _from_16_bit(image), None
    if image.mode in ("I", "F", "LAB", "HSV"):
        raise UnsupportedImageError(f"{name}: pixel type {image.mode!r} has no agreed way of being shown; convert it")
    if image.has_transparency_data:
        return np.asarray(image.convert("RGBA")), icc if image.mode in ("RGB", "RGBA", "P", "PA") else None
    if image.mode in ("CMYK", "L") and icc:
        return np.asarray(_to_srgb(image, icc)), None
    return np.asarray(image.convert("RGB")), icc


def _from_16_bit(image: Image.Image) -> NDArray[np.uint8]:
    """16-bit grey to RGB, or RGBA where one value is declared transparent (PNG's tRNS)."""
    values = np.asarray(image).astype(np.uint32)
    grey = ((values + 128) // 257).astype(np.uint8)
    planes = [grey, grey, grey]
    if isinstance(key := image.info.get("transparency"), int):
        planes.append(np.where(values == key, 0, 255).astype(np.uint8))
    return np.stack(planes, axis=2)


def _to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    try:
        shown = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        shown = None  # a broken profile is one that viewers ignore
    return shown if shown is not None else image.convert("RGB")


def _rgb_profile(icc: object) -> bytes | None:
    """The profile if it is one for RGB (ICC.1:2022, 7.2: header of 128 bytes, data colour space at offset 16)."""
    if isinstance(icc, bytes) and len(icc) >= 128 and icc[16:20] == b"RGB " and icc[36:40] == b"acsp":
        return icc
    return None


def _blank_transparent(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.shape[2] == 3:
        return pixels
    hidden = pixels[..., 3] == 0
    if (pixels[hidden] != 0).any():
        pixels = pixels.copy()
        pixels[hidden] = 0
    return pixels
