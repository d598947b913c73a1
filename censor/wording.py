"""How much is said in one line."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["in_short"]


def in_short(texts: Sequence[str], *, most: int = 3, between: str = ", ") -> str:
    """The first of some texts, and how many more there are.

    Args:
        texts: What there is to say.
        most: How many of them are said.
        between: What stands between them.
    """
    more = [f"and {len(texts) - most} more"] if len(texts) > most else []
    return between.join([*texts[:most], *more])
