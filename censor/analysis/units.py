"""What excites one unit of a network: the pictures to which it answers most, and what in them it answers to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from censor.analysis.explained_networks import ExplainedNetwork
from censor.analysis.explained_pictures import STANDARD, Explanations, Limits, jpeg, read_small, shown_pixels
from censor.analysis.explaining import SHOWN_CELLS
from censor.analysis.heatmaps import legend, overlay
from censor.analysis.made_folders import made_folder
from censor.analysis.page import Block, Figure, Gallery, Paragraph, Section, render_page
from censor.errors import CensorError
from censor.gather import BatchItem
from censor.pipeline import Censor
from detect.errors import DetectError

if TYPE_CHECKING:
    from detect.explain.torch_graph import TorchGraph
    from detect.explain.torch_retinanet import LayeredRetinaNet

__all__ = ["explain_unit"]

_STRONGEST = 9


def explain_unit(
    items: Sequence[BatchItem],
    network: ExplainedNetwork,
    *,
    layer: str,
    unit: int,
    censor: Censor | None,
    out: Path,
    limits: Limits = STANDARD,
    advance: Callable[[], None] = lambda: None,
) -> Explanations:
    """Show the pictures that a unit answers to most, in a new folder: ``index.html``, ``numbers.json``.

    Args:
        items: The pictures to choose from. One that fails leaves the others be.
        network: A classifier with an ONNX file, or a RetinaNet of ours.
        layer: Its name, or its number from 1.
        unit: From 0.
        censor: What hides in what is shown; None shows pictures as they are, and what comes back in full.
        out: The folder, which must not be there, or be empty.
        limits: What is read of a picture at most.
        advance: Called after each picture.

    Raises:
        ExplanationError: torch or onnx is missing; the network has operators that are not read, or no such unit.
        OutputExistsError: There is something in `out`.
        WriteError: It cannot be written.
    """
    layered = network.layered  # torch may be missing, which it says
    from detect.explain.torch_backward import find_layer, strength

    name = find_layer(layered, layer, unit)
    failed: list[tuple[Path, Exception]] = []
    answers: list[tuple[float, BatchItem]] = []
    with made_folder(out) as folder:
        for item in items:
            try:
                answers.append((strength(layered, read_small(item, limits), name, unit).value, item))
            except (CensorError, DetectError) as error:
                failed.append((item.source, error))
            advance()
        strongest = sorted(answers, key=lambda each: -each[0])[:_STRONGEST]
        if strongest:
            figures = [figure for each in strongest for figure in _figures(layered, *each, name, unit, censor, limits)]
            texts = [f"Of {len(answers)} pictures these are the {len(strongest)} with the strongest answers.", *_WORDS]
            if strongest[0][0] <= 0:
                texts.insert(0, "It answers to none of these pictures: there is nothing to be seen below.")
            key = Figure(jpeg(legend()), "colors from black by red and orange to light yellow", "least to most")
            blocks: list[Block] = [*(Paragraph(text) for text in texts), key, Gallery(figures, large=True)]
            page = render_page(f"What excites unit {unit} of {name}", [Section(network.name, blocks)])
            (folder / "index.html").write_text(page, "utf-8")
            found = [{"file": str(item.source), "answer": value} for value, item in strongest]
            record = {"by": network.name, "layer": name, "unit": unit, "strongest": found}
            (folder / "numbers.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        else:
            shutil.rmtree(folder)
    return Explanations(explained=len(answers), failed=tuple(failed))


_WORDS = (
    "Beside each stands what comes back of its answer through a deconvnet.",
    (
        "Such maps barely depend on what a network has learnt (arXiv:1810.03292): look at what the pictures have in "
        "common before you believe what is hot."
    ),
)


def _figures(
    layered: TorchGraph | LayeredRetinaNet,
    value: float,
    item: BatchItem,
    layer: str,
    unit: int,
    censor: Censor | None,
    limits: Limits,
) -> list[Figure]:
    """A picture, and what in it a unit answers to."""
    from detect.explain.torch_backward import Rule, unit_backward

    small = read_small(item, limits)
    shown, _ = shown_pixels(item, small, censor)
    back = unit_backward(layered, small, layer, unit, rule=Rule.DECONVNET)
    heat = back.smoothed(4) if censor is None else back.cells(SHOWN_CELLS)
    caption, there = f"{item.source.name}, {value:.3g}", f"{item.source.name}: what it answers to"
    return [Figure(jpeg(shown), caption, caption), Figure(jpeg(overlay(shown, heat)), there, there)]
