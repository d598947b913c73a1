"""Reading films: frame by frame, and none longer than it is needed."""

from __future__ import annotations

import gc

import av
from film_files import blob, film

from censor.media.film import open_film


def held() -> int:
    """How many frames there are in this process, those of other tests among them."""
    return sum(type(each) is av.VideoFrame for each in gc.get_objects())  # asks nothing of whatever else there is


def test_frames_go_when_they_are_done_with_and_not_when_the_collector_comes_by() -> None:
    medium = open_film(film([blob(4 * each) for each in range(20)]))
    gc.collect()
    before = held()
    gc.disable()
    try:
        for part in medium.parts():
            assert part.look().size
        after = held()
    finally:
        gc.enable()
    assert after - before <= 4, "frames and their side data hold each other again"
