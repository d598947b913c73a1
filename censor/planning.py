"""From what is hidden in each frame to a plan of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from censor.manual import Box
from censor.media.opening import Encoded
from censor.models_used import ModelUsed
from censor.plan import KEEP, Plan, PlannedBox, PlannedThing
from censor.policy import Policy
from censor.redact import ALSO, Redaction
from detect.pictures.still import Picture

__all__ = ["plan_of_pages", "plan_of_still", "planned_things"]


def plan_of_still(
    encoded: Encoded,
    picture: Picture,
    redactions: Sequence[Redaction],
    keep: Iterable[Box],
    *,
    policy: Policy,
    models: tuple[ModelUsed, ...],
) -> Plan:
    """The plan of a picture.

    Args:
        encoded: Its bytes.
        picture: The same, decoded.
        redactions: All that is hidden, after the last look.
        keep: Boxes that are left alone.
        policy: What it was hidden under.
        models: What looked.
    """
    things, found = planned_things([redactions], keep)
    return Plan(
        file=encoded.name, sha256=encoded.sha256, width=picture.width, height=picture.height, policy=policy,
        models=models, things=things, found=found,
    )  # fmt: skip


def plan_of_pages(
    encoded: Encoded,
    sizes: Sequence[tuple[int, int]],
    redactions: Sequence[Sequence[Redaction]],
    keep: Iterable[Box],
    *,
    policy: Policy,
    models: tuple[ModelUsed, ...],
) -> Plan:
    """The plan of pages. Each thing is on one of them.

    Args:
        encoded: Their bytes.
        sizes: Columns and rows of each.
        redactions: All that is hidden on each, after the last look.
        keep: Boxes that are left alone on each.
        policy: What they were hidden under.
        models: What looked.
    """
    things: list[PlannedThing] = []
    for page, hidden in enumerate(redactions):
        for thing in planned_things([hidden])[0]:
            boxes = [replace(box, first=page, end=page + 1) for box in thing.boxes]
            things.append(replace(thing, number=len(things) + 1, boxes=tuple(boxes)))
    every = range(len(sizes))
    kept = [tuple(PlannedBox(first=page, end=page + 1, xyxy=box) for page in every) for box in keep]
    return Plan(
        file=encoded.name, sha256=encoded.sha256, width=sizes[0][0], height=sizes[0][1], policy=policy, models=models,
        things=(*things, *(PlannedThing(boxes=boxes, hide=False, label=KEEP) for boxes in kept)), found=len(things),
        pages=tuple(sizes),
    )  # fmt: skip


def planned_things(
    redactions: Sequence[Iterable[Redaction]], keep: Iterable[Box] = ()
) -> tuple[tuple[PlannedThing, ...], int]:
    """Things through time, out of what is hidden in each frame.

    Args:
        redactions: Of each frame; of a still those of the one picture.
        keep: Boxes that are left alone in all of them.

    Returns:
        The things, those that are painted first going first, and how many of them have a number.
    """
    found: dict[tuple[object, ...], list[tuple[int, Redaction]]] = {}
    for number, hidden in enumerate(redactions):
        counts: dict[tuple[object, ...], int] = {}
        for each in hidden:
            key = _identity(each)
            counts[key] = counts.get(key, 0) + 1
            found.setdefault((*key, counts[key]), []).append((number, each))
    moves = len(redactions) > 1
    ordered = sorted(found.values(), key=lambda one: _rank(one[0][1])) if moves else list(found.values())
    things = [_thing(one, number) for number, one in enumerate(ordered, 1)]
    kept = [PlannedThing(boxes=(PlannedBox(end=len(redactions), xyxy=box),), hide=False, label=KEEP) for box in keep]
    return (*things, *kept), len(things)


def _identity(each: Redaction) -> tuple[object, ...]:
    if each.track is not None:
        return ("track", each.track)
    drawn = each.xyxy if each.label == ALSO else None
    return (each.label, each.classifier, each.rechecked, each.shape, each.expand, drawn)


def _rank(each: Redaction) -> tuple[int, int]:
    """In the order that a frame's plan has: by track, then heat, then boxes that were drawn, then later finds."""
    if each.track is not None:
        return 0, each.track
    return (3 if each.rechecked else 1 if each.classifier is not None else 2), 0


def _thing(found: Sequence[tuple[int, Redaction]], number: int) -> PlannedThing:
    first = found[0][1]
    boxes: list[PlannedBox] = []
    for frame, each in found:
        effect = None if each.effect == first.effect else each.effect
        where: Mapping[str, object] = {"xyxy": each.xyxy} if each.cells is None else {"cells": _rows_of(each.cells)}
        box = PlannedBox(first=frame, end=frame + 1, effect=effect, **where)  # type: ignore[arg-type]  # one of two
        if boxes and boxes[-1].end == frame and replace(boxes[-1], first=frame, end=frame + 1) == box:
            boxes[-1] = replace(boxes[-1], end=frame + 1)
        else:
            boxes.append(box)
    return PlannedThing(
        boxes=tuple(boxes),
        number=number,
        label=first.label,
        score=max(each.score for _, each in found),
        effect=first.effect,
        shape=first.shape,
        expand=first.expand,
        classifier=first.classifier,
        rechecked=first.rechecked,
    )


def _rows_of(cells: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple("".join("#" if each else "." for each in row) for row in cells.tolist())
