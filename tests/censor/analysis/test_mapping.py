"""A map: near-duplicates have one place, the same pictures the same ones, and the cache holds no features."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fakes import RED
from labeled_pictures import FACTS, collection, networks
from numpy.typing import NDArray
from PIL import Image

from censor.analysis.collection import Collection, unlabeled
from censor.analysis.looking import look_at
from censor.analysis.mapping import Places, draw_map, map_csv, map_page, places_of
from censor.analysis.thumbnails import Thumbnails
from detect.classifier.features import FeatureExtractor
from detect.detections import RGBImage
from detect.evaluation.score_cache import ScoreCache


class Means(FeatureExtractor):
    """Features that are the means of the channels."""

    def __init__(self) -> None:
        self.seen = 0

    def features(self, images: Sequence[RGBImage]) -> NDArray[np.float32]:
        self.seen += len(images)
        return np.array([image.mean(axis=(0, 1)) for image in images], np.float32)

    def spare_factor(self, height: int, width: int) -> float:
        return 1.0


@pytest.fixture
def pictures(tmp_path: Path) -> Collection:
    return collection(tmp_path / "p")


def test_of_near_duplicates_one_has_a_place_and_stands_for_all(pictures: Collection) -> None:
    places = places_of(pictures, Means(), key="k")
    assert len(places.rows) == 12
    assert places.xy.shape == (12, 2)
    page, figures = map_page(pictures, places, "reds", Thumbnails(censor=None, key="k"))
    assert page.count('class="point"') == 12
    assert page.count("<span>\u00d72</span>") == 1
    assert set(figures) == set(places.rows)
    rows = list(csv.DictReader(io.StringIO(map_csv(pictures, places, "reds").decode())))
    assert len(rows) == 13
    assert len({(row["x"], row["y"]) for row in rows}) == 12
    assert list(rows[0]) == ["path", "x", "y", "group", "reds"]


def test_a_second_map_of_the_same_pictures_asks_no_network(pictures: Collection, tmp_path: Path) -> None:
    means = Means()
    with ScoreCache(tmp_path / "c") as cache:
        first = places_of(pictures, means, key="k", cache=cache)
        again = places_of(pictures, means, key="k", cache=cache)
        assert means.seen == 12
        np.testing.assert_array_equal(first.xy, again.xy)
        places_of(pictures, means, key="k", cache=cache, perplexity=2)
        places_of(pictures, means, key="another", cache=cache)
        assert means.seen == 36
    numbers = sqlite3.connect(tmp_path / "c").execute("SELECT numbers FROM scores").fetchall()
    assert {frozenset(json.loads(each)) for (each,) in numbers} == {frozenset({"x", "y"})}


def test_one_picture_and_very_few_have_a_map(tmp_path: Path) -> None:
    for count in (1, 2, 3):
        folder = tmp_path / str(count)
        folder.mkdir()
        for row in range(count):
            Image.fromarray(np.random.default_rng(row).integers(0, 255, (40, 40, 3), np.uint8)).save(
                folder / f"{row}.png"
            )
        found = Collection.of(look_at(unlabeled(sorted(folder.iterdir())), networks(), FACTS))
        places = places_of(found, Means(), key="k")
        assert len(places.rows) == count
        assert "<script>" in map_page(found, places, "reds", Thumbnails(censor=None, key="k"))[0]


def test_the_drawn_map_has_thumbnails_at_their_places(pictures: Collection) -> None:
    places = Places((0, 1), np.array([[0.0, 0.0], [1.0, 1.0]]))
    figures = Thumbnails(censor=None, key="k").figures({row: pictures.wanted(row, "") for row in (0, 1)})
    drawn = np.asarray(Image.open(io.BytesIO(draw_map(places, figures))))
    dark = np.argwhere(drawn.mean(axis=2) < 200)
    assert drawn.shape == (1600, 1600, 3)
    assert dark.min() < 56
    assert dark.max() > 1600 - 56
    assert (drawn[300:1300, 300:1300] == 255).all()
    assert not (drawn == RED).all(axis=2).any()
