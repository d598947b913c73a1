"""Text that people write and change: policies and plans."""

from __future__ import annotations

from pathlib import Path

from censor.errors import CensorError

__all__ = ["read_text"]


def read_text(name: str, *, what: str, longest: int, error: type[CensorError]) -> str:
    """All of a small file, as UTF-8.

    Args:
        name: Its path, as errors call it.
        what: What it is meant to be, for the error.
        longest: So many bytes at most.
        error: What is raised.

    Raises:
        CensorError: As `error`: it cannot be read, is too long, or is no UTF-8.
    """
    try:
        with Path(name).open("rb") as stream:
            content = stream.read(longest + 1)
        text = content.decode("utf-8-sig")  # some editors begin with a byte order mark
    except (OSError, ValueError) as reason:
        raise error(f"{name}: cannot be read: {getattr(reason, 'strerror', None) or reason}") from reason
    if len(content) > longest:
        raise error(f"{name}: more than {longest:,} bytes, too long for {what}")
    return text
