"""Which formats there are, taken and not, and how a file's first bytes and its suffix say which one it is in."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from detect.errors import AnimatedImageError, DamagedImageError, UnsupportedImageError

__all__ = [
    "FORMATS",
    "HEIF_SEQUENCES",
    "MEDIA_TYPES",
    "SNIFF_BYTES",
    "SUFFIXES",
    "Format",
    "brands",
    "damaged",
    "empty",
    "format_of",
    "refused_kind",
    "several",
    "sniff",
    "titles",
    "unsupported",
]

SNIFF_BYTES = 1024
"""How many of a file's first bytes `sniff` and `refused_kind` want to see: five packets of a transport stream."""

HEIF_SEQUENCES = frozenset({b"msf1", b"hevc", b"hevx", b"hevm", b"hevs"})
"""Brands of HEIF files that hold several pictures."""

_HEIF_BRANDS = HEIF_SEQUENCES | {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2"}
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_SOUND_BRANDS = frozenset({b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "})
_OTHER_BRANDS = {
    b"crx ": "a camera's raw file (CR3)",
    b"jp2 ": "a picture (JPEG 2000)",
    b"jxl ": "a picture (JPEG XL)",
    b"avci": "a picture (HEIF with AVC)",
    b"avcs": "several pictures (HEIF with AVC)",
    b"j2ki": "a picture (HEIF with JPEG 2000)",
    b"j2is": "several pictures (HEIF with JPEG 2000)",
    b"jpeg": "a picture (HEIF with JPEG)",
    b"jpgs": "several pictures (HEIF with JPEG)",
    b"vvic": "a picture (HEIF with VVC)",
    b"evbi": "a picture (HEIF with EVC)",
    b"qt  ": "a film (QuickTime)",
    b"mjp2": "a film (Motion JPEG 2000)",
}
"""Of file type boxes, ISO/IEC 14496-12, 4.3; any brand that is neither here nor above is a film's."""

_BEFORE_ROOT = r"(\xef\xbb\xbf)?(\s|<\?[^>]*>|<!--([^-]|-[^-])*-->|<!DOCTYPE [^[>]*(\[[^]]*\]\s*)?>)*"
"""What may stand before the first element of an XML document (XML 1.0, 2.8)."""

_REFUSED: tuple[tuple[str, str], ...] = (
    ("a film (Matroska or WebM)", r"\x1aE\xdf\xa3"),
    ("a film (AVI)", r"RIFF....AVI "),
    ("a film (Video CD)", r"RIFF....CDXA"),
    ("a film (Flash Video)", r"FLV[\x01-\x04]"),
    ("a film (Flash)", r"[FCZ]WS[\x01-\x40]"),
    ("a film or sound (Windows Media)", r"0&\xb2u\x8ef\xcf\x11"),
    ("a film (Windows recorded television)", r"\xb7\xd8\x00\x20\x37\x49\xda\x11"),
    ("a film (MPEG program stream)", r"\0\0\x01\xba"),
    ("a film (MPEG)", r"\0\0\x01[\xb0\xb3\xb5]"),
    ("a film (H.264)", r"\0?\0\0\x01(\x09.\0?\0\0\x01)?[\x27\x47\x67]"),
    ("a film (H.265)", r"\0?\0\0\x01(\x46\x01.\0?\0\0\x01)?[\x40\x42]\x01"),
    ("a film (AV1)", r"\x12\0\x0a[\x04-\x20]|DKIF\0\0"),
    ("a film (Ogg)", r"OggS.*(\x80theora|OVP80|BBCD\0|\x01video\0\0\0)"),
    ("a film (QuickTime)", r"[\0-\x1f]...(moov|mdat|wide|pnot|free|skip)"),
    ("a film (RealMedia)", r"\.RMF\0|\.R1M"),
    ("a film (MXF)", r"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02"),
    ("a film (NUT)", r"nut/multimedia container\0"),
    ("a film (YUV4MPEG2)", r"YUV4MPEG2 "),
    ("a film (DV)", r"\x1f\x07\0[\x3f\xbf]"),
    ("a film (Autodesk FLI)", r"....[\x11\x12]\xaf......[\0\x08]\0"),
    ("a film (Bink)", r"BIK[b-k]|KB2[a-k]"),
    ("a film (Dirac)", r"BBCD\0"),
    ("an animation (MNG)", r"\x8aMNG\r\n\x1a\n"),
    ("an animated cursor", r"RIFF....ACON"),
    ("a picture (JPEG XL)", r"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
    ("a picture (JPEG 2000)", r"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"),
    ("a picture (JPEG XR)", r"II\xbc[\0\x01]"),
    ("a picture (JNG)", r"\x8bJNG\r\n\x1a\n"),
    ("a picture (Photoshop)", r"8BPS\0[\x01\x02]"),
    ("a picture (GIMP)", r"gimp xcf "),
    ("a picture (Krita or OpenRaster)", r"PK\x03\x04.{26}mimetype(application/x-krita|image/openraster)"),
    ("a picture (OpenEXR)", r"\x76\x2f\x31\x01"),
    ("a picture (Radiance HDR)", r"#\?(RADIANCE|RGBE)\s"),
    ("a picture (QOI)", r"qoif.{8}[\x03\x04][\0\x01]"),
    ("a picture (DDS)", r"DDS \x7c"),
    ("a picture (KTX)", r"\xabKTX [12][01]\xbb"),
    ("a picture (BPG)", r"BPG\xfb"),
    ("a picture (FLIF)", r"FLIF[\x31-\x34\x41-\x44\x51-\x54\x61-\x64]"),
    ("a picture (Netpbm)", r"P[1-6](\s|#[^\n]*\n)+\d+(\s|#[^\n]*\n)+\d+\s|P7\n(#[^\n]*\n)*(WIDTH|HEIGHT|DEPTH) "),
    ("a picture (PFM)", r"P[Ff]\s+\d+\s+\d+\s"),
    ("a picture (PCX)", r"\x0a[\0\x02-\x05]\x01[\x01\x02\x04\x08].{60}\0"),
    ("a picture (Sun raster)", r"\x59\xa6\x6a\x95"),
    ("a picture (SGI)", r"\x01\xda[\0\x01][\x01\x02]\0[\x01-\x03]"),
    ("a picture (DPX or Cineon)", r"SDPX|XPDS|\x80\x2a\x5f\xd7"),
    ("a picture (FITS)", r"SIMPLE  ="),
    ("a picture (DICOM)", r".{128}DICM"),
    ("a picture (IFF)", r"FORM....(ILBM|PBM |ANIM)"),
    ("a picture (DjVu)", r"AT&TFORM....DJV[UM]"),
    ("a picture (MIFF)", r"id=ImageMagick"),
    ("a picture (XPM)", r"/\* XPM \*/"),
    ("a picture (XBM)", r"(/\*[^*]*\*/\s*)?#define \w+_width \d+\s+#define \w+_height "),
    ("a picture (Windows metafile)", r"\xd7\xcd\xc6\x9a\0\0|\x01\0\0\0.{36} EMF"),
    ("a picture (Encapsulated PostScript)", r"%!PS-Adobe-[\d.]+ EPSF|\xc5\xd0\xd3\xc6"),
    ("a picture (SVG)", _BEFORE_ROOT + r"<(\w+:)?svg[\s>/]"),
    ("an icon", r"\0\0\x01\0[\x01-\xff]\0...\0|icns\0"),
    ("a cursor", r"\0\0\x02\0[\x01-\xff]\0...\0"),
    ("a camera's raw file (Canon)", r"II\x1a\0\0\0HEAPCCDR"),
    ("a camera's raw file (Olympus)", r"IIR[OS]|MMOR"),
    ("a camera's raw file (Panasonic)", r"IIU\0"),
    ("a camera's raw file (Fujifilm)", r"FUJIFILMCCD-RAW"),
    ("a camera's raw file (Sigma)", r"FOVb"),
    ("a camera's raw file (Minolta)", r"\0MRM"),
)  # fmt: skip
"""What a file is, and how it begins: a regular expression in which a dot is any byte, and none that backtracks far."""

_PACKETS = ((188, 0), (192, 4), (204, 0))
"""Length and first sync byte of a transport stream's packets: broadcast, Blu-ray, and with error correction."""


def brands(start: bytes) -> set[bytes]:
    """The brands in a file type box: one at byte 8, the others from 16 on (ISO/IEC 14496-12, 4.3)."""
    if start[4:8] != b"ftyp":
        return set()
    end = min(len(start), int.from_bytes(start[:4], "big"))
    return {start[8:12], *(start[at : at + 4] for at in range(16, end, 4))}


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format of stills that is taken and written: the home of all that is said of it outside its own code.

    Attributes:
        name: As Pillow calls it.
        title: As people call it.
        media_type: As HTTP calls it.
        suffixes: Of files, in small letters; new files get the first.
        in_browsers: Whether browsers of all kinds show it.
        begins: Whether the first `SNIFF_BYTES` bytes of a file announce it.
        plugin: Pillow's module and class; None where another library opens it.
        has_alpha: Whether it holds transparency.
        has_profile: Whether it holds a colour profile, as all viewers read it.
        is_lossy: Whether it is saved at a quality.
    """

    name: str
    title: str
    media_type: str
    suffixes: tuple[str, ...]
    in_browsers: bool
    begins: Callable[[bytes], bool]
    plugin: tuple[str, str] | None
    has_alpha: bool = True
    has_profile: bool = True
    is_lossy: bool = False


FORMATS = (
    Format(
        name="JPEG",
        title="JPEG",
        media_type="image/jpeg",
        suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
        in_browsers=True,
        begins=lambda start: start[:3] == b"\xff\xd8\xff",
        plugin=("JpegImagePlugin", "JpegImageFile"),
        has_alpha=False,
        is_lossy=True,
    ),
    Format(
        name="PNG",
        title="PNG",
        media_type="image/png",
        suffixes=(".png",),
        in_browsers=True,
        begins=lambda start: start[:8] == b"\x89PNG\r\n\x1a\n",
        plugin=("PngImagePlugin", "PngImageFile"),
    ),
    Format(
        name="WEBP",
        title="WebP",
        media_type="image/webp",
        suffixes=(".webp",),
        in_browsers=True,
        begins=lambda start: start[:4] == b"RIFF" and start[8:12] == b"WEBP",
        plugin=("WebPImagePlugin", "WebPImageFile"),
        is_lossy=True,
    ),
    Format(
        name="AVIF",
        title="AVIF",
        media_type="image/avif",
        suffixes=(".avif", ".avifs"),
        in_browsers=True,
        begins=lambda start: bool(brands(start) & _AVIF_BRANDS),
        plugin=("AvifImagePlugin", "AvifImageFile"),
        is_lossy=True,
    ),
    Format(
        name="HEIF",
        title="HEIC",
        media_type="image/heic",
        suffixes=(".heic", ".heif", ".hif", ".heics", ".heifs"),
        in_browsers=False,
        begins=lambda start: bool(brands(start) & _HEIF_BRANDS),
        plugin=None,
        is_lossy=True,
    ),
    Format(
        name="TIFF",
        title="TIFF",
        media_type="image/tiff",
        suffixes=(".tif", ".tiff"),
        in_browsers=False,
        begins=lambda start: start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        plugin=("TiffImagePlugin", "TiffImageFile"),
    ),
    Format(
        name="BMP",
        title="BMP",
        media_type="image/bmp",
        suffixes=(".bmp", ".dib"),
        in_browsers=True,
        begins=lambda start: start[:2] == b"BM" and not any(start[15:18]),  # upper bytes of a length: no text has them
        plugin=("BmpImagePlugin", "BmpImageFile"),
        has_alpha=False,
        has_profile=False,
    ),
    Format(
        name="GIF",
        title="GIF",
        media_type="image/gif",
        suffixes=(".gif",),
        in_browsers=True,
        begins=lambda start: start[:6] in (b"GIF87a", b"GIF89a"),
        plugin=("GifImagePlugin", "GifImageFile"),
        has_profile=False,
    ),
)
"""All that are taken, in the order in which they are listed; the first is shown by browsers of all kinds."""

SUFFIXES: dict[str, str] = {suffix: each.name for each in FORMATS for suffix in each.suffixes}
"""File suffix to format; the first suffix of a format is the one given to new files."""

MEDIA_TYPES: dict[str, str] = {each.name: each.media_type for each in FORMATS}
"""Format to media type."""


def titles(word: str, formats: tuple[Format, ...] = FORMATS) -> str:
    """Formats as a sentence has them, with "and" or "or" before the last."""
    *most, last = (each.title for each in formats)
    return f"{', '.join(most)} {word} {last}"


def format_of(path: str | os.PathLike[str]) -> str | None:
    """The format that a path's suffix asks for, None if it asks for none that we write."""
    return SUFFIXES.get(Path(path).suffix.lower())


def sniff(start: bytes) -> str | None:
    """Pillow's name of the format that a file's first `SNIFF_BYTES` bytes announce, None for anything unsupported."""
    return next((each.name for each in FORMATS if each.begins(start)), None)


def refused_kind(start: bytes) -> str | None:
    """What a file is that `sniff` does not know, if it is a film or a picture: somebody may be shown it.

    Args:
        start: Its first `SNIFF_BYTES` bytes, or all of them.

    Returns:
        Words for it, such as "a film (MPEG transport stream)"; None for formats that are taken and for what is neither
        film nor picture: sound, texts, documents, archives. Truevision TGA is told by nothing that it begins with.

    Source:
        The formats' own specifications; for transport streams ISO/IEC 13818-1, 2.4.3.2.
    """
    if sniff(start) is not None:
        return None
    if start[4:8] == b"ftyp":
        found = brands(start)
        named = next((what for brand, what in _OTHER_BRANDS.items() if brand in found), None)
        if named is None and start[8:12] in _SOUND_BRANDS:
            return None
        return named or ("a film (3GPP)" if start[8:10] == b"3g" else "a film (MP4)")
    if any(_is_transport_stream(start, length, first) for length, first in _PACKETS):
        return "a film (MPEG transport stream)"
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):  # SVG in UTF-16
        start = start[2:].replace(b"\0", b"")
    for what, begins in _REFUSED:
        if re.match(begins.encode("latin-1"), start, re.DOTALL):
            return what
    return None


def _is_transport_stream(start: bytes, length: int, first: int) -> bool:
    starts = range(first, len(start) - 3, length)
    text = start.isascii() and b"\0" not in start
    return not text and len(starts) >= 3 and all(start[at] == 0x47 and start[at + 3] & 0x30 for at in starts)


def unsupported(name: str, start: bytes = b"") -> UnsupportedImageError:
    """The error for a file that `sniff` does not know.

    Args:
        name: What the error calls the file.
        start: Its first `SNIFF_BYTES` bytes, where they are at hand.
    """
    reason = f"{name}: not a picture ({titles('or')})"
    if (kind := refused_kind(start)) is not None:
        reason += f" but {kind.replace('a picture', 'one of another kind')}"
    return UnsupportedImageError(reason)


def damaged(name: str, reason: str) -> DamagedImageError:
    """The error for a picture of which not all can be judged; `reason` says in a few words what is wrong."""
    return DamagedImageError(f"{name}: the picture is damaged or cut short ({reason})")


def several(name: str, found: str) -> AnimatedImageError:
    """The error for several pictures where one is expected: what to do instead depends on the format."""
    by_itself = "save one of them by itself, or have it taken as what moves"
    instead = "save each page by itself" if found == "TIFF" else by_itself
    return AnimatedImageError(f"{name}: several frames or pages, where one picture is expected; {instead}")


def empty(name: str) -> DamagedImageError:
    """The error for a file without content."""
    return DamagedImageError(f"{name}: the file is empty")
