import numpy as np
import pytest

from censor.analysis.belief import belief_in_a_word, belief_in_words, drawn_curves
from censor.analysis.explaining import Curves, ExplainedMap
from detect.explain.faithfulness import Curve


def curve(*scores: float) -> Curve:
    return Curve(shares=np.linspace(0, 1, len(scores)), scores=np.array(scores))


def explained(
    areas: tuple[float, ...], shuffled: float | None, *, score: float = 0.9, flat: bool = False
) -> ExplainedMap:
    """Of areas of deletion, insertion, and both of a random map."""
    hidden, shown, random_hidden, random_shown = (curve(area, area) for area in areas)
    curves = Curves(deletion=hidden, insertion=shown, random_deletion=random_hidden, random_insertion=random_shown)
    heat = np.zeros((1, 2), np.float32) if flat else np.array([[0, 1]], np.float32)
    return ExplainedMap(by="a", method="drise", target="b", score=score, heat=heat, curves=curves, shuffled=shuffled)


@pytest.mark.parametrize(
    ("areas", "shuffled", "word", "said"),
    [
        (
            (0.1, 0.8, 0.3, 0.4),
            0.1,
            "yes",
            "points at what the network goes by. With the weights in disorder the map is a",
        ),
        ((0.1, 0.8, 0.3, 0.4), None, "yes", "points at what the network goes by. Whether it depends"),
        (
            (0.1, 0.3, 0.3, 0.4),
            0.1,
            "in part",
            "alone does not raise it sooner. With the weights in disorder the map is a",
        ),
        ((0.1, 0.8, 0.3, 0.4), 0.4, "in part", "goes by. With the weights in disorder the map is partly"),
        (
            (0.4, 0.8, 0.3, 0.4),
            -0.9,
            "no",
            "hiding it does not lower it sooner. With the weights in disorder the map is n",
        ),
        ((0.4, 0.3, 0.3, 0.4), 0, "no", "do not believe this map. With the weights"),
    ],
)
def test_whether_a_map_can_be_believed_is_said(
    areas: tuple[float, ...], shuffled: float | None, word: str, said: str
) -> None:
    each = explained(areas, shuffled)
    assert belief_in_a_word(each) == word
    assert said in belief_in_words(each)


def test_where_there_is_nothing_to_explain_no_map_is_praised() -> None:
    each = explained((0.1, 0.8, 0.3, 0.4), 0.1, score=0.05)
    assert belief_in_a_word(each) == "little to explain"
    assert "next to nothing" in belief_in_words(each)
    assert "goes by" not in belief_in_words(each)
    flat = explained((0.1, 0.8, 0.3, 0.4), 0.0, flat=True)
    assert belief_in_a_word(flat) == "no"
    assert belief_in_words(flat).startswith("It is the same everywhere")
    first = ExplainedMap(by="a", method="drise", target="b", score=0.9, heat=np.ones((1, 1), np.float32))
    assert belief_in_a_word(first) == "not yet tried"
    assert belief_in_words(first) == "A first pass; what follows is finer."


def test_curves_are_drawn_to_scale() -> None:
    curves = Curves(
        deletion=curve(1, 0.5, 0), insertion=curve(0, 1, 1), random_deletion=curve(1, 1, 0),
        random_insertion=curve(0, 0, 1),
    )  # fmt: skip
    drawn = drawn_curves(curves).decode()
    for points in ("0.0,0.0 60.0,60.0 120.0,120.0", "0.0,120.0 60.0,0.0 120.0,0.0", "0.0,0.0 60.0,0.0 120.0,120.0"):
        assert f'points="{points}"' in drawn
    assert drawn.count("stroke-dasharray") == 2
