"""The looks at what was painted, by themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from fakes import Scripted
from numpy.typing import NDArray

from censor import Policy, Redaction, Rule
from censor.errors import RecheckError
from censor.finding import Found, Networks, find
from censor.recheck import TRIES, recheck
from censor.redact import Frame, kept, plan
from censor.views import Canvas
from detect.detections import Detections
from detect.pictures.still import Picture

LABEL = "FEMALE_BREAST_EXPOSED"
POLICY = Policy(name="test", rules={LABEL: Rule(censor_at=0.5, shape="box", expand=0.0)})
FIRST, SECOND = (LABEL, 0.9, (50, 30, 90, 70)), (LABEL, 0.7, (0, 0, 20, 20))

Box = tuple[str, float, Sequence[float]]


class Looked:
    """A picture that was looked at, planned and painted, with what the detector will answer from now on."""

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        *answers: list[Box],
        also: tuple[tuple[float, float, float, float], ...] = (),
        keep: tuple[tuple[float, float, float, float], ...] = (),
    ) -> None:
        self.picture = Picture(pixels.copy())
        self.detector = Scripted([LABEL], *answers)
        self.networks = Networks(detector=self.detector)
        self.frame = Frame.of(self.picture, also=also, keep=keep)
        self.found: Found = find(self.picture, self.networks)
        self.planned = plan(self.found.visible, POLICY, self.frame)
        self.kept = kept(self.found.visible, POLICY, self.frame)
        self.canvas = Canvas(self.picture.pixels, POLICY)
        self.canvas.paint(self.planned)

    def again(self) -> tuple[list[Redaction], Detections]:
        return recheck(
            self.picture, self.canvas, self.planned, self.kept,
            seen=self.found.visible, networks=self.networks, policy=POLICY, frame=self.frame, views=self.found.views,
        )  # fmt: skip


def test_where_nothing_is_left_one_look_is_enough(scene: NDArray[np.uint8]) -> None:
    looked = Looked(scene, [FIRST], [])
    painted = looked.picture.pixels.copy()
    hidden, left_alone = looked.again()
    assert hidden == looked.planned
    assert left_alone is looked.kept
    assert np.array_equal(looked.picture.pixels, painted)
    assert len(looked.detector.seen) == 2
    assert np.array_equal(looked.detector.seen[1][0], painted)


def test_what_is_found_is_hidden_and_looked_at_again(scene: NDArray[np.uint8]) -> None:
    looked = Looked(scene, [FIRST], [SECOND], [])
    hidden, _ = looked.again()
    assert hidden[:1] == looked.planned
    assert [(each.xyxy, each.rechecked, each.effect) for each in hidden[1:]] == [((0, 0, 20, 20), True, "pixelate")]
    assert (looked.picture.pixels[:20, :20] != scene[:20, :20]).any()
    assert np.array_equal(looked.detector.seen[2][0], looked.picture.pixels)


def test_what_the_second_look_finds_is_solid(scene: NDArray[np.uint8]) -> None:
    hidden, _ = Looked(scene, [FIRST], [SECOND], [SECOND], []).again()
    assert [each.effect for each in hidden] == ["pixelate", "pixelate", "solid"]


def test_what_the_last_look_finds_is_an_error_that_names_it(scene: NDArray[np.uint8]) -> None:
    answers: list[list[Box]] = [[(LABEL, 0.9, (x, 0, x + 10, 10))] for x in range(0, 100, 20)]
    looked = Looked(scene, *answers)
    with pytest.raises(RecheckError, match=f"picture: after {TRIES} looks .* still finds {LABEL} 0.90"):
        looked.again()
    assert len(looked.detector.seen) == 1 + TRIES


def test_what_lies_in_a_kept_box_is_passed_over_and_told_once(scene: NDArray[np.uint8]) -> None:
    nearby = (LABEL, 0.8, (2, 2, 22, 22))
    looked = Looked(scene, [FIRST, SECOND], [nearby], keep=((0, 0, 30, 30),))
    hidden, left_alone = looked.again()
    assert hidden == looked.planned
    assert left_alone.xyxy.tolist() == [[0, 0, 22, 22]]


def test_what_the_user_hides_is_hidden_once(scene: NDArray[np.uint8]) -> None:
    hidden, _ = Looked(scene, [FIRST], [SECOND], [], also=((100, 60, 110, 70),)).again()
    assert [each.label for each in hidden] == [LABEL, "ALSO", LABEL]
