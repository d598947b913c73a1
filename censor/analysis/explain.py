"""`censor explain`: a page that shows where in pictures networks' answers come from, and its numbers and maps."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from censor.analysis.explained_networks import ExplainedNetwork
from censor.analysis.explaining import SHOWN_CELLS, Asked, ExplainedMap, belief_in_words, maps_of
from censor.analysis.heatmaps import drawn_segments, legend, overlay
from censor.analysis.page import Block, Figure, Gallery, Paragraph, Section, Table, render_page
from censor.analysis.thumbnails import censored_thumbnail
from censor.errors import CensorError, OutputExistsError, WriteError
from censor.gather import BatchItem
from censor.pipeline import Censor
from detect.classifier.scores import Classifier
from detect.detections import RGBImage
from detect.errors import DetectError
from detect.explain.skin1996 import REFERRED_FROM, steps
from detect.explain.target import Heatmap
from detect.pictures.rgb import read_rgb
from detect.runtime.letterbox import shrink

__all__ = ["Explanations", "explain_pictures", "jpeg", "made_folder", "png", "read_small", "shown_pixels"]

SIDE = 448
"""Longest side of pictures as they are explained, in pixels: networks see them smaller."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Explanations:
    """What became of a run.

    Attributes:
        explained: How many pictures the page is about.
        failed: The others, and why.
    """

    explained: int
    failed: tuple[tuple[Path, Exception], ...]


@dataclass(eq=False)
class _Told:
    """What the page, the numbers and the folder of maps say of one picture."""

    name: str
    shown: RGBImage
    refused: str | None
    record: dict[str, Any]
    figures: list[Figure] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    maps: dict[str, Heatmap] = field(default_factory=dict)


def explain_pictures(
    items: Sequence[BatchItem],
    networks: Sequence[ExplainedNetwork],
    asked: Asked,
    *,
    censor: Censor | None,
    out: Path,
    tick: Callable[[], None] = lambda: None,
    advance: Callable[[], None] = lambda: None,
) -> Explanations:
    """Explain pictures into a new folder: ``index.html``, ``numbers.json`` and ``maps/``.

    Args:
        items: The pictures. One that fails leaves the others be.
        networks: Whose answers are explained.
        asked: Which maps, and how.
        censor: What hides in what is shown; None shows pictures as they are.
        out: The folder, which must not be there, or be empty. It is there whole or not at all.
        tick: Called now and then.
        advance: Called after each picture.

    Raises:
        OutputExistsError: There is something in `out`.
        WriteError: It cannot be written.
    """
    failed: list[tuple[Path, Exception]] = []
    shuffled = [_shuffled(each) for each in networks]
    with made_folder(out) as folder:
        told = []
        for number, item in enumerate(items, 1):
            try:
                each = _tell(item, number, list(zip(networks, shuffled, strict=True)), asked, censor, tick)
                _write_maps(each, folder / "maps")
                told.append(each)
            except (CensorError, DetectError) as error:
                failed.append((item.source, error))
            advance()
        if told:
            numbers = json.dumps([each.record for each in told], indent=1)
            (folder / "numbers.json").write_text(numbers + "\n", "utf-8")
            (folder / "index.html").write_text(_page(told, censored=censor is not None), "utf-8")
        else:
            shutil.rmtree(folder)
    return Explanations(explained=len(told), failed=tuple(failed))


@contextmanager
def made_folder(out: Path) -> Iterator[Path]:
    """A folder to be filled, which then takes its name in one step; nothing is left where that is not reached.

    Who removes it meanwhile wants none.

    Raises:
        OutputExistsError: There is something of that name, other than an empty folder.
        WriteError: It cannot be written.
    """
    if os.path.lexists(out) and (out.is_symlink() or not out.is_dir() or any(out.iterdir())):
        raise OutputExistsError(f"{out}: exists already, and nothing is overwritten; name another folder")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise WriteError(f"{out}: cannot be made: {error.strerror or error}") from error
    try:
        yield folder
        if folder.exists():
            folder.chmod(0o755)
            folder.rename(out)
    except OSError as error:
        raise WriteError(f"{out}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_small(item: BatchItem) -> RGBImage:
    """A picture as it is explained.

    Raises:
        DetectError: It cannot be decoded.
        CensorError: It could not even be found.
    """
    if item.error is not None:
        raise item.error
    pixels = read_rgb(item.beneath or item.source)
    factor = min(1.0, SIDE / max(pixels.shape[:2]))
    rows, columns = (max(1, round(length * factor)) for length in pixels.shape[:2])
    return shrink(pixels, rows=rows, columns=columns)


def shown_pixels(item: BatchItem, small: RGBImage, censor: Censor | None) -> tuple[RGBImage, str | None]:
    """What may be shown of a picture, in the size in which it is explained; and why that is nothing, if it is."""
    if censor is None:
        return small, None
    thumbnail = censored_thumbnail(item.beneath or item.source, censor, side=SIDE)
    if thumbnail.pixels.shape != small.shape:  # gray in a shape of its own
        return np.full_like(small, 128), thumbnail.refused or "it changed meanwhile"
    return thumbnail.pixels, thumbnail.refused


def png(pixels: RGBImage) -> bytes:
    """Encode a picture without loss."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def jpeg(pixels: RGBImage) -> bytes:
    """Encode a picture for a page."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def _shuffled(network: ExplainedNetwork) -> Classifier | None:
    try:
        return network.shuffled()
    except DetectError:  # no onnx here: the page says that it was not tried
        return None


def _tell(
    item: BatchItem,
    number: int,
    networks: Sequence[tuple[ExplainedNetwork, Classifier | None]],
    asked: Asked,
    censor: Censor | None,
    tick: Callable[[], None],
) -> _Told:
    small = read_small(item)
    shown, refused = shown_pixels(item, small, censor)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", item.source.stem)[:40]
    told = _Told(
        name=f"{number:03d}-{safe}", shown=shown, refused=refused,
        record={"file": str(item.source), "width": small.shape[1], "height": small.shape[0], "maps": []},
    )  # fmt: skip
    what = "the picture" if censor is None else "the picture, censored"
    told.figures.append(Figure(jpeg(shown), f"{item.source.name}: {what}", what))
    for network, shuffled in networks:
        for each in maps_of(small, network, asked, shuffled, tick):
            _add_map(told, each)
    if "skin1996" in asked.methods:
        _add_skin(told, small, uncensored=censor is None)
    return told


def _add_map(told: _Told, each: ExplainedMap) -> None:
    key = re.sub(r"[^a-z0-9]+", "-", f"{each.by} {each.method}".lower())
    told.maps[key] = each.heat
    caption = f"{each.by}: {each.method}"
    alt = f"{caption}, of {each.target}, which scores {each.score:.2f}; hottest in the {_hottest(each.heat)}"
    told.figures.append(Figure(jpeg(overlay(told.shown, each.heat)), alt, f"{caption}. {each.target} {each.score:.2f}"))
    belief = each.belief
    told.rows.append(
        [
            caption,
            f"{each.score:.2f}",
            f"{belief.deletion:.3f} ({belief.random_deletion:.3f})",
            f"{belief.insertion:.3f} ({belief.random_insertion:.3f})",
            "not tried" if belief.shuffled is None else f"{belief.shuffled:.2f}",
        ]
    )
    told.words.append(f"{caption}: {belief_in_words(each)}")
    told.record["maps"].append(
        {"by": each.by, "method": each.method, "target": each.target, "score": each.score, "map": key}
        | {"belief": asdict(belief), "words": belief_in_words(each)}
    )


def _add_skin(told: _Told, image: RGBImage, *, uncensored: bool) -> None:
    """The rules of 1996, step by step. A map of skin shows the outlines of what is hidden, so that it is coarse."""
    seen = steps(image)
    size = seen.grown.shape[:2]
    side = (size[1], size[0]) if uncensored else (SHOWN_CELLS, SHOWN_CELLS)
    for name, mask in (("skin1996-skin", seen.skin), ("skin1996-grown", seen.grown)):
        told.maps[name] = np.asarray(
            cv2.resize(mask.astype(np.float32), side, interpolation=cv2.INTER_AREA), np.float32
        )
    limbs = sorted({each for pair in seen.limbs for each in pair})
    trunks = sorted({trunk for trunk, _ in seen.trunks})
    said = (
        (overlay(told.shown, told.maps["skin1996-skin"]), "skin1996, 1: what has the color and smoothness of skin"),
        (
            overlay(told.shown, told.maps["skin1996-grown"]),
            f"2: with what belongs to it, {seen.share:.0%} of the picture",
        ),
        (drawn_segments(told.shown, seen.segments, size=size), f"3: {len(seen.segments)} elongated regions"),
        (
            drawn_segments(told.shown, seen.segments, size=size, picked=[*limbs, *trunks]),
            f"4: {len(seen.limbs)} pairs that meet as limbs do, {len(trunks)} trunks with a limb, in yellow",
        ),
    )
    told.figures += [Figure(jpeg(pixels), caption, caption) for pixels, caption in said]
    enough = f"more than {REFERRED_FROM:.0%}" if seen.share >= REFERRED_FROM else f"less than {REFERRED_FROM:.0%}"
    verdict = "It would have been called a naked person." if seen.score >= 0.7 else "It would have passed."
    told.words.append(f"skin1996: {seen.share:.0%} of the picture is taken for skin, {enough}. {verdict}")
    told.record["skin1996"] = {
        "share": seen.share, "segments": len(seen.segments), "limbs": len(seen.limbs), "trunks": len(trunks),
        "score": seen.score,
    }  # fmt: skip


def _hottest(heat: Heatmap) -> str:
    """Where a map is hottest, for those who do not see it."""
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    vertical = ("upper", "middle", "lower")[min(2, 3 * int(row) // heat.shape[0])]
    return f"{vertical} {('left', 'center', 'right')[min(2, 3 * int(column) // heat.shape[1])]}"


def _write_maps(told: _Told, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / f"{told.name}.npz", **told.maps)  # type: ignore[arg-type]  # its stub names options
    for key, heat in told.maps.items():
        (folder / f"{told.name}.{key}.png").write_bytes(png(overlay(told.shown, heat)))


_HEADER = ("map", "score", "deletion (random)", "insertion (random)", "weights in disorder")


def _page(told: Sequence[_Told], *, censored: bool) -> str:
    sections = [_how_to_read(censored=censored)]
    for each in told:
        blocks: list[Block] = [Gallery(each.figures)]
        if each.refused is not None:
            blocks.insert(0, Paragraph(f"Nothing of it is shown: {each.refused}", emphasis=True))
        if each.rows:
            blocks.append(Table(_HEADER, each.rows, "can it be believed?"))
        blocks += [Paragraph(text) for text in each.words]
        if not each.rows and not each.words:
            blocks.append(Paragraph("No network found anything here that could be explained."))
        sections.append(Section(Path(each.record["file"]).name, blocks))
    return render_page("What the networks look at", sections, lead=f"{len(told)} picture{'s' * (len(told) != 1)}.")


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
