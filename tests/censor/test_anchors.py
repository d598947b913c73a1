"""A mosaic in time shows of a thing what it showed first."""

from __future__ import annotations

import numpy as np

from censor.anchors import Anchors
from censor.cells import CellMeans, cell_means
from censor.masks import Region


def means(value: int) -> CellMeans:
    return cell_means(np.full((16, 16, 3), value, np.uint8), Region(0, 0, 16, 16), cells=2)


def test_what_was_held_and_never_shown_is_forgotten() -> None:
    anchors = Anchors()
    anchors.hold("shown", means(10))
    anchors.hold("solid", means(20))
    anchors.settle({"shown"})
    assert (anchors.hold("shown", means(30)).colors == 10).all()
    assert (anchors.hold("solid", means(30)).colors == 30).all()


def test_what_was_shown_once_is_held_though_it_is_solid_later() -> None:
    anchors = Anchors()
    anchors.hold("thing", means(10))
    anchors.settle({"thing"})
    anchors.hold("thing", means(20))
    anchors.settle(set())
    assert (anchors.hold("thing", means(30)).colors == 10).all()
