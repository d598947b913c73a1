"""What the sections share: settings, pictures, and the rows they return."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from alternate import Spread, paired, spread
from PIL import Image

from censor.cli.hide import hide
from suite.photographs import make_large, make_photos

__all__ = ["Bench", "Row", "Section", "against", "describe_pictures"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        what: What was measured, and on what.
        side: Who did it.
        value: Median and quartiles; equal where there is one value only.
        unit: Of the value.
        ratio: How many times the base's time, or of whatever the section says; None without a base.
        target: What the ratio or the value should reach, as written.
        met: Whether it did; None without a target.
    """

    what: str
    side: str
    value: Spread
    unit: str
    ratio: Spread | None = None
    target: str | None = None
    met: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one section found: rows for the table, raw data for JSON and plots, remarks for readers."""

    rows: list[Row]
    data: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Settings of a run, and what several sections work on.

    Attributes:
        folder: For pictures and outputs; removed afterwards.
        rounds: Alternating rounds of each comparison.
        quick: Everything small: it shows that the suite works, and measures nothing.
        photos: A folder of JPEGs to take instead of the shipped photographs.
        peers: A virtual environment that holds other peers.
        long: Pictures of the long run.
    """

    folder: Path
    rounds: int
    quick: bool = False
    photos: Path | None = None
    peers: Path | None = None
    long: int = 10_000

    @cached_property
    def photographs(self) -> list[Path]:
        """Photographs of about half a megapixel, or the caller's."""
        if self.photos is not None:
            found = sorted(path for path in self.photos.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))[:100]
            if not found:
                raise FileNotFoundError(f"{self.photos}: no *.jpg in this folder")
            return found
        return make_photos(self.fresh("photographs"), 5 if self.quick else 100, megapixels=self.small)

    @cached_property
    def large(self) -> list[Path]:
        """Large portraits."""
        return make_large(self.fresh("large"), 2 if self.quick else 8, megapixels=self.megapixels)

    @property
    def small(self) -> float:
        """Megapixels of a photograph."""
        return 0.1 if self.quick else 0.5

    @property
    def megapixels(self) -> float:
        """Of a large picture."""
        return 0.4 if self.quick else 12

    @property
    def cores(self) -> int:
        """That this process may use."""
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    @property
    def workers(self) -> int:
        """The command's default."""
        return int(hide.make_context("hide", ["-"]).params["workers"])

    def fresh(self, name: str) -> Path:
        """A new folder whose name begins so."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))


def against(
    base: str,
    seconds: dict[str, list[float]],
    what: str,
    *,
    pictures: int = 1,
    at_least: dict[str, float] | None = None,
    at_most: dict[str, float] | None = None,
    share: bool = False,
) -> list[Row]:
    """Rows of sides that took turns, in milliseconds a picture.

    Args:
        base: The side that the others are compared with.
        seconds: From `alternate`.
        what: Of all rows.
        pictures: That each side worked off in a round.
        at_least: Targets by side.
        at_most: Targets by side.
        share: The ratio is a side's time in terms of the base's (lower is better), not how many times faster it is.
    """
    rows = []
    for side, values in seconds.items():
        ratio = target = met = None
        if side != base:
            ratio = paired(values, seconds[base]) if share else paired(seconds[base], values)
        if ratio is not None and at_least and side in at_least:
            target, met = f">= {at_least[side]:g} x", ratio.median >= at_least[side]
        if ratio is not None and at_most and side in at_most:
            target, met = f"<= {at_most[side]:g} x", ratio.median <= at_most[side]
        value = spread(values).scaled(1000 / pictures)
        rows.append(Row(what=what, side=side, value=value, unit="ms/picture", ratio=ratio, target=target, met=met))
    return rows


def describe_pictures(paths: Sequence[Path]) -> str:
    """How many, how large, and how hard to code."""
    sizes = []
    for path in paths:
        with Image.open(path) as image:
            sizes.append(image.width * image.height / 1e6)
    bits = sum(path.stat().st_size for path in paths) * 8 / sum(sizes) / 1e6
    mean = sum(sizes) / len(sizes)
    return f"{len(paths)} JPEG{'s' * (len(paths) > 1)} of {mean:.2g} MP ({bits:.1f} bits a pixel)"
