"""A plan as a page: each thing by its number, on thumbnails in which all of them are hidden, those to be shown too."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction

from censor.analysis.page import Figure, Gallery, Section, Table, render_page
from censor.analysis.thumbnails import Thumbnail, censored_thumbnail
from censor.displayed import shown
from censor.drawing import Pen, corners
from censor.media.encoding import encode
from censor.media.opening import Encoded, EncodedFilm, open_moving
from censor.media.pages import open_pages
from censor.pipeline import Censor
from censor.plan import KEEP, Plan, PlannedThing
from censor.redact import ALSO
from detect.pictures.still import MAX_BYTES, MAX_PIXELS

__all__ = ["plan_sheet"]

_SIDE = 480
"""Of a thumbnail, in pixels."""

_MOST = 40
"""Things whose frames are shown; all of them stand in the table."""

_HIDDEN, _SHOWN = (230, 40, 40), (60, 200, 90)


def plan_sheet(
    encoded: Encoded | EncodedFilm,
    plan: Plan,
    censor: Censor,
    *,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
) -> str:
    """Lay out what a plan hides, and where.

    Args:
        encoded: The plan's input.
        plan: The plan.
        censor: One that has its policy and its models; it looks at each thumbnail, before it hides and after.
        max_bytes: Cap on the input.
        max_pixels: Cap on a frame's width times height.

    Returns:
        HTML that needs nothing else. Thumbnails are hidden as the policy says, and wherever a thing is; one that cannot
        be hidden is plain gray.

    Raises:
        DetectError: The input cannot be decoded.
        PlanError: The plan is of another input.
    """
    plan.require(encoded, policy=censor.policy, models=censor.models)
    telling = [_telling(thing) for thing in plan.things[:_MOST]]
    wanted = {0}.union(*telling)
    figures = {}
    for number, source in _frames(encoded, plan, wanted, max_bytes=max_bytes, max_pixels=max_pixels):
        figures[number] = _figure(source, plan, censor, number)
    if plan.frames > 1:
        where = [
            Section(_title(row, thing), [Gallery([figures[number] for number in numbers])])
            for row, (thing, numbers) in enumerate(zip(plan.things, telling, strict=False))
        ]
    else:
        where = [Section("Where they are", [figures[0]])]
    lead = (
        f"What a plan hides of {plan.file}. All that it names is hidden here, what it shows on purpose as well: what "
        "is framed in red is hidden in the copy, what is framed in green is not."
    )
    return render_page("Plan", [Section("Things", [_table(plan)]), *where], lead=lead)


def _frames(
    encoded: Encoded | EncodedFilm, plan: Plan, wanted: Collection[int], *, max_bytes: int, max_pixels: int
) -> Iterator[tuple[int, Encoded]]:
    """The pictures that are asked for, each encoded by itself: what is hidden in it is bound to its bytes."""
    if isinstance(encoded, Encoded):
        if not plan.moves and not plan.pages:
            yield 0, encoded
            return
        encoded.seek(0)
    if plan.pages:
        for number, part in enumerate(open_pages(encoded, max_bytes=max_bytes, max_pixels=max_pixels).parts()):
            if number in wanted:
                yield number, Encoded(encode(part.picture, format="PNG"), f"{encoded.name}, page {number + 1}")
        return
    with closing(open_moving(encoded, max_bytes=max_bytes, max_pixels=max_pixels)) as medium:
        for number, part in enumerate(medium.parts()):
            if number in wanted:
                picture = shown(part.picture, medium.display)
                yield number, Encoded(encode(picture, format="PNG"), f"{encoded.name}, frame {number}")


def _telling(thing: PlannedThing) -> list[int]:
    """The frames that say most of a thing: its first, its last, and one in between."""
    first, last = thing.boxes[0].first, thing.boxes[-1].end - 1
    middle = thing.boxes[len(thing.boxes) // 2]
    return sorted({first, (middle.first + middle.end) // 2, last} & set(range(first, last + 1)))


def _figure(source: Encoded, plan: Plan, censor: Censor, number: int) -> Figure:
    there = [(row, thing, thing.at(number)) for row, thing in enumerate(plan.things)]
    found = [
        (row, replace(thing, boxes=(replace(box, first=0, end=1),))) for row, thing, box in there if box is not None
    ]
    hidden = tuple(replace(each, hide=True, number=None) for _, each in found if each.label != KEEP)
    width, height = plan.size(number)
    still = replace(
        plan,
        sha256=source.sha256,
        width=width,
        height=height,
        things=hidden,
        found=0,
        times=(),
        end=Fraction(0),
        pages=(),
    )
    source.seek(0)
    thumbnail = censored_thumbnail(source, censor, side=_SIDE, plan=still)
    if thumbnail.refused is None:
        _draw(thumbnail, still, found)
    when = f"page {number + 1}" if plan.pages else ""
    if plan.moves:
        when = f"frame {number}, {float(plan.times[number]):.2f} s"
    caption = ": ".join(filter(None, (when, thumbnail.refused)))
    names = ", ".join(_title(row, each) for row, each in found) or "nothing"
    return Figure(thumbnail.encode(), alt=f"censored, with frames around {names}", caption=caption)


def _draw(thumbnail: Thumbnail, plan: Plan, found: Sequence[tuple[int, PlannedThing]]) -> None:
    rows, columns = thumbnail.pixels.shape[:2]
    across, down = columns / plan.width, rows / plan.height
    pen = Pen(thumbnail.pixels)
    drawn = []
    for row, thing in found:
        x0, y0, x1, y1 = plan.bounds(thing, thing.boxes[0])
        box = (x0 * across, y0 * down, x1 * across, y1 * down)
        drawn.append((box, _title(row, thing), _HIDDEN if thing.hide else _SHOWN))
        pen.outline(corners(box), drawn[-1][2])
    for box, text, color in drawn:
        pen.write(text, (round(box[0]), round(box[1])), color)


def _title(row: int, thing: PlannedThing) -> str:
    return f"{f'things[{row}]' if thing.number is None else thing.number} {thing.label}"


def _table(plan: Plan) -> Table:
    header = ["thing", "score", "in the copy", "effect", "seen by"]
    if plan.moves:
        header += ["frames", "seconds"]
    elif plan.pages:
        header += ["page"]
    rows = []
    for row, thing in enumerate(plan.things):
        seen = "somebody" if thing.number is None or thing.label == ALSO else thing.classifier or "detector"
        cells = [_title(row, thing), f"{thing.score:.2f}", "hidden" if thing.hide else "shown", thing.effect,
                 f"{seen}, at the look at the output" if thing.rechecked else seen]  # fmt: skip
        if plan.moves:
            first, end = thing.boxes[0].first, thing.boxes[-1].end
            until = plan.times[end] if end < plan.frames else plan.end
            cells += [f"{first} to {end - 1}", f"{float(plan.times[first]):.2f} to {float(until):.2f}"]
        elif plan.pages:
            cells += [", ".join(str(box.end) for box in thing.boxes)]
        rows.append(cells)
    return Table(header, rows, caption="Numbers are those of the plan; what was added has its place in the list.")
