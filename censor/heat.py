"""From classifiers' heat to the cells of a picture that are hidden for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from censor.manual import Box
from censor.rules import PictureRule, reached
from detect.classifier.regions import cell_box, cells_box, connected_cells
from detect.classifier.scores import Scores

__all__ = ["HotRegion", "heat_wanted", "hot_regions", "hottest"]


@dataclass(frozen=True, kw_only=True, eq=False)
class HotRegion:
    """Connected cells of one classifier's map that are hot.

    Attributes:
        classifier: Whose map it is.
        score: Its probability that the picture is NSFW.
        cells: The region's among those of the map: bool (h, w), some of them true.
    """

    classifier: str
    score: float
    cells: NDArray[np.bool_]

    def bounds(self, *, width: int, height: int) -> Box:
        """The box around its cells, in pixels of a picture that the map is laid over."""
        return cells_box(self.cells, width=width, height=height)


def hottest(scores: Scores, *, width: int, height: int) -> Box | None:
    """The cell where a classifier sees most, the first of equals; None if it does not say where."""
    if scores.heat is None:
        return None
    row, column = divmod(int(scores.heat.argmax()), scores.heat.shape[1])
    return cell_box(row, column, scores.heat.shape, width=width, height=height)


def heat_wanted(scores: Mapping[str, Scores], rule: PictureRule, *, again: bool = False) -> tuple[str, ...]:
    """The classifiers whose maps are gone by: where there are none, nobody need ask for any.

    A plan goes by the maps of those whose heat is hidden, and a verdict's reasons by the maps of those who count for
    it; a later look gives no verdict.

    Args:
        scores: Each classifier's answer by its name.
        rule: Who must say so.
        again: It is a picture in which something has been hidden.
    """
    hiding = rule.hidden_by(scores, again=again, alone=True)  # whoever's turn comes later, it will be asked for
    judging = () if again else (*rule.nsfw_by(scores), *rule.reviewed_by(scores))
    return tuple(name for name in rule.counted(scores) if name in {*hiding, *judging})


def hot_regions(
    scores: Mapping[str, Scores], rule: PictureRule, *, again: bool = False, alone: bool = False, more: bool = False
) -> list[HotRegion]:
    """What is hidden of a picture for its heat, if enough classifiers vote for it or one is sure.

    Args:
        scores: Each classifier's answer by its name. One without heat shows no region.
        rule: Who must say so, and how hot a cell must be. Of a classifier that suspects the picture the hottest one is,
            whatever its heat.
        again: It is a picture in which something has been hidden.
        alone: No look at the output follows.
        more: Go further than the rule says, since that has not been enough: half as hot will do, and the cells around
            are hidden, too.

    Returns:
        Regions of one classifier after the other, from the top down. Cells that meet at a corner are connected.
    """
    found = []
    for name in rule.hidden_by(scores, again=again, alone=alone):
        heat = scores[name].heat
        if heat is None or rule.heat_at is None:
            continue
        suspected = reached(scores[name].probability, rule.suspect_at)
        bar = min(np.float32(rule.heat_at), heat.max() if suspected else np.float32(1)) / np.float32(2 if more else 1)
        hot = heat >= bar
        if more:
            hot = np.asarray(cv2.dilate(hot.astype(np.uint8), np.ones((3, 3), np.uint8)), np.bool_)
        score = scores[name].probability
        found += [HotRegion(classifier=name, score=score, cells=cells) for cells in connected_cells(hot)]
    return found
