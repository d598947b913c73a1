"""Frames as they come from a camera."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from animations import encoded, red_square, stripes
from fakes import RED, RedFinder
from numpy.typing import NDArray

from censor import Censor
from censor.errors import DetectorError
from censor.policy import Policy
from censor.rules import Rule
from detect.detections import Detections, RGBImage
from detect.errors import DamagedImageError

LABEL = "FEMALE_BREAST_EXPOSED"


def censor(detector: Any = None) -> Censor:
    policy = Policy(name="one", rules={LABEL: Rule(censor_at=0.5, shape="box", expand=0.0, effect="pixelate")})
    return Censor(policy, detector=detector or RedFinder(LABEL), classifiers=())


def camera(count: int = 10, seen: Sequence[int] = range(10)) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Ten frames a second, with something red in some of them."""
    for each in range(count):
        yield each / 10, red_square(20) if each in seen else stripes()


def test_it_is_hidden_while_it_shows_and_a_moment_before_and_after() -> None:
    frames = list(censor().frames(camera(10, [5])))
    assert [each.seconds for each in frames] == [each / 10 for each in range(10)]
    assert [each.regions for each in frames] == [0, 0, 0, 1, 1, 2, 1, 1, 0, 0]
    assert not any((each.pixels == RED).all(axis=2).any() for each in frames)
    assert (frames[3].pixels[20:36, 20:36] == frames[5].pixels[20:36, 20:36]).all()
    assert (frames[0].pixels == stripes()).all()
    assert not any(each.whole for each in frames)


def test_a_frame_comes_out_as_late_as_it_was_said() -> None:
    given: list[float] = []

    def told() -> Iterator[tuple[float, NDArray[np.uint8]]]:
        for each in camera():
            given.append(each[0])
            yield each

    late = [given[-1] - each.seconds for each in censor().frames(told(), delay=0.3)]
    assert max(late) < 0.3 + 0.11
    given.clear()
    assert [given[-1] - each.seconds for each in censor().frames(told(), delay=0)] == [0.0] * 10


class Failing(RedFinder):
    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        if self.calls == 3:
            self.calls += 1
            raise RuntimeError("no")
        return super().detect(images)


def test_a_frame_that_cannot_be_judged_is_an_error_or_black_all_over() -> None:
    with pytest.raises(DetectorError):
        list(censor(Failing(LABEL)).frames(camera(seen=[])))
    frames = list(censor(Failing(LABEL)).frames(camera(seen=[]), hide_unjudged=True))
    assert [each.whole for each in frames].count(True) == 1
    assert all(each.pixels.any() != each.whole for each in frames)


def test_a_file_is_a_source_too(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(encoded([red_square(8 * each) for each in range(4)], "GIF"))
    assert len(list(censor().frames(path))) == 4


@pytest.mark.parametrize("change", ["size", "time"])
def test_frames_that_do_not_follow_are_refused(change: str) -> None:
    second = (0.1, stripes(32, 32)) if change == "size" else (0.0, stripes())
    with pytest.raises(DamagedImageError, match="size" if change == "size" else "repeat"):
        list(censor().frames([(0.0, stripes()), second]))


def test_a_delay_is_not_negative() -> None:
    with pytest.raises(ValueError, match="delay"):
        censor().frames(camera(), delay=-1)
