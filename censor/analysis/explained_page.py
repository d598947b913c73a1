"""What the page of `censor explain` says of pictures, and of their maps in files."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from censor.analysis.belief import belief_in_a_word, belief_in_words, drawn_curves
from censor.analysis.explained_pictures import jpeg, png
from censor.analysis.explaining import SHOWN_CELLS, Curves, ExplainedMap
from censor.analysis.heatmaps import drawn_segments, legend, overlay
from censor.analysis.page import Block, Figure, Gallery, Paragraph, Section, Table, render_page
from detect.detections import RGBImage
from detect.explain.skin1996 import REFERRED_FROM, steps
from detect.explain.target import Heatmap

__all__ = ["Told", "explanation_page"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Map:
    """What is said of one map."""

    figure: Figure
    heat: Heatmap
    row: Sequence[str]
    words: str
    record: dict[str, Any]
    curves: Figure | None


@dataclass(eq=False)
class Told:
    """What the page, the numbers and the folder of maps say of one picture.

    Attributes:
        name: Of its files.
        source: Where it is.
        shown: What is shown of it.
        refused: Why that is nothing, if it is.
        uncensored: Whether it is shown as it is.
        finished: Whether no map is to come.
    """

    name: str
    source: Path
    shown: RGBImage
    refused: str | None
    uncensored: bool
    finished: bool = False
    _maps: dict[str, _Map] = field(default_factory=dict)
    _skin: list[Figure] = field(default_factory=list)
    _skin_maps: dict[str, Heatmap] = field(default_factory=dict)
    _skin_words: list[str] = field(default_factory=list)
    _skin_record: dict[str, Any] = field(default_factory=dict)

    def add(self, each: ExplainedMap) -> None:
        """Say something of a map, in the place of a first pass of it."""
        key = re.sub(r"[^a-z0-9]+", "-", f"{each.by} {each.method}".lower())
        caption = f"{each.by}: {each.method}"
        alt = f"{caption}, of {each.target}, which scores {each.score:.2f}; hottest in the {_hottest(each.heat)}"
        said = f"{caption}{'' if each.curves else ', first pass'}. {each.target} {each.score:.2f}"
        record = {"by": each.by, "method": each.method, "target": each.target, "score": each.score, "map": key}
        words, curves = belief_in_words(each), None
        if each.curves is not None:
            record |= {"belief": _belief_record(each.curves, each.shuffled), "believed": belief_in_a_word(each)}
            record |= {"words": words, "curves": _curves_record(each.curves)}
            curves = Figure(drawn_curves(each.curves), f"{caption}: {words}", caption)
        self._maps[key] = _Map(
            figure=Figure(jpeg(overlay(self.shown, each.heat)), alt, said), heat=each.heat, row=_row(each, caption),
            words=f"{caption}: {words}", record=record, curves=curves,
        )  # fmt: skip

    def add_skin(self, image: RGBImage) -> None:
        """The rules of 1996, step by step. A map of skin shows the outlines of what is hidden, so that it is coarse."""
        seen = steps(image)
        size = seen.grown.shape[:2]
        side = (size[1], size[0]) if self.uncensored else (SHOWN_CELLS, SHOWN_CELLS)
        for name, mask in (("skin1996-skin", seen.skin), ("skin1996-grown", seen.grown)):
            shares = cv2.resize(mask.astype(np.float32), side, interpolation=cv2.INTER_AREA)
            self._skin_maps[name] = np.asarray(shares, np.float32)
        limbs = sorted({each for pair in seen.limbs for each in pair})
        trunks = sorted({trunk for trunk, _ in seen.trunks})
        skin, grown = (overlay(self.shown, heat) for heat in self._skin_maps.values())
        regions = drawn_segments(self.shown, seen.segments, size=size)
        picked = drawn_segments(self.shown, seen.segments, size=size, picked=[*limbs, *trunks])
        pairs, wide = _counted(len(seen.limbs), "pair"), _counted(len(trunks), "trunk")
        said = (
            (skin, "skin1996, 1: color and smoothness of skin"),
            (grown, f"skin1996, 2: with what belongs to it, {seen.share:.0%} of the picture"),
            (regions, f"skin1996, 3: {_counted(len(seen.segments), 'elongated region')}"),
            (picked, f"skin1996, 4: {pairs} that meet as limbs do, {wide} with a limb, in yellow"),
        )
        self._skin = [Figure(jpeg(pixels), caption, caption) for pixels, caption in said]
        enough = f"{'more' if seen.share >= REFERRED_FROM else 'less'} than {REFERRED_FROM:.0%}"
        verdict = "It would have been called a naked person." if seen.score >= 0.7 else "It would have passed."
        self._skin_words = [f"skin1996: {seen.share:.0%} of the picture is taken for skin, {enough}. {verdict}"]
        self._skin_record = {
            "share": seen.share, "segments": len(seen.segments), "limbs": len(seen.limbs), "trunks": len(trunks),
            "score": seen.score,
        }  # fmt: skip

    @property
    def record(self) -> dict[str, Any]:
        """Its numbers."""
        height, width = self.shown.shape[:2]
        maps = [each.record for each in self._maps.values()]
        skin = {"skin1996": self._skin_record} if self._skin_record else {}
        return {"file": str(self.source), "width": width, "height": height, "maps": maps} | skin

    def files(self) -> dict[str, bytes]:
        """Each map laid over what is shown, and all of them as numbers, by the names of their files."""
        maps = {key: each.heat for key, each in self._maps.items()} | self._skin_maps
        stream = io.BytesIO()
        np.savez_compressed(stream, **maps)  # type: ignore[arg-type]  # its stub names options
        drawn = {f"{self.name}.{key}.png": png(overlay(self.shown, heat)) for key, heat in maps.items()}
        return {f"{self.name}.npz": stream.getvalue()} | drawn

    def section(self) -> Section:
        """What the page says of it."""
        what = "the picture" if self.uncensored else "the picture, censored"
        picture = Figure(jpeg(self.shown), f"{self.source.name}: {what}", what)
        maps = list(self._maps.values())
        blocks: list[Block] = [Gallery([picture, *(each.figure for each in maps), *self._skin], large=True)]
        if self.refused is not None:
            blocks.insert(0, Paragraph(f"Nothing of it is shown: {self.refused}", emphasis=True))
        if maps:
            blocks.append(Table(_HEADER, [each.row for each in maps], "can it be believed?"))
        blocks += [Paragraph(text) for text in (*(each.words for each in maps), *self._skin_words)]
        if curves := [each.curves for each in maps if each.curves is not None]:
            blocks += [Paragraph(_CURVES_IN_WORDS), Gallery(curves, large=True)]
        if self.finished and not maps and not self._skin:
            blocks.append(Paragraph("No network found anything here that could be explained."))
        return Section(self.source.name, blocks)


def explanation_page(told: Sequence[Told], *, total: int, censored: bool, finished: bool) -> str:
    """The page, as far as it has come.

    Args:
        told: What is said of pictures.
        total: How many there will be.
        censored: Whether they are shown so.
        finished: Whether nothing is to come.
    """
    lead = f"{_counted(len(told), 'picture')}."
    if not finished:
        done = sum(each.finished for each in told)
        lead = f"Still at work: {done} of {_counted(total, 'picture')} finished. Load this page again to see more."
    sections = [_how_to_read(censored=censored), *(each.section() for each in told)]
    return render_page("What the networks look at", sections, lead=lead)


_HEADER = ("map", "score", "believe it?", "deletion (random)", "insertion (random)", "weights in disorder")


def _row(each: ExplainedMap, caption: str) -> Sequence[str]:
    start, curves = [caption, f"{each.score:.2f}", belief_in_a_word(each)], each.curves
    if curves is None:
        return [*start, "", "", ""]
    return [
        *start,
        f"{curves.deletion.area:.3f} ({curves.random_deletion.area:.3f})",
        f"{curves.insertion.area:.3f} ({curves.random_insertion.area:.3f})",
        "not tried" if each.shuffled is None else f"{each.shuffled:.2f}",
    ]


_CURVES = ("deletion", "insertion", "random_deletion", "random_insertion")

_CURVES_IN_WORDS = (
    "The score, from 0 to 1, while more and more of the picture is hidden, or shown: the line is the map's, the dashed "
    "one that of a map that knows nothing. On the left the line should fall sooner than the dashed one, on the right "
    "rise sooner."
)


def _belief_record(curves: Curves, shuffled: float | None) -> dict[str, float | None]:
    return {**{name: getattr(curves, name).area for name in _CURVES}, "shuffled": shuffled}


def _curves_record(curves: Curves) -> dict[str, list[float]]:
    scores = {name: getattr(curves, name).scores.tolist() for name in _CURVES}
    return {"shares": curves.deletion.shares.tolist(), **scores}


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _hottest(heat: Heatmap) -> str:
    """Where a map is hottest, for those who do not see it."""
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    vertical = ("upper", "middle", "lower")[min(2, 3 * int(row) // heat.shape[0])]
    return f"{vertical} {('left', 'center', 'right')[min(2, 3 * int(column) // heat.shape[1])]}"


def _how_to_read(*, censored: bool) -> Section:
    texts = [
        "Dark is where the answer does not come from, light yellow where most of it does; each map has its own scale.",
        (
            "A window hidden: the score that is lost where a square is covered. A window shown: the score of a square "
            "alone. Activation: what each cell of the last layer says by itself. D-RISE: what a box needs, found by "
            "random masks."
        ),
        (
            "Deletion and insertion are areas below the score, from 0 to 1, while the hottest pixels are hidden or "
            "shown first: less and more is better. In brackets stands what a map that knows nothing gets. The last "
            "column is the rank correlation with the map of the same network with its weights in disorder: near 1, a "
            "map shows the picture alone; see Adebayo et al., arXiv:1810.03292."
        ),
    ]
    if censored:
        texts.append(
            "Pictures are shown censored. Of maps that follow a picture's outlines the means of "
            f"{SHOWN_CELLS} by {SHOWN_CELLS} cells are shown."
        )
    key = Figure(png(legend()), "colors from black by red and orange to light yellow", "least to most")
    return Section("How to read this", [key, *(Paragraph(text) for text in texts)])
