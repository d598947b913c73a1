from collections.abc import Sequence

import numpy as np
import pytest
from animations import stripes

from censor.follow import Gray, is_cut, look_of, walk
from censor.rules import Rule
from censor.track import HOLD_SECONDS, LONGEST_GAP, Rules, Track, Tracker, cover, known_between
from detect.boxes import iou
from detect.detections import Detections

NAMES = ("FACE", "FEET")
SIZE = (640, 360)


def rules(label: str) -> Rule | None:
    return Rule(censor_at=0.4) if label == "FACE" else None


def seen(*rows: tuple[float, float, float, float, float], label: int = 0) -> Detections:
    """Boxes of side 40: middle x, middle y, score."""
    boxes = [[x0, y0, x1, y1] for x0, y0, x1, y1, _ in rows]
    return Detections(
        np.array(boxes).reshape(-1, 4), np.array([row[4] for row in rows]), np.full(len(rows), label), NAMES
    )


def at(x: float, score: float = 0.9) -> tuple[float, float, float, float, float]:
    return (x, 100, x + 40, 140, score)


def times(count: int, step: float = 0.04) -> list[float]:
    return [step * each for each in range(count)]


def link(
    found: Sequence[Detections | None],
    shown: Sequence[float],
    shots: Sequence[int],
    *,
    rule_for: Rules,
    looks: Sequence[Gray] = (),
    size: tuple[int, int] = SIZE,
) -> list[Track]:
    tracker = Tracker(rule_for=rule_for, size=size)
    for frame, (each, seconds) in enumerate(zip(found, shown, strict=True)):
        tracker.add(seconds, each, looks[frame] if looks else None, cut=frame in shots)
    assert (tracker.times, tracker.shots) == (shown, shots)
    return tracker.finish()


def test_boxes_that_move_on_are_one_thing_and_a_low_one_belongs_to_it() -> None:
    found = [seen(at(10 * each, 0.9 if each in (0, 9) else 0.12)) for each in range(10)]
    (track,) = link(found, times(10), [0], rule_for=rules)
    assert track.frames == list(range(10))


def test_what_was_never_sure_is_nothing() -> None:
    found = [seen(at(10 * each, 0.39)) for each in range(10)]
    assert link(found, times(10), [0], rule_for=rules) == []


def test_labels_that_nobody_hides_are_nothing() -> None:
    assert link([seen(at(0), label=1)], times(1), [0], rule_for=rules) == []


def test_two_finds_of_one_thing_in_a_frame_are_one() -> None:
    (track,) = link([seen(at(100), at(106, 0.6))], times(1), [0], rule_for=rules)
    assert track.boxes[0].tolist() == [100, 100, 146, 140]


def test_two_things_that_cross_stay_two() -> None:
    found = [seen(at(20 * each), at(400 - 20 * each)) for each in range(20)]
    tracks = link(found, times(20), [0], rule_for=rules)
    assert [len(each.frames) for each in tracks] == [20, 19]  # in one frame they are in one place
    assert [each.boxes[-1][0] for each in tracks] == [380, 20]


def test_a_small_fast_thing_is_followed_though_its_boxes_never_meet() -> None:
    found = [seen(at(25 * each)) for each in range(8)]
    (track,) = link(found, times(8), [0], rule_for=rules)
    assert len(track.frames) == 8


def test_a_new_shot_and_a_long_gap_begin_a_new_thing() -> None:
    found = [seen(at(100)) for _ in range(10)]
    assert [each.frames for each in link(found, times(10), [0, 4], rule_for=rules)] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7, 8, 9],
    ]
    late = [seen(at(100)), *[seen()] * 30, seen(at(100))]
    step = LONGEST_GAP / 30
    assert len(link(late, times(32, step), [0], rule_for=rules)) == 2
    assert len(link(late, times(32, step * 0.9), [0], rule_for=rules)) == 1


def test_nothing_is_bare_between_two_finds_nor_around_them() -> None:
    found: list[Detections | None] = [None, seen(), seen(), seen(at(100)), None, None, seen(at(160)), seen(), None]
    shown = times(9, 0.1)
    tracks = link(found, shown, [0], rule_for=rules)
    covered = list(cover(tracks, shown, NAMES, rule_for=rules))
    hidden = [frame for frame, each in enumerate(covered) if len(each)]
    held = round(HOLD_SECONDS / 0.1 - 0.001)
    assert hidden == list(range(3 - held, 6 + held + 1))
    for frame in range(3, 7):  # where it must be, if it goes straight
        x0, _, x1, _ = covered[frame].xyxy[0]
        middle = 100 + 20 * (frame - 3)
        assert x0 <= middle
        assert x1 >= middle + 40
    assert {each for frame in covered for each in (() if frame.track_ids is None else frame.track_ids.tolist())} == {0}


def test_a_shot_that_ends_ends_what_is_held() -> None:
    found = [seen(at(100))] * 3 + [seen()] * 5
    covered = cover(link(found, times(8), [0, 3], rule_for=rules), times(8), NAMES, rule_for=rules)
    assert [len(each) for each in covered] == [1, 1, 1, 0, 0, 0, 0, 0]


def test_a_frames_own_box_is_always_inside() -> None:
    rng = np.random.default_rng(5)
    found = [seen(at(float(rng.uniform(0, 400)))) for _ in range(20)]
    covered = cover(link(found, times(20), [0], rule_for=rules), times(20), NAMES, rule_for=rules)
    for own, hidden in zip(found, covered, strict=True):
        inside = (hidden.xyxy[:, :2] <= own.xyxy[0, :2]).all(axis=1) & (hidden.xyxy[:, 2:] >= own.xyxy[0, 2:]).all(
            axis=1
        )
        assert inside.any()


def test_a_label_that_was_never_sure_does_not_stand_for_a_thing() -> None:
    def two(label: str) -> Rule:
        return Rule(censor_at=0.4 if label == "FACE" else 0.8)

    found = [seen(at(100, 0.5)), seen(at(102, 0.6), label=1)]
    covered = cover(link(found, times(2), [0], rule_for=two), times(2), NAMES, rule_for=two)
    assert [each.label(0) for each in covered] == ["FACE", "FACE"]


def test_a_thing_is_followed_by_its_look_where_no_box_is() -> None:
    rng = np.random.default_rng(1)
    thing = rng.integers(0, 255, (24, 24, 3)).astype(np.uint8)
    looks, truth = [], []
    for frame in range(20):
        pixels = stripes(90, 160).copy()
        left = 5 + 6 * frame
        pixels[30:54, left : left + 24] = thing
        looks.append(look_of(pixels))
        truth.append([left, 30, left + 24, 54])
    start = np.array(truth[10]) / [160, 90, 160, 90]
    for direction, frames in ((1, range(11, 20)), (-1, range(10))):
        walked = walk(looks, 10, start, (0, 20), direction)
        assert sorted(walked) == list(frames)
        for frame, box in walked.items():
            both = np.array([box * [160, 90, 160, 90]], np.float32), np.array([truth[frame]], np.float32)
            assert iou(*both)[0, 0] > 0.9
    found: list[Detections | None] = [seen() for _ in range(20)]
    x0, y0, x1, y1 = map(float, truth[10])
    found[10] = seen((x0, y0, x1, y1, 0.9))
    tracks = link(found, times(20), [0], rule_for=rules, looks=looks, size=(160, 90))
    covered = cover(tracks, times(20), NAMES, rule_for=rules)
    assert all(len(each) == 1 for each in covered)


def test_what_has_no_look_is_not_followed() -> None:
    flat = [np.full((90, 160), 90, np.uint8)] * 5
    assert walk(flat, 2, np.array([0.2, 0.2, 0.5, 0.5]), (0, 5), 1) == {}
    noise = [np.random.default_rng(each).integers(0, 255, (90, 160)).astype(np.uint8) for each in range(5)]
    assert walk(noise, 2, np.array([0.2, 0.2, 0.5, 0.5]), (0, 5), 1) == {}
    assert walk(noise, 2, np.array([0.2, 0.2, 0.21, 0.21]), (0, 5), 1) == {}


@pytest.mark.parametrize(("level", "cut"), [(10, False), (120, True)])
def test_a_cut_changes_everything(level: int, cut: bool) -> None:
    before = np.full((90, 160), 100, np.uint8)
    assert is_cut(before, before + np.uint8(level)) is cut


def test_what_becomes_faster_is_held_where_it_may_be_by_then() -> None:
    """By 10, 20, 30, 40 columns a frame, and so on; then nobody sees it any more."""
    found = [seen(at(100 + 5 * each * (each + 1))) if each < 5 else seen() for each in range(8)]
    covered = list(cover(link(found, times(8), [0], rule_for=rules), times(8), NAMES, rule_for=rules))
    for frame in range(8):
        x0, _, x1, _ = covered[frame].xyxy[0]
        assert x0 <= 100 + 5 * frame * (frame + 1)
        assert x1 >= 140 + 5 * frame * (frame + 1)


def test_the_way_between_two_finds_is_known_where_a_look_goes_all_along_it() -> None:
    thing = np.random.default_rng(1).integers(0, 255, (24, 24, 3)).astype(np.uint8)

    def looks(lefts: Sequence[int]) -> list[Gray]:
        made = []
        for left in lefts:
            pixels = stripes(90, 160).copy()
            if left >= 0:
                pixels[30:54, left : left + 24] = thing
            made.append(look_of(pixels))
        return made

    def known(lefts: Sequence[int]) -> bool:
        ends = [seen((left, 30, left + 24, 54, 0.9)) if left >= 0 else seen() for left in (lefts[0], lefts[-1])]
        return known_between(looks(lefts), *ends, rule_for=rules, size=(160, 90))

    assert known([20, 26, 32, 38])
    assert known([-1, -1, -1])
    assert not known([20, 90, 20])  # there and back, faster than anything can be followed
    assert not known([20, 26, -1])
    assert not known([-1, 26, 32])
    low = seen((20, 30, 44, 54, 0.2))
    assert known_between(looks([20, -1, -1]), low, seen(), rule_for=rules, size=(160, 90))  # was never sure
