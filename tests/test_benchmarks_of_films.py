"""The benchmark of leaks: its arithmetic by hand, and a quick form of it: the detector sees half of the frames."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from censor import Censor
from censor.policy import Policy
from censor.rules import Rule
from detect.detections import Detections, RGBImage

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def leaks() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("film_leaks")
    for name in ("film_leaks", "moving_faces", "face_drawing"):
        sys.modules.pop(name, None)


def test_leaks_by_hand(leaks: Any) -> None:
    face = leaks.FaceInShot(
        numbers=(3, 4, 5, 6, 7, 9), covered=(0.5, 1.0, 0.89, 0.0, 0.9, 0.2), found=(True, False) * 3, rate=20
    )
    assert (face.leaks, face.longest, face.gaps, face.seen_enough) == ((3, 5, 6, 9), 2, 1, True)
    well = leaks.FaceInShot(numbers=(3, 4), covered=(1.0, 0.95), found=(False, False), rate=20)
    assert (well.leaks, well.longest, well.gaps, well.seen_enough) == ((), 0, 0, False)
    count = leaks.counted([face, well], hidden=300, boxes=200)
    assert count.row() == "667 | 100 | 1 of 2 | 1 | 1.50"
    both = leaks.added([count, leaks.counted([well], hidden=100)])
    assert both.row() == "500 | 100 | 1 of 3 | 1 | 2.00"
    assert leaks.table({"turns": {"ours": (count, leaks.counted([face]))}}).splitlines()[2] == (
        "| turns | ours | 667 | 100 | 1 of 2 | 1 | 1.50 | 4 of 6 frames |"
    )


class Knows:
    """A detector that knows a scene's truth, and sees it in some frames; what is painted black it does not see."""

    names = ("FACE",)

    def __init__(self, scene: Any, sees: Callable[[int], bool], hidden_in: Any) -> None:
        self.frames = list(scene)
        self.small = np.array([self.shrunk(each.pixels) for each in self.frames])
        self.sees, self.hidden_in = sees, hidden_in

    @staticmethod
    def shrunk(pixels: RGBImage) -> Any:
        return pixels[::16, ::16].astype(np.int16)

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        return [self.one(each) for each in images]

    def one(self, image: RGBImage) -> Detections:
        number = int(np.median(np.abs(self.small - self.shrunk(image)), axis=(1, 2, 3)).argmin())
        black = self.hidden_in(image)
        seen = [each for each in self.frames[number].faces if each.due and black[each.core].mean() < 0.5]
        if not seen or not self.sees(number):
            return Detections.empty(self.names)
        boxes = np.array([each.box for each in seen], np.float32)
        return Detections(boxes, np.full(len(seen), 0.9), np.zeros(len(seen), np.int64), self.names)


KINDS = ("turns", "is occluded", "shakes")


@pytest.mark.parametrize("kind", KINDS)
def test_half_of_the_frames_are_enough(leaks: Any, tmp_path: Path, kind: str) -> None:
    scenes = importlib.import_module("moving_faces")
    (scene, *_) = (each for each in scenes.scenes() if each.kind == kind)
    scene = scenes.Scene(
        kind=kind, name=kind, frames=36, rate=25, show=scenes.KINDS[kind](0, 36), background=scene.background
    )
    source, target = tmp_path / "in.mp4", tmp_path / "out.mp4"
    source.write_bytes(scenes.encoded(scene))
    half = np.random.default_rng(2).permutation(36)[:18]
    seer = Knows(scene, lambda number: number in half, leaks.hidden_in)
    rules = {"FACE": Rule(censor_at=0.2, effect="solid", shape="ellipse", expand=0.1)}
    Censor(Policy(name="one", rules=rules), detector=seer, classifiers=()).apply_medium(source, target, quality=70)
    ((faces, hidden, boxes),) = leaks.measured(scene, [target], source, seer)
    assert faces
    assert {number: each.leaks for number, each in enumerate(faces)} == dict.fromkeys(range(len(faces)), ())
    assert 0 < hidden < 12 * boxes
