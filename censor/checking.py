"""Judging pictures without changing them: one alone, or several together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from censor.censoring import judge_part
from censor.finding import Networks, find
from censor.looking_ahead import asked_ahead
from censor.media.medium import Medium
from censor.policy import Policy
from censor.results import Checked
from censor.timing import timed
from detect.pictures.still import Picture, Source

__all__ = ["check", "check_together", "settled", "together"]

_MOST = 8
"""Pictures that are worth looking at together: of more, no network gets quicker, and each is some MB."""

_SMALL = 4 * 2**20
"""Bytes of pixels up to which a picture waits for others."""


def together(pictures: int, workers: int) -> int:
    """How many of so many pictures a worker best looks at together: few of few, or other workers would have none."""
    return max(1, min(_MOST, pictures // (2 * workers)))


def check(medium: Medium, networks: Networks, policy: Policy, *, whole: bool) -> Checked:
    """Judge a medium of one part; see `censor.pipeline.Censor.check` for what else there is to say."""
    seconds: dict[str, float] = {}
    return _judged(_decoded(medium, networks, seconds, whole=whole), networks, policy, seconds)


def check_together(
    sources: Sequence[Source], open_one: Callable[[Source], Medium], networks: Networks, policy: Policy, *, whole: bool
) -> list[Checked | Exception]:
    """Judge several pictures; see `censor.pipeline.Censor.check_together`.

    Args:
        sources: The pictures.
        open_one: Makes a medium of one part of each.
        networks: What looks.
        policy: What judges.
        whole: Decode all pixels.
    """
    done: dict[int, Checked | Exception] = {}
    waiting: dict[int, _Waiting] = {}
    for position, source in enumerate(sources):
        try:
            looked = _looked_or_waiting(open_one(source), networks, policy, whole=whole)
        except Exception as error:  # noqa: BLE001  # whatever happens to one picture is its own failure
            done[position] = _without_pixels(error)
            continue
        if isinstance(looked, _Waiting):
            waiting[position] = looked
        else:
            done[position] = looked
    shared: dict[str, float] = {}
    with timed(shared, "detect"):
        ahead = asked_ahead(networks, [each.picture.pixels for each in waiting.values()]) if waiting else networks
    for position, each in waiting.items():
        each.seconds["detect"] = shared["detect"] / len(waiting)
        try:
            done[position] = _judged(each.picture, ahead, policy, each.seconds)
        except Exception as error:  # noqa: BLE001  # here too
            done[position] = _without_pixels(error)
    return [done[position] for position in range(len(sources))]


def settled(checked: Checked | Exception) -> Checked:
    """What `check` would have returned, or raised, of one of several pictures."""
    if isinstance(checked, Exception):
        raise checked
    return checked


class _Waiting(NamedTuple):
    """A small picture, and what its decoding took."""

    picture: Picture
    seconds: dict[str, float]


def _looked_or_waiting(medium: Medium, networks: Networks, policy: Policy, *, whole: bool) -> Checked | _Waiting:
    """A small picture waits for others; of a large one nothing is held when the next is decoded."""
    seconds: dict[str, float] = {}
    picture = _decoded(medium, networks, seconds, whole=whole)
    return _Waiting(picture, seconds) if _is_small(picture, networks) else _judged(picture, networks, policy, seconds)


def _without_pixels(error: Exception) -> Exception:
    """An error that is kept while others are decoded, without its way here, which holds all that was in hand there."""
    told: BaseException | None = error
    while told is not None and told.__traceback__ is not None:  # or it is its own cause
        told.__traceback__ = None
        told = told.__cause__ or told.__context__
    return error


def _decoded(medium: Medium, networks: Networks, seconds: dict[str, float], *, whole: bool) -> Picture:
    with timed(seconds, "decode"):
        (part,) = medium.parts(spare=None if whole else networks.reduction)
    return part.picture


def _judged(picture: Picture, networks: Networks, policy: Policy, seconds: dict[str, float]) -> Checked:
    with timed(seconds, "detect"):
        everything = find(picture, networks).everything
    return Checked(
        verdict=judge_part(everything, picture, policy),
        detections=everything.boxes,
        scores=dict(everything.scores),
        width=picture.width,
        height=picture.height,
        seconds=seconds,
    )


def _is_small(picture: Picture, networks: Networks) -> bool:
    """Whether it is little to hold, and looked at as it is: neither laid on pages nor reduced first."""
    pixels = picture.pixels
    as_it_is = picture.reduced is not None or networks.reduction(picture.height, picture.width) == 1
    return pixels.nbytes <= _SMALL and pixels.shape[2] == 3 and as_it_is
