"""`censor explain`: a page that shows where in pictures networks' answers come from, and its numbers and maps."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from censor.analysis.explained_networks import ExplainedNetwork
from censor.analysis.explained_page import Told, explanation_page
from censor.analysis.explained_pictures import STANDARD, Explanations, Limits, read_small, shown_pixels
from censor.analysis.explaining import Asked, check_methods, maps_of
from censor.analysis.made_folders import GrowingFolder, growing_folder
from censor.errors import CensorError
from censor.gather import BatchItem
from censor.pipeline import Censor
from detect.errors import DetectError

__all__ = ["explain_pictures"]

_AT_WORK = 20
"""A page that will be replaced is written so seldom that the work between takes so many times as long as writing it."""


def explain_pictures(
    items: Sequence[BatchItem],
    networks: Sequence[ExplainedNetwork],
    asked: Asked,
    *,
    censor: Censor | None,
    out: Path,
    limits: Limits = STANDARD,
    advance: Callable[[float], None] = lambda _: None,
) -> Explanations:
    """Explain pictures into a new folder: ``index.html``, ``numbers.json`` and ``maps/``.

    The folder is there as soon as there is a first map, and its page says that more is to come. Where the work is
    broken off, that page stays.

    Args:
        items: The pictures. One that fails leaves the others be.
        networks: Whose answers are explained.
        asked: Which maps, and how.
        censor: What hides in what is shown; None shows pictures as they are.
        out: The folder, which must not be there, or be empty. Where nothing can be explained there is none.
        limits: What is read of a picture at most.
        advance: Called with how much more of a picture is done, in all once for each.

    Raises:
        ExplanationError: One of the networks has none of the maps that are asked for.
        OutputExistsError: There is something in `out`.
        WriteError: It cannot be written.
    """
    check_methods(networks, asked)
    failed: list[tuple[Path, Exception]] = []
    told: list[Told] = []
    with growing_folder(out) as folder:
        pairs = [(each, _shuffled(each)) for each in networks]
        page = _Page(folder, total=len(items), censored=censor is not None)
        for number, item in enumerate(items, 1):
            progress = _Progress(advance)
            try:
                for each in _tell(item, number, pairs, asked, censor, limits, progress):
                    page.show([*told, each])
                for name, content in each.files().items():
                    folder.write(f"maps/{name}", content)
                told.append(each)
            except (CensorError, DetectError) as error:
                failed.append((item.source, error))
            progress.reach(1)
        if told:
            page.show(told, finished=True)
        else:
            folder.remove()
    return Explanations(explained=len(told), failed=tuple(failed))


class _Page:
    """The page and the numbers, written anew as maps come, but not all the time."""

    def __init__(self, folder: GrowingFolder, *, total: int, censored: bool) -> None:
        self._folder, self._total, self._censored = folder, total, censored
        self._again = 0.0

    def show(self, told: Sequence[Told], *, finished: bool = False) -> None:
        begun = time.monotonic()
        if begun < self._again and not finished:
            return
        page = explanation_page(told, total=self._total, censored=self._censored, finished=finished)
        numbers = json.dumps([each.record for each in told if each.finished], indent=1)
        self._folder.write("numbers.json", (numbers + "\n").encode())
        self._folder.write("index.html", page.encode())
        self._folder.appear()
        ended = time.monotonic()
        self._again = ended + _AT_WORK * (ended - begun)


class _Progress:
    """How much of one picture is done."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        self._advance, self._done = advance, 0.0

    def reach(self, share: float) -> None:
        self._advance(share - self._done)
        self._done = share


def _shuffled(network: ExplainedNetwork) -> ExplainedNetwork | None:
    try:
        return network.shuffled()
    except DetectError:  # no onnx here: the page says that it was not tried
        return None


def _tell(
    item: BatchItem,
    number: int,
    networks: Sequence[tuple[ExplainedNetwork, ExplainedNetwork | None]],
    asked: Asked,
    censor: Censor | None,
    limits: Limits,
    progress: _Progress,
) -> Iterator[Told]:
    """What there is to say of a picture, always the same, as it comes; at last it is finished."""
    small = read_small(item, limits)
    shown, refused = shown_pixels(item, small, censor)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", item.source.stem)[:40]
    told = Told(
        name=f"{number:03d}-{safe}", source=item.source, shown=shown, refused=refused, uncensored=censor is None
    )
    for place, (network, shuffled) in enumerate(networks):

        def tick(share: float, before: int = place) -> None:
            progress.reach((before + share) / len(networks))

        for each in maps_of(small, network, asked, shuffled, tick):
            told.add(each)
            yield told
    if "skin1996" in asked.methods:
        told.add_skin(small)
    told.finished = True
    yield told
