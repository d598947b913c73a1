"""A COCO file as it lies on disk: JSON in, JSON out, nothing checked but that it is JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from detect.atomic import write_whole
from detect.errors import AnnotationsError

__all__ = ["Document", "read_json", "write_bytes", "write_document"]

Document = dict[str, Any]
"""The outermost object of a COCO file."""


def read_json(path: Path) -> object:
    """Read a JSON file, whole.

    Args:
        path: UTF-8 (with or without a byte order mark), UTF-16 or UTF-32.

    Raises:
        AnnotationsError: The file cannot be read, is not JSON, holds ``NaN`` or ``Infinity`` or a key twice in one
            object, of which one would be lost, or ends too early; the message says which, and where.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AnnotationsError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return json.loads(content, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        cut = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string")
        if cut:
            raise AnnotationsError(f"{path}: truncated: ends too early at {where}; expected complete JSON") from error
        raise AnnotationsError(f"{path}: is not JSON: {error.msg} at {where}") from error
    except (ValueError, RecursionError) as error:
        raise AnnotationsError(f"{path}: is not JSON: {error}") from error


def write_document(path: Path, document: Document, *, overwrite: bool = False) -> None:
    """Write a COCO file, one record a line so that changes can be read in a diff; equal documents give equal bytes.

    Args:
        path: What to write; its folder must exist.
        document: Keys keep their order.
        overwrite: Replace an existing file.

    Raises:
        AnnotationsError: The file exists and `overwrite` is not set, or it cannot be written, or a number is not
            finite, which JSON cannot say.
    """
    parts = []
    try:
        for key, value in document.items():
            if isinstance(value, list) and value:
                lines = ",\n".join(f"  {_compact(record)}" for record in value)
                parts.append(f" {_compact(key)}: [\n{lines}\n ]")
            else:
                parts.append(f" {_compact(key)}: {_compact(value)}")
    except (ValueError, RecursionError) as error:
        raise AnnotationsError(f"{path}: cannot be written: {error}") from error
    write_bytes(path, ("{\n" + ",\n".join(parts) + "\n}\n").encode(), overwrite=overwrite)


def write_bytes(path: Path, content: bytes, *, overwrite: bool = False) -> None:
    """`detect.atomic.write_whole` with errors that name the file.

    Raises:
        AnnotationsError: The file exists and `overwrite` is not set, or it cannot be written.
    """
    try:
        write_whole(path, content, overwrite=overwrite)
    except FileExistsError as error:
        raise AnnotationsError(f"{path}: exists already; it is not overwritten unless asked for") from error
    except OSError as error:
        raise AnnotationsError(f"{path}: cannot be written: {error.strerror or error}") from error


def _compact(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which JSON can say and UTF-8 cannot
        return json.dumps(value, allow_nan=False)
    return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {json.dumps(twice[:40])} is there twice in one object")
    return found


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
