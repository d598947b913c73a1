"""Looking for a marker in whatever comes out, in the forms in which it might have been taken along."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable

__all__ = ["SECRET", "finds"]

SECRET = b"Zq9-SECRET-k7Xw4"
"""What the carriers hide; long and odd enough to be nowhere by chance."""

_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_DEPTH = 3


def finds(data: bytes, secrets: Iterable[bytes] = (SECRET,)) -> list[str]:
    """How each secret is to be found in `data`: as it is, in UTF-16, hexadecimal or base64, or in a deflated stream."""
    found = []
    for secret in secrets:
        forms = {
            "raw": secret,
            "reversed": secret[::-1],
            "UTF-16 LE": secret.decode("latin-1").encode("utf-16-le"),
            "UTF-16 BE": secret.decode("latin-1").encode("utf-16-be"),
            **{f"base64 at {shift}": _base64(secret, shift) for shift in range(3)},
        }
        lower = data.lower()
        for name, layer in _layers(data, _DEPTH):
            found += [f"{form} {name}".strip() for form, bytes_ in forms.items() if bytes_ in layer]
        if secret.hex().encode() in lower:
            found.append("hexadecimal")
    return found


def _base64(secret: bytes, shift: int) -> bytes:
    """The characters that do not depend on what stands around the secret, `shift` bytes behind a multiple of three."""
    text = base64.b64encode(bytes(shift) + secret)
    return text[4 * bool(shift) : len(text) // 4 * 4 - 4]


def _layers(data: bytes, depth: int) -> Iterable[tuple[str, bytes]]:
    yield "", data
    if depth == 0:
        return
    for start in _ZLIB.finditer(data):
        inflated = _inflated(data[start.start() :])
        if len(inflated) >= 8:
            for name, layer in _layers(inflated, depth - 1):
                yield f"{name} deflated".strip(), layer


def _inflated(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        return stream.decompress(data, 1 << 22)
    except zlib.error:
        return b""
