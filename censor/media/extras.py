"""What some media need that is not always installed."""

from __future__ import annotations

from importlib.util import find_spec

from censor.errors import ExtraError

__all__ = ["require_pyav"]


def require_pyav(name: str, what: str) -> None:
    """Check, before anything is begun, that PyAV is here.

    Args:
        name: What errors call the file.
        what: What needs it, in words.

    Raises:
        ExtraError: It is not.
    """
    if find_spec("av") is None:
        raise ExtraError(f"{name}: {what} need the extra `video`: pip install 'nsfw-censor[video]'")
