"""Who looks at a picture, and at what of it."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import RED, RedFinder
from numpy.typing import NDArray

from censor import Policy, Rule
from censor.errors import PolicyError
from censor.finding import Networks, find, find_again, networks_for
from detect.pictures.still import Picture, Reading, decode

LABEL = "FEMALE_BREAST_EXPOSED"
POLICY = Policy(name="test", rules={LABEL: Rule(censor_at=0.5)})


def marked(*box: int) -> NDArray[np.uint8]:
    """Grey, with something to be found."""
    pixels = np.full((60, 80, 3), 90, np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = RED
    return pixels


def test_a_picture_without_transparency_is_looked_at_once() -> None:
    finder = RedFinder()
    found = find(Picture(marked(10, 20, 30, 40)), Networks(detector=finder))
    assert finder.calls == 1
    assert found.everything is found.visible
    assert found.visible.boxes.xyxy.tolist() == [[10, 20, 30, 40]]


def test_what_lies_beneath_is_judged_but_cannot_be_seen() -> None:
    rgba = np.dstack([marked(10, 20, 30, 40), np.full((60, 80), 255, np.uint8)])
    rgba[20:40, 10:30, 3] = 0
    found = find(decode(rgba), Networks(detector=RedFinder()))
    assert not found.visible.boxes
    assert found.everything.boxes.xyxy.tolist() == [[10, 20, 30, 40]]


def test_what_another_viewer_shows_counts_where_it_shows_it() -> None:
    turned = Reading(np.ascontiguousarray(marked(10, 20, 30, 40)[::-1, ::-1]), orientation=3)
    picture = Picture(marked(0, 0, 0, 0), readings=(turned,))
    found = find(picture, Networks(detector=RedFinder()))
    assert found.visible.boxes.xyxy.tolist() == [[10, 20, 30, 40]]
    assert not find_again(found.views, picture, Networks(detector=RedFinder())).boxes  # it is gone from the output


def test_networks_serve_their_policy_or_are_refused() -> None:
    finder = RedFinder()
    assert networks_for(POLICY, finder).detector is finder
    with pytest.raises(PolicyError, match="never reports"):
        networks_for(POLICY, RedFinder("FACE_MALE"))
    with pytest.raises(TypeError, match="detector must have `names`"):
        networks_for(POLICY, "320n.onnx")  # type: ignore[arg-type]  # what is refused
    finder.min_score = 0.6  # type: ignore[attr-defined]  # an optional member
    with pytest.raises(PolicyError, match=r"from 0\.5, but the detector reports none below 0\.6"):
        networks_for(POLICY, finder)
