"""Whether a map can be believed: said in words, and drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from censor.analysis.explaining import Curves, ExplainedMap
from detect.explain.faithfulness import Curve

__all__ = ["belief_in_a_word", "belief_in_words", "drawn_curves"]

_LOW = 0.1
"""Score below which a map explains next to nothing."""

_ANOTHER, _SAME = 0.3, 0.6
"""Rank correlations with the map of a network in disorder below which a map is another, and from which it is the
same."""


def belief_in_a_word(each: ExplainedMap) -> str:
    """``yes``, ``in part``, ``no``, or that there is little to explain."""
    if each.score < _LOW:
        return "little to explain"
    if each.curves is None:
        return "not yet tried"
    moved, alike = sum(_moves(each.curves)), abs(each.shuffled or 0)
    if moved == 0 or alike >= _SAME or _is_flat(each):
        return "no"
    return "yes" if moved == 2 and alike < _ANOTHER else "in part"


def belief_in_words(each: ExplainedMap) -> str:
    """The same, with what it follows from."""
    return " ".join([*_on_the_score(each), *_on_disorder(each)])


def _on_the_score(each: ExplainedMap) -> list[str]:
    if each.curves is None:
        return ["A first pass; what follows is finer."]
    if _is_flat(each):
        return ["It is the same everywhere: nothing that was tried changed the answer, so that it shows nothing."]
    if each.score < _LOW:
        return [_LITTLE]
    return [
        {
            (True, True): "Hiding what is hot lowers the score sooner than hiding anything does, and showing it raises "
            "it sooner: the map points at what the network goes by.",
            (True, False): "Hiding what is hot lowers the score sooner than hiding anything does, but showing it alone "
            "does not raise it sooner.",
            (False, True): "Showing what is hot raises the score sooner than showing anything does, but hiding it does "
            "not lower it sooner.",
            (False, False): "Neither hiding nor showing what is hot moves the score sooner than doing so anywhere: do "
            "not believe this map.",
        }[_moves(each.curves)]
    ]


def _on_disorder(each: ExplainedMap) -> list[str]:
    if each.curves is None or _is_flat(each):
        return []
    if each.shuffled is None:
        return ["Whether it depends on what the network has learnt was not tried."]
    if abs(each.shuffled) < _ANOTHER:
        return ["With the weights in disorder the map is another: it depends on what the network has learnt."]
    if abs(each.shuffled) < _SAME:
        return ["With the weights in disorder the map is partly the same: some of it shows the picture alone."]
    return [_NEARLY_THE_SAME]


def _moves(curves: Curves) -> tuple[bool, bool]:
    """Whether hiding what is hot lowers the score sooner than hiding anything, and showing it raises it sooner."""
    return curves.deletion.area < curves.random_deletion.area, curves.insertion.area > curves.random_insertion.area


def _is_flat(each: ExplainedMap) -> bool:
    return float(np.ptp(each.heat)) == 0


_LITTLE = (
    "The score is next to nothing, so this shows where little of it comes from, and neither hiding nor showing can "
    "tell whether it is right."
)
_NEARLY_THE_SAME = (
    "With the weights in disorder the map is nearly the same: it shows the picture, not what the network has learnt. "
    "Do not believe it."
)

_SIDE, _GAP, _LEFT, _TOP = 120, 34, 26, 22


def drawn_curves(curves: Curves) -> bytes:
    """Both curves of a map, and dashed those of one that knows nothing: an SVG picture of 320 x 176 pixels."""
    panels = (
        ("hottest hidden first", curves.deletion, curves.random_deletion),
        ("hottest shown first", curves.insertion, curves.random_insertion),
    )
    drawn = "".join(
        f'<g transform="translate({_LEFT + number * (_SIDE + _GAP)} {_TOP})">{_panel(*panel)}</g>'
        for number, panel in enumerate(panels)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 176" width="320" height="176" '
        'font-family="system-ui, sans-serif" font-size="10" fill="#444">'
        f'<rect width="320" height="176" fill="#fff"/>{drawn}</svg>'
    ).encode()


def _panel(title: str, found: Curve, random: Curve) -> str:
    return (
        f'<text y="-8" font-size="11">{title}</text>'
        f'<path d="M0 0V{_SIDE}H{_SIDE}" fill="none" stroke="#999"/>'
        f'<text x="-4" y="8" text-anchor="end">1</text><text x="-4" y="{_SIDE}" text-anchor="end">0</text>'
        f'<text y="{_SIDE + 14}">0</text><text x="{_SIDE}" y="{_SIDE + 14}" text-anchor="end">100 %</text>'
        f'<polyline points="{_points(random)}" fill="none" stroke="#777" stroke-width="1.5" stroke-dasharray="4 3"/>'
        f'<polyline points="{_points(found)}" fill="none" stroke="#4a3fd1" stroke-width="2"/>'
    )


def _points(curve: Curve) -> str:
    pairs: Sequence[tuple[float, float]] = list(zip(curve.shares.tolist(), curve.scores.tolist(), strict=True))
    return " ".join(f"{_SIDE * share:.1f},{_SIDE * (1 - score):.1f}" for share, score in pairs)
