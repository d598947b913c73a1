import numpy as np
import pytest

from censor.association import Track
from censor.rules import Rule
from censor.stitching import stitch


def rules(_: str) -> Rule:
    return Rule(censor_at=0.4)


def track(places: dict[int, float], side: float = 40.0, shot: tuple[int, int] = (0, 20)) -> Track:
    """A thing by where its left edge is in each frame that it is found in."""
    made = Track(shot=shot)
    for frame, left in places.items():
        made.add(frame, np.array([left, 100.0, left + side, 100.0 + side]), 0.9, "FACE")
    return made


TIMES = [0.04 * each for each in range(20)]
LOST = {0: 0.0, 1: 20.0, 2: 50.0}
FOUND = {7: 350.0, 8: 380.0, 9: 400.0}


def test_the_way_of_what_was_lost_on_it_is_its_own() -> None:
    one, other = track(LOST), track(FOUND)
    stitch([one, other], TIMES, rule_for=rules)
    assert sorted(one.followed) == [3, 4, 5, 6]
    assert one.followed[4] == pytest.approx([170 - 30, 100, 210 + 30, 140])  # two fifths of 300, a tenth of it around
    assert other.followed == {}


def test_what_was_known_of_the_way_is_only_added_to() -> None:
    one = track(LOST | FOUND)
    one.followed[5] = np.array([0.0, 0.0, 10.0, 10.0])
    stitch([one], TIMES, rule_for=rules)
    assert one.followed[5] == pytest.approx([0, 0, 300, 140])


@pytest.mark.parametrize(
    "other",
    [
        track({7: 350.0, 8: 320.0}),  # comes from elsewhere
        track({7: -300.0, 8: -330.0}),  # lies where it did not go
        track({7: 900.0, 8: 930.0}),  # is too far away
        track(FOUND, side=20.0),
        track({15: 350.0, 16: 380.0}),  # is found too late
        track({7: 350.0, 8: 380.0}, shot=(5, 20)),
    ],
    ids=["from elsewhere", "behind", "far", "small", "late", "another shot"],
)
def test_what_may_be_another_thing_is(other: Track) -> None:
    one = track(LOST)
    stitch([one, other], TIMES, rule_for=rules)
    assert one.followed == other.followed == {}


def test_what_is_hidden_otherwise_is_another_thing() -> None:
    one, other = track(LOST), track(FOUND)
    other.labels = ["FEET"] * 3
    stitch(
        [one, other], TIMES, rule_for=lambda label: Rule(censor_at=0.4, effect="solid" if label == "FEET" else "blur")
    )
    assert one.followed == {}
