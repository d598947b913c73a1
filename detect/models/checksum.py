"""A checksum inside the ONNX file that it is of: one file to move, to replace and to check, not two that may differ."""

from __future__ import annotations

import hashlib

from detect.errors import ModelError

__all__ = ["append_checksum", "verify_checksum"]

_KEY = b"sha256"
_ENTRY = b"\x72" + bytes([2 + len(_KEY) + 2 + 64]) + b"\x0a" + bytes([len(_KEY)]) + _KEY + b"\x12\x40"
"""How an entry of the metadata begins whose key is ``sha256``; its value, 64 hexadecimal digits, ends the file.

Source:
    onnx.proto: `ModelProto.metadata_props` is field 14, `StringStringEntryProto.key` 1 and `.value` 2. Protocol
    Buffers, Encoding: a repeated field's entries may stand anywhere, so one appended to a message belongs to it.
"""


def append_checksum(content: bytes) -> bytes:
    """An ONNX file with one more entry in its metadata: the SHA-256 of all that stands before it."""
    return content + _ENTRY + hashlib.sha256(content).hexdigest().encode()


def verify_checksum(content: bytes, source: str) -> None:
    """Check that a file is as `append_checksum` made it.

    Args:
        content: The whole file.
        source: Where it came from; named in the error.

    Raises:
        ModelError: It was cut, changed, or never had a checksum.
    """
    end = len(content) - len(_ENTRY) - 64
    if end < 0 or content[end:-64] != _ENTRY:
        raise ModelError(f"{source}: does not end in its checksum: cut short, or not made by adding a model")
    found = hashlib.sha256(memoryview(content)[:end]).hexdigest()
    if found.encode() != content[-64:]:
        raise ModelError(f"{source}: damaged or changed: its SHA-256 is {found}, not the one that it ends in")
