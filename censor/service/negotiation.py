"""Which of the representations that there are a client wants."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["preferred"]

_RANGE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9a-z-]+)/([!#$%&'*+.^_`|~0-9a-z-]+)\s*", re.IGNORECASE)
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PARAMETER = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*")+')
_WEIGHT = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")


def preferred(accept: str, offers: Sequence[str]) -> str | None:
    """The media type to answer with.

    For each offer the most specific range that matches it tells the weight. Parameters of ranges other than the weight
    are passed over, and elements that are not ranges, too.

    Args:
        accept: The header ``Accept``; several of them joined by commas. Empty takes everything.
        offers: Media types in small letters, the one to be preferred among equals first.

    Returns:
        The offer of the greatest weight; None if all have the weight 0.

    Source:
        RFC 9110, sections 12.4.2 and 12.5.1.
    """
    ranges = _ranges(accept)
    weights = [(_weight(ranges, offer), offer) for offer in offers]
    weight, offer = max(weights, key=lambda each: each[0])  # the first of equals
    return offer if weight > 0 else None


def _weight(ranges: Sequence[tuple[str, float]], offer: str) -> float:
    if not ranges:
        return 1.0
    for pattern in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        if weights := [weight for told, weight in ranges if told == pattern]:
            return max(weights)
    return 0.0


def _ranges(accept: str) -> list[tuple[str, float]]:
    found = []
    for element in _ELEMENT.findall(accept):
        name, *parameters = _PARAMETER.findall(element)
        pattern = _RANGE.fullmatch(name)
        told = [value.strip() for key, _, value in (each.partition("=") for each in parameters) if _is_weight(key)]
        if pattern is None or (pattern[1] == "*" and pattern[2] != "*") or not all(map(_WEIGHT.fullmatch, told[:1])):
            continue
        found.append((f"{pattern[1]}/{pattern[2]}".lower(), float(told[0]) if told else 1.0))
    return found


def _is_weight(key: str) -> bool:
    return key.strip().lower() == "q"
