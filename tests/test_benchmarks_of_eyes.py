"""The scripts that count false alarms, what is hidden, and faces: their arithmetic by hand, on pictures made here."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from censor import Censor
from censor.masks import Region
from censor.policy import Policy, Rule
from censor.redact import Redaction
from censor.verdict import Level, Reason, Verdict
from detect.detections import Detections, RGBImage

ROOT = Path(__file__).parent.parent
MODULES = ("stretched", "false_alarms", "heat_cover", "faces_ap")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


class RedFinder:
    """Finds the red half of a picture, if there is one, with a score of .5."""

    names = ("FACE",)

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        return [self._one(image) for image in images]

    def _one(self, image: RGBImage) -> Detections:
        rows, columns = np.nonzero((image[..., 0] > 200) & (image[..., 1] < 50))
        if not len(rows):
            return Detections.empty(self.names)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detections(np.array([box], np.float32), np.array([0.5]), np.array([0]), self.names)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    red = np.full((64, 64, 3), 128, np.uint8)
    red[:, :32] = (255, 0, 0)
    Image.fromarray(red).save(tmp_path / "a.png")
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(tmp_path / "b.png")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def policy(**rule: float) -> Policy:
    return Policy(name="own", rules={"FACE": Rule(expand=0.0, shape="box", effect="solid", **rule)})  # type: ignore[arg-type]


def test_folders_and_squashed_pictures(module: Any, folder: Path) -> None:
    stretched = module("stretched")
    assert [name for name, _ in stretched.picture_folder(str(folder)).pictures()] == ["a.png", "b.png"]
    ((_, wide), _) = stretched.picture_folder(f"{folder}@16:9").pictures()
    assert wide.shape == (64, 114, 3)
    assert [pixels.shape[2] for _, pixels in stretched.picture_folder("skimage").pictures()] == [3] * 7
    with pytest.raises(Exception, match="no such folder"):
        stretched.picture_folder(str(folder / "none"))
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no picture"):
        list(stretched.picture_folder(str(folder / "empty")).pictures())


def test_who_caused_a_level_and_how_often(module: Any, folder: Path) -> None:
    alarms = module("false_alarms")

    def reason(label: str, rule: str, classifier: str | None = None) -> Reason:
        return Reason(label=label, score=0.9, rule=rule, threshold=0.5, area=0.5, xyxy=None, classifier=classifier)

    reasons = (reason("NSFW", "nsfw_at", "two"), reason("FACE", "nsfw_at"), reason("FEET", "review_at"))
    assert alarms.causes(Verdict(level=Level.NSFW, score=0.9, reasons=reasons, policy="p")) == "box FACE + two"
    assert alarms.causes(Verdict(level=Level.SAFE, score=0.1, reasons=(), policy="p")) == ""
    censor = Censor(policy(nsfw_at=0.6, review_at=0.4), detector=RedFinder(), classifiers=())
    judged, failed = alarms.judge_folder(censor, module("stretched").picture_folder(str(folder)))
    assert [(each.name, each.level, each.causes) for each in judged] == [
        ("a.png", "review", "box FACE"),
        ("b.png", "safe", ""),
    ]
    assert failed == []
    count, each, low, high = alarms.rate(judged, Level.REVIEW)
    assert (count, each) == (1, 500.0)
    assert (low, high) == pytest.approx((94.5, 905.5), abs=0.1)  # Wilson's for one of two
    text = alarms.table({("own", "here"): judged})
    assert "| own | here | 2 | 0.0 (0.0 to 657.6): 0 | 500.0 (94.5 to 905.5): 1 |  | box FACE: 1 |" in text
    (folder / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert len(alarms.judge_folder(censor, module("stretched").picture_folder(str(folder)))[1]) == 1


def test_what_is_covered_at_least_half(module: Any, folder: Path) -> None:
    cover = module("heat_cover")
    censor = Censor(policy(censor_at=0.4), detector=RedFinder(), classifiers=())
    boxes = {
        "a.png": [("FACE", (0.0, 0.0, 1.0, 1.0)), ("FACE", (0.45, 0.0, 1.0, 1.0)), ("FEET", (0.0, 0.0, 0.25, 0.25))]
    }
    found = cover.cover_of(censor, module("stretched").picture_folder(str(folder)), boxes)
    assert found.hidden == [0.5, 0.0]
    assert (found.half("FACE"), len(found.covered["FACE"]), found.half("FEET")) == (1, 2, 1)
    assert (
        found.line()
        == "25.0% hidden on average; half or more of: FACE 1 of 2; FEET 1 of 1; 1 of 2 left as they are, 0 refused"
    )
    mask = cover.hidden_mask(
        [Redaction(label="a", score=1, xyxy=(0, 0, 1, 1), effect="solid", rechecked=False, region=Region(1, 0, 3, 2))],
        2,
        4,
    )
    assert mask.tolist() == [[False, True, True, False]] * 2


def test_average_precision_by_hand(module: Any) -> None:
    faces = module("faces_ap")
    truth = SimpleNamespace(
        xyxy=np.array([[0, 0, 10, 10], [20, 0, 30, 10], [50, 0, 90, 40]], np.float32),
        iscrowd=np.array([False, False, True]),
    )
    xyxy = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 5], [40, 20, 44, 24], [60, 5, 65, 9]], np.float32)
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5], np.float32)
    answer = faces.hits(truth, Detections(xyxy, scores, np.zeros(5, np.int64), ("FACE",)), min_iou=0.4)
    # The second is the first face again, the third overlaps by half, the fourth is nothing, the fifth is in the crowd.
    assert [hit for _, hit in answer] == [True, False, True, False]
    # Precision 1 up to half of the faces, then two of three.
    assert faces.average_precision(answer, 2) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert faces.average_precision([], 2) == 0
    with pytest.raises(ValueError, match="no face"):
        faces.average_precision([], 0)


def test_the_scripts_say_what_they_found(
    module: Any, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Censor(policy(censor_at=0.4, review_at=0.4), detector=RedFinder(), classifiers=())
    for name in ("false_alarms", "heat_cover"):
        script = module(name)
        monkeypatch.setattr(script, "Censor", lambda _: made)
        assert script.main([str(folder), "--policy", "own", "--out", str(folder / "out.json")]) == 0
        assert json.loads((folder / "out.json").read_text())
    said = capsys.readouterr().out
    assert "| own |" in said
    assert "own: 25.0% hidden on average" in said
