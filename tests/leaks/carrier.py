"""A picture with a secret in one side channel, and the pieces that several formats share."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from leaks.search import SECRET
from numpy.typing import NDArray
from PIL import Image, ImageCms

__all__ = ["Carrier", "encoded", "exif", "photoshop", "profile", "profiles", "thumbnail", "xmp"]


@dataclass(frozen=True)
class Carrier:
    """A picture with a secret in one side channel.

    Attributes:
        name: The format, and where the secret is.
        suffix: Of a file of that format.
        make: Makes the file from pixels.
        secrets: Byte strings that must be in the file, in one form or another, and must not come out.
        refusable: Whether the decoder may refuse it; nothing comes out then.
    """

    name: str
    suffix: str
    make: Callable[[NDArray[np.uint8]], bytes]
    secrets: tuple[bytes, ...] = (SECRET,)
    refusable: bool = False


def encoded(pixels: NDArray[np.uint8] | Image.Image, kind: str, **options: object) -> bytes:
    """A file as Pillow writes it."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def thumbnail() -> bytes:
    """A small JPEG of noise with the secret in a comment."""
    noise = np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8)
    return encoded(noise, "JPEG", comment=SECRET)


THUMBNAIL_SECRETS = (SECRET, thumbnail()[-40:-10])
"""The comment, and some of the thumbnail's own pixels."""


def exif(*, with_thumbnail: bool = False) -> bytes:
    """A TIFF structure with the secret in every place that EXIF has for text or bytes; with IFD1 if asked for."""
    block = Image.Exif()
    text = SECRET.decode()
    block[0x010E], block[0x013B], block[0x8298], block[0x9C9B] = text, text, text, text.encode("utf-16-le")
    details = block.get_ifd(0x8769)
    details[0x927C], details[0x9286], details[0xA420] = b"MAKER\0" + SECRET, b"ASCII\0\0\0" + SECRET, text
    place = block.get_ifd(0x8825)
    place[0x001B], place[0x0012] = b"ASCII\0\0\0" + SECRET, text
    whole = block.tobytes().removeprefix(b"Exif\0\0")
    return _with_ifd1(whole) if with_thumbnail else whole


def _with_ifd1(block: bytes) -> bytes:
    """A second directory behind a TIFF structure, with a JPEG thumbnail (EXIF 2.32, 4.5.7)."""
    order = "little" if block[:2] == b"II" else "big"

    def number(value: int, size: int = 4) -> bytes:
        return value.to_bytes(size, order)  # type: ignore[arg-type]

    first = int.from_bytes(block[4:8], order)  # type: ignore[arg-type]
    count = int.from_bytes(block[first : first + 2], order)  # type: ignore[arg-type]
    link = first + 2 + 12 * count
    small = thumbnail()
    start = len(block) + 2 + 2 * 12 + 4
    entries = [(0x0201, start), (0x0202, len(small))]
    ifd1 = number(2, 2) + b"".join(number(tag, 2) + number(4, 2) + number(1) + number(value) for tag, value in entries)
    return block[:link] + number(len(block)) + block[link + 4 :] + ifd1 + number(0) + small


def xmp() -> bytes:
    """An XMP packet."""
    return (
        b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        b'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>' + SECRET + b"</dc:title></rdf:Description></rdf:RDF>"
        b'</x:xmpmeta><?xpacket end="w"?>'
    )


def photoshop() -> bytes:
    """Photoshop's resources: IPTC with a caption, a thumbnail, and a path's name."""
    caption = b"\x1c\x02\x78" + len(SECRET).to_bytes(2, "big") + SECRET
    small = (1).to_bytes(4, "big") + bytes(24) + thumbnail()
    resources = b""
    for kind, body in ((0x0404, caption), (0x040C, small), (0x0BB7, SECRET)):
        resources += b"8BIM" + kind.to_bytes(2, "big") + b"\0\0" + len(body).to_bytes(4, "big")
        resources += body + b"\0" * (len(body) % 2)
    return resources


def profile(extra: Mapping[bytes, bytes] = {}, *, gap: bytes = b"", tail: bytes = b"", grow: bool = True) -> bytes:
    """An sRGB profile with more tags, bytes between tags that none points to, and bytes behind the last."""
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tags = {}
    for number in range(int.from_bytes(plain[128:132], "big")):
        entry = plain[132 + 12 * number : 144 + 12 * number]
        start, size = int.from_bytes(entry[4:8], "big"), int.from_bytes(entry[8:], "big")
        tags[entry[:4]] = plain[start : start + size]
    tags |= extra
    table, body, start = b"", gap + b"\0" * (-len(gap) % 4), 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + (start + len(body)).to_bytes(4, "big") + len(content).to_bytes(4, "big")
        body += content + b"\0" * (-len(content) % 4)
    whole = plain[:128] + len(tags).to_bytes(4, "big") + table + body + (tail if grow else b"")
    return len(whole).to_bytes(4, "big") + whole[4:] + (b"" if grow else tail)


def profiles() -> dict[str, tuple[bytes, tuple[bytes, ...]]]:
    """Where a profile can hold a secret, to the profile and its secrets."""
    text = b"text\0\0\0\0" + SECRET + b"\0"
    wide = SECRET.decode().encode("utf-16-be")
    mluc = b"mluc\0\0\0\0\0\0\0\x01\0\0\0\x0cenUS" + len(wide).to_bytes(4, "big") + (28).to_bytes(4, "big") + wide
    old = b"desc\0\0\0\0" + (len(SECRET) + 1).to_bytes(4, "big") + SECRET + bytes(1 + 78)
    named = profile()
    return {
        "in the copyright": (profile({b"cprt": text}), (SECRET,)),
        "in the description": (profile({b"desc": mluc}), (SECRET,)),
        "in a description of version 2": (profile({b"dmdd": old}), (SECRET,)),
        "in a private tag": (profile({b"prvt": b"data\0\0\0\0\0\0\0\0" + thumbnail()}), THUMBNAIL_SECRETS),
        "in a tag behind its own data": (profile({b"wtpt": _white(named) + SECRET}), (SECRET,)),
        "in a curve": (profile({b"tech": b"sig \0\0\0\0" + SECRET}), (SECRET,)),
        "between tags": (profile(gap=thumbnail()), THUMBNAIL_SECRETS),
        "behind the last tag": (profile(tail=thumbnail()), THUMBNAIL_SECRETS),
        "behind its end": (profile(tail=SECRET, grow=False), (SECRET,)),
        "in the header": (named[:84] + SECRET + named[84 + len(SECRET) :], (SECRET,)),
    }


def _white(plain: bytes) -> bytes:
    at = plain.index(b"wtpt")
    start = int.from_bytes(plain[at + 4 : at + 8], "big")
    return plain[start : start + 20]
