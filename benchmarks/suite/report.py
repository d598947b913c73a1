"""The outputs of a run: JSON with everything, and Markdown for people."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alternate import Spread, spread

from suite.section import Row, Section

__all__ = ["markdown", "write_json"]


def write_json(
    path: Path,
    machine: dict[str, object],
    options: dict[str, object],
    found: dict[str, Section],
    failed: dict[str, str],
) -> None:
    """Rows, every single measurement, and what failed."""
    sections = {name: asdict(section) for name, section in found.items()}
    whole = {"machine": machine, "options": options, "sections": sections, "failed": failed}
    path.write_text(json.dumps(whole, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def markdown(
    machine: dict[str, Any], options: dict[str, Any], found: dict[str, Section], failed: dict[str, str]
) -> str:
    """What was measured where, one table of comparisons, one of each cost, and remarks."""
    lines = [_machine(machine), "", f"Medians of {options['rounds']} or more alternating rounds (interquartile range)."]
    if options["quick"]:
        lines += ["", "**Quick run: everything is small. It shows that the suite works; its figures mean nothing.**"]
    if machine["load_at_start"] > machine["cores"] / 2:
        lines += [
            "",
            f"**The machine was busy as this began (load {machine['load_at_start']}): do not trust these figures.**",
        ]
    rows = [row for section in found.values() for row in section.rows]
    if rows:
        lines += [
            "",
            "| measured | side | median (quartiles) | ratio (quartiles) | target | |",
            "|---|---|--:|--:|---|---|",
        ]
        lines += [_line(row, above) for row, above in zip(rows, [None, *rows], strict=False)]
    for section in found.values():
        if "points" in section.data:
            lines += ["", *_cost(section.data)]
    lines += [f"\n{note}" for section in found.values() for note in section.notes]
    lines += [f"\n**{name} failed:** {why}" for name, why in failed.items()]
    return "\n".join(lines) + "\n"


def _machine(machine: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items() if version)
    sets = ", ".join(machine["instructions"]) or "no instruction sets known"
    return (
        f"{machine['processor']} ({machine['architecture']}), {machine['cores']} cores, {sets}; {machine['system']}, "
        f"Python {machine['python']}; {packages}."
    )


def _line(row: Row, above: Row | None) -> str:
    what = "" if above is not None and above.what == row.what else row.what
    ratio = "" if row.ratio is None else f"{_number(row.ratio)} x"
    verdict = {None: "", True: "met", False: "**not met**"}[row.met]
    value = f"{_number(row.value)} {row.unit}".rstrip()
    return f"| {what} | {row.side} | {value} | {ratio} | {row.target or ''} | {verdict} |"


def _number(value: Spread) -> str:
    if value.q1 == value.median == value.q3:
        return _short(value.median)
    return f"{_short(value.median)} ({_short(value.q1)} to {_short(value.q3)})"


def _short(value: float) -> str:
    """Three digits that count, never an exponent."""
    size = abs(value)
    decimals = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 0.1 else 4
    return f"{value:,.{decimals}f}"


def _cost(data: dict[str, Any]) -> list[str]:
    """A line for each point, a column for each side: time, and peak memory where it was taken."""
    sides = list(data["points"][0]["seconds"])
    factor = 1 if data["unit"] == "s" else 1000
    lines = [f"| {data['axis']} | " + " | ".join(f"{side} ({data['unit']}; MB)" for side in sides) + " |"]
    lines.append("|--:" * (1 + len(sides)) + "|")
    for point in data["points"]:
        cells = []
        for side in sides:
            peak = point["peak_mb"].get(side)
            median = _short(spread(point["seconds"][side]).median * factor)
            cells.append(median if peak is None else f"{median}; {peak:.0f}")
        lines.append(f"| {point['at']:g} | " + " | ".join(cells) + " |")
    return lines
