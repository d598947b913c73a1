"""Each kind of doubt is found where it is and nowhere else, and near-duplicates are asked about once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from censor.analysis.collection import Collection
from censor.analysis.looking import Seen
from censor.analysis.mining import Reason, coco_document, mine, mined_csv, names_below, reasons
from censor.evidence import Evidence
from censor.policy import Policy, Rule
from censor.rules import PictureRule
from detect.annotations.check import check_document
from detect.classifier.scores import Scores
from detect.detections import Detections

PART, BELLY = "FEMALE_BREAST_EXPOSED", "BELLY_EXPOSED"
POLICY = Policy(name="p", rules={PART: Rule(censor_at=0.3, review_at=0.3, nsfw_at=0.6)})
NAMES = (PART, BELLY)


def seen(score: float | None = None, label: str = PART, **said: float) -> Seen:
    """A picture with one box, if any, and what classifiers give it."""
    scores = {name: Scores(np.array([1 - p, p], np.float32), ("sfw", "nsfw"), ("nsfw",)) for name, p in said.items()}
    boxes = Detections.empty(NAMES)
    if score is not None:
        box = np.array([[10, 10, 40, 50]], np.float32)
        boxes = Detections(box, np.array([score]), np.array([NAMES.index(label)]), NAMES)
    return Seen(evidence=Evidence(boxes=boxes, scores=scores), width=200, height=100)


def kinds(given: Seen, policy: Policy = POLICY, **options: bool | float) -> list[str]:
    margin, harmless = float(options.get("margin", 0.05)), bool(options.get("harmless"))
    return [each.kind for each in reasons(given, policy, margin=margin, harmless=harmless)]


AGAINST, DISAGREE, NEAR, ALARM = (
    "detector against classifier",
    "classifiers disagree",
    "near a threshold",
    "false alarm",
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (seen(), []),
        (seen(0.9), []),
        (seen(0.9, one=0.9), []),
        (seen(0.9, one=0.1), [AGAINST]),
        (seen(0.5, one=0.1), []),
        (seen(None, one=0.9), [AGAINST]),
        (seen(0.1, one=0.9), [AGAINST]),
        (seen(0.5, one=0.9), []),
        (seen(0.9, label=BELLY, one=0.9), [AGAINST]),
        (seen(0.9, label=BELLY, one=0.1), []),
        (seen(0.5, one=0.9, two=0.1), [DISAGREE]),
        (seen(0.5, one=0.9, two=0.3), []),
        (seen(0.58), [NEAR]),
        (seen(0.64), [NEAR]),
        (seen(0.27), [NEAR]),
        (seen(0.66), []),
    ],
)
def test_reasons_by_hand(given: Seen, expected: list[str]) -> None:
    assert kinds(given) == expected


def test_pictures_that_a_person_calls_safe_have_false_alarms() -> None:
    assert kinds(seen(0.9), harmless=True) == [ALARM]
    assert kinds(seen(0.4), harmless=True) == [ALARM]
    assert kinds(seen(0.2), harmless=True) == []
    (found,) = reasons(seen(0.9), POLICY, harmless=True)
    assert found.strength == pytest.approx(0.9)
    assert found.text.startswith(f"nsfw: {PART} 0.90 >= nsfw_at 0.6")


def test_a_classifiers_threshold_is_one_too() -> None:
    policy = Policy(name="p", rules=POLICY.rules, picture=PictureRule(nsfw_at=0.7, classifiers=("one",)))
    assert kinds(seen(None, one=0.72), policy) == [NEAR]
    assert kinds(seen(None, two=0.72), policy) == []
    (found,) = reasons(seen(None, one=0.7), policy)
    assert (round(found.strength, 4), found.text) == (0.5, "one 0.700, nsfw_at 0.7")
    assert kinds(seen(None, one=0.74), policy, margin=0) == []


def collection(*pictures: Seen, groups: Sequence[int] | None = None) -> Collection:
    paths = tuple(Path(f"/p/{row}.png") for row in range(len(pictures)))
    numbers = np.arange(len(pictures)) if groups is None else np.array(groups)
    return Collection(paths, tuple(map(str, paths)), pictures, numbers, ())


def test_the_strongest_reason_comes_first_and_near_duplicates_once() -> None:
    found = collection(seen(0.58), seen(0.9, one=0.1), seen(0.95, one=0.1), seen(), groups=[0, 1, 1, 2])
    assert [each.row for each in mine(found, POLICY)] == [2, 0]
    assert [each.row for each in mine(found, POLICY, most=1)] == [2]


def test_a_picture_keeps_all_its_reasons() -> None:
    (each,) = mine(collection(seen(0.61, one=0.95, two=0.05)), POLICY)
    assert [reason.kind for reason in each.reasons] == [DISAGREE, AGAINST, NEAR]
    assert Reason(0.5, "a", "b") < Reason(0.6, "a", "b")


def test_the_coco_file_is_valid_and_begins_from_the_detectors_boxes() -> None:
    found = collection(seen(0.58), seen(0.9, label=BELLY, one=0.9))
    mined = mine(found, POLICY)
    document = coco_document(found, mined, ["b/1.png", "a/0.png"], NAMES)
    assert check_document(document, file="mined.json", images_dir=None) == []
    assert document["images"] == [
        {"id": 1, "file_name": "b/1.png", "width": 200, "height": 100, "reason": f"{AGAINST}: no box 0.00, one 0.90"},
        {"id": 2, "file_name": "a/0.png", "width": 200, "height": 100, "reason": f"{NEAR}: {PART} 0.580, nsfw_at 0.6"},
    ]
    assert document["annotations"][0]["bbox"] == [10, 10, 30, 40]
    table = mined_csv(found, mined, POLICY, ["b/1.png", "a/0.png"]).decode().splitlines()
    assert table[1].startswith(f"/p/1.png,b/1.png,{AGAINST},")
    assert len(table) == 3


def test_nothing_is_worth_a_label_and_files_say_so() -> None:
    assert mine(collection(seen()), POLICY) == []
    assert mined_csv(collection(), [], POLICY, []) == b"path,file_name,reason,detail,strength\n"
    assert coco_document(collection(), [], [], NAMES)["images"] == []
    assert names_below([])[1] == []


def test_names_are_told_from_the_folder_that_all_lie_in() -> None:
    assert names_below([Path("/p/a/1.png"), Path("/p/b/1.png")]) == (Path("/p"), ["a/1.png", "b/1.png"])
    assert names_below([Path("/p/a/1.png")]) == (Path("/p/a"), ["1.png"])


@pytest.mark.parametrize(("most", "margin"), [(0, 0.1), (1, -0.1), (1, 1.1), (1, float("nan"))])
def test_numbers_out_of_range_are_refused(most: int, margin: float) -> None:
    with pytest.raises(ValueError, match="need most"):
        mine(collection(), POLICY, most=most, margin=margin)
