"""Curves are where their numbers say, in colors that differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from generated_scores import drawn

from detect.detections import RGBImage
from detect.evaluation.curves import precision_recall_curve, roc_curve
from detect.evaluation.plots import _stroke, draw_precision_recall, draw_reliability, draw_roc
from detect.evaluation.reliability import reliability
from detect.evaluation.scored import Scored

PLOTS = [(draw_roc, roc_curve), (draw_precision_recall, precision_recall_curve), (draw_reliability, reliability)]
BLUE, ORANGE = np.array([31, 119, 180]), np.array([255, 127, 14])


def pixels_of(image: RGBImage, color: np.ndarray[Any, Any]) -> int:
    return int((np.abs(image.astype(int) - color).max(axis=2) < 8).sum())


@pytest.mark.parametrize(("draw", "measure"), PLOTS, ids=["roc", "precision recall", "reliability"])
def test_each_name_has_a_line(draw: Callable[[Mapping[str, Any]], RGBImage], measure: Callable[[Scored], Any]) -> None:
    one, two = draw({"a": measure(drawn(0))}), draw({"a": measure(drawn(0)), "b": measure(drawn(1, decimals=1))})
    assert one.shape == (600, 700, 3)
    assert one.dtype == np.uint8
    assert pixels_of(one, BLUE) > 300
    assert pixels_of(one, ORANGE) == 0
    assert pixels_of(two, ORANGE) > 100


def test_a_better_model_has_its_curve_on_the_left() -> None:
    columns = []
    for scores in ([0.9, 0.8, 0.2, 0.1], [0.1, 0.2, 0.8, 0.9]):
        image = draw_roc({"": roc_curve(Scored([1, 1, 0, 0], scores))})[50:400]  # between the top and the legend
        columns.append(np.flatnonzero((np.abs(image.astype(int) - BLUE).max(axis=2) < 8).any(axis=0)))
    assert columns[0].max() < 100
    assert columns[1].min() > 600


def test_names_of_many_lines_stand_below_the_curves_and_each_line_is_told_from_the_others() -> None:
    flat = {f"judge {number}": roc_curve(Scored([1, 0], [0.5, 0.5])) for number in range(12)}
    one, many = draw_roc({"a": flat["judge 0"]}), draw_roc(flat)
    assert many.shape[0] > one.shape[0]
    white = (many[60 : one.shape[0] // 2, 120:-40] > 250).all(axis=2)
    assert white.mean() > 0.9  # nothing but a grid and the diagonal
    assert len({tuple(_stroke(number).items()) for number in range(40)}) == 40
