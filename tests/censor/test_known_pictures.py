"""What networks have said of a picture is not asked again: what comes of it is what `apply` makes."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from fakes import finder
from numpy.typing import NDArray
from PIL import Image
from tiny_classifiers import Reds

from censor import Censor
from censor.evidence import Evidence
from censor.policy import Policy, Rule
from censor.rules import PictureRule
from detect.pictures.still import decode

POLICY = Policy(
    name="p",
    rules={"FEMALE_BREAST_EXPOSED": Rule(censor_at=0.5, nsfw_at=0.5, effect="solid")},
    heat=Rule(effect="solid", shape="box"),
    picture=PictureRule(nsfw_at=0.9, hide_at=0.3, heat_at=0.6),
)


def test_known_boxes_are_hidden_and_maps_are_asked_for(scene: NDArray[np.uint8]) -> None:
    asked, judge = finder(), Reds()
    censor = Censor(POLICY, detector=asked, classifiers=[judge])
    checked = censor.check(scene)
    expected = censor.apply(scene)
    assert {each.classifier for each in expected.redactions} == {None, "reds"}
    before, judged = asked.calls, len(judge.seen)
    known = Evidence(boxes=checked.detections, scores=checked.scores)
    done = censor.apply_known(decode(scene.copy()), known)
    assert np.array_equal(done.picture.pixels, expected.picture.pixels)
    assert len(done.redactions) == len(expected.redactions)
    assert asked.calls - before == 1  # the look at the output
    assert judged < len(judge.seen)


def test_where_nothing_is_hidden_nobody_is_asked(scene: NDArray[np.uint8]) -> None:
    asked = finder()
    censor = Censor("boxes", detector=asked, classifiers=())
    plain = scene[:20]
    known = Evidence(boxes=censor.check(plain).detections)
    before = asked.calls
    assert np.array_equal(censor.apply_known(decode(plain.copy()), known).picture.pixels, plain)
    assert asked.calls == before


def test_a_reduced_picture_comes_back_reduced_with_boxes_where_they_were(scene: NDArray[np.uint8]) -> None:
    stream = io.BytesIO()
    Image.fromarray(scene).save(stream, "JPEG", quality=95)
    known = Evidence(boxes=finder().detect([scene])[0])
    small = decode(stream.getvalue(), spare=lambda height, width: 2)
    done = Censor(replace(POLICY, picture=PictureRule(), heat=None), detector=finder(), classifiers=()).apply_known(
        small, known
    )
    assert done.picture.pixels.shape == (60, 80, 3)
    assert (done.width, done.height) == (80, 60)
    (each,) = done.redactions
    assert each.xyxy == pytest.approx((25, 15, 45, 35), abs=0.6)
    assert np.ptp(done.picture.pixels[16:34, 26:44].reshape(-1, 3), axis=0).max() == 0
