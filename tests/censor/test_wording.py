"""How much is said in one line."""

from __future__ import annotations

from censor.wording import in_short


def test_what_is_too_much_is_counted() -> None:
    assert in_short([]) == ""
    assert in_short(["a", "b", "c"]) == "a, b, c"
    assert in_short(["a", "b", "c", "d", "e"]) == "a, b, c, and 2 more"
    assert in_short(["a", "b"], most=1, between="; ") == "a; and 1 more"
