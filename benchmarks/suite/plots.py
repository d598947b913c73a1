"""The results as pictures, drawn without pyplot and its global state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from alternate import paired, spread

from detect.runtime.telemetry import import_quietly
from suite.section import Section
from suite.sides import BARE, PEER

__all__ = ["draw"]

_COLORS = {
    PEER: "#c2553d",
    f"{PEER} censor": "#c2553d",
    "censor": "#1f6f8b",
    "censor check": "#5aa9a3",
    BARE: "#8a8a8a",
    "python, nothing imported": "#8a8a8a",
}
_CYCLE = ("#1f6f8b", "#e0a030", "#5aa9a3", "#7a5ea8")
_INK = "#333333"


def draw(found: dict[str, Section], folder: Path, machine: str) -> list[Path]:
    """A PNG for each section that has something to show.

    Args:
        found: Sections by name.
        folder: Where the pictures go.
        machine: One line, put below each of them.
    """
    drawn = []
    for name, plot in _PLOTS.items():
        if name not in found or not found[name].data:
            continue
        path = folder / f"{name}.png"
        figure = plot(found[name].data)
        figure.text(0.995, 0.005, machine, ha="right", va="bottom", fontsize=7, color="#777777")
        figure.savefig(path)
        drawn.append(path)
    return drawn


def _figure(title: str, columns: int = 1, *, width: float = 7, height: float = 4.4) -> tuple[Any, list[Any]]:
    agg, drawing = import_quietly("matplotlib.backends.backend_agg"), import_quietly("matplotlib.figure")
    figure = drawing.Figure(figsize=(width, height), dpi=120, layout="constrained")
    agg.FigureCanvasAgg(figure)
    figure.get_layout_engine().set(rect=(0, 0.03, 1, 0.96))
    figure.suptitle(title, fontsize=12, fontweight="bold", color=_INK)
    axes = [figure.add_subplot(1, columns, 1 + column) for column in range(columns)]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(alpha=0.25)
        each.set_axisbelow(True)
    return figure, axes


def _beside(verb: str) -> Callable[[dict[str, Any]], Any]:
    def plot(data: dict[str, Any]) -> Any:
        figure, axes = _figure(
            f"{verb}: pictures a second beside the nudenet package", len(data), width=4.8 * len(data)
        )
        for each, (what, entry) in zip(axes, data.items(), strict=True):
            seconds = entry["seconds"]
            names = list(seconds)[::-1]
            rates = {name: [entry["pictures"] / value for value in seconds[name]] for name in names}
            _bars(each, {name.replace(", same", ",\nsame"): rates[name] for name in names}, names)
            for row, name in enumerate(names):
                text = "" if name == PEER else f", {paired(seconds[PEER], seconds[name]).median:.2f} x"
                _beside_bar(each, rates[name], row, f"{spread(rates[name]).median:.1f}{text}")
            goal = entry["target"] * spread(rates[PEER]).median
            each.axvline(goal, color=_INK, linestyle=":", linewidth=1)
            each.text(goal, len(names) - 0.42, f"target {entry['target']:g} x", ha="center", va="bottom", fontsize=8)
            each.set_xlim(0, 1.3 * max(goal, *(spread(values).q3 for values in rates.values())))
            each.set_title(what.split(", ", 1)[1], fontsize=9, pad=16)
            each.set_xlabel("pictures/s")
        return figure

    return plot


def _bars(axes: Any, values: dict[str, Sequence[float]], sides: Sequence[str]) -> None:
    """Lying bars of medians, quartiles as whiskers."""
    spreads = [spread(each) for each in values.values()]
    middle = np.array([each.median for each in spreads])
    reach = [middle - [each.q1 for each in spreads], [each.q3 for each in spreads] - middle]
    colors = [_COLORS.get(side, _COLORS[PEER] if side.startswith(PEER) else _CYCLE[0]) for side in sides]
    axes.barh(range(len(values)), middle, xerr=reach, color=colors, height=0.6, ecolor=_INK, capsize=2)
    axes.set_yticks(range(len(values)), list(values), fontsize=8)
    axes.grid(visible=False, axis="y")


def _beside_bar(axes: Any, values: Sequence[float], row: int, text: str) -> None:
    axes.annotate(
        text, (spread(values).q3, row), (6, 0), textcoords="offset points", va="center", fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )  # fmt: skip


def _cost(title: str, *, x: str, logarithmic: bool) -> Callable[[dict[str, Any]], Any]:
    """Time on the left, peak memory on the right, over what is varied."""

    def plot(data: dict[str, Any]) -> Any:
        points = data["points"]
        figure, (left, right) = _figure(title, 2, width=10)
        factor = 1 if data["unit"] == "s" else 1000
        for number, side in enumerate(points[0]["seconds"]):
            style = {"color": _COLORS.get(side, _CYCLE[number % 4]), "marker": "o", "markersize": 4, "label": side}
            at = [point["at"] for point in points]
            spreads = [spread(point["seconds"][side]).scaled(factor) for point in points]
            left.plot(at, [each.median for each in spreads], **style)
            left.fill_between(
                at, [each.q1 for each in spreads], [each.q3 for each in spreads], color=style["color"], alpha=0.18
            )
            if seen := [(point["at"], point["peak_mb"][side]) for point in points if side in point["peak_mb"]]:
                right.plot(*zip(*seen, strict=True), **style)
        left.set(xlabel=x, ylabel="seconds" if factor == 1 else "milliseconds a picture", title="time")
        right.set(xlabel=x, ylabel="megabytes", title="peak resident memory of a process")
        for axes in (left, right):
            if logarithmic:
                axes.set_xscale("log")
            _plain_ticks(axes, [point["at"] for point in points])
        if logarithmic:
            _logarithmic(left)
        else:
            left.set_ylim(bottom=0)
        right.set_ylim(0, 1.1 * right.get_ylim()[1])
        left.legend(fontsize=8, frameon=False)
        return figure

    return plot


def _plain_ticks(axes: Any, at: Sequence[float]) -> None:
    """The measured points themselves along x."""
    axes.set_xticks(list(at), [f"{each:,g}" for each in at])
    axes.xaxis.set_minor_locator(import_quietly("matplotlib.ticker").NullLocator())


def _logarithmic(axes: Any) -> None:
    """Numbers along y, not powers of ten."""
    ticker = import_quietly("matplotlib.ticker")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_locator(ticker.NullLocator())


def _workers(data: dict[str, Any]) -> Any:
    figure, (left, right) = _figure("What more workers give, and take", 2, width=10)
    points = data["points"]
    at = [point["at"] for point in points]
    spreads = [spread([1 / value for value in point["seconds"]["censor"]]) for point in points]
    first = spreads[0].median
    left.plot(at, [first * count for count in at], color="#8a8a8a", linestyle=":", label="so many times one worker")
    medians = [each.median for each in spreads]
    reach = [[each.median - each.q1 for each in spreads], [each.q3 - each.median for each in spreads]]
    style = {"color": _CYCLE[0], "marker": "o", "markersize": 4}
    left.errorbar(at, medians, reach, capsize=3, label="censor", **style)
    for count, median in zip(at, medians, strict=True):
        left.annotate(f"{median / first:.2f} x", (count, median), (8, -12), textcoords="offset points", fontsize=8)
    peaks = [(point["at"], point["peak_mb"]["censor"]) for point in points if "censor" in point["peak_mb"]]
    if peaks:
        right.plot(*zip(*peaks, strict=True), **style)
    left.set(xlabel="workers", ylabel="photographs/s", title="throughput")
    right.set(xlabel="workers", ylabel="megabytes", title="peak resident memory of the process")
    left.set_ylim(0, 1.25 * max(first * max(at), *medians))
    right.set_ylim(0, 1.15 * right.get_ylim()[1])
    for axes in (left, right):
        _plain_ticks(axes, at)
        axes.set_xlim(min(at) - 0.3, max(at) + 0.3)
    left.legend(fontsize=8, frameon=False, loc="upper left")
    return figure


def _start(data: dict[str, Any]) -> Any:
    figure, (axes,) = _figure("From the start of a process to its end", height=3)
    names = list(data["seconds"])[::-1]
    values: dict[str, Sequence[float]] = {name: [1000 * each for each in data["seconds"][name]] for name in names}
    _bars(axes, values, names)
    for row, name in enumerate(names):
        _beside_bar(axes, values[name], row, f"{spread(values[name]).median:,.0f} ms")
    axes.set_xlim(0, 1.2 * max(spread(each).q3 for each in values.values()))
    axes.set_xlabel("milliseconds")
    return figure


def _long(data: dict[str, Any]) -> Any:
    count = f"{data['pictures'][-1]:,}"
    figure, (axes,) = _figure(f"Resident memory over {count} pictures in one process")
    axes.plot(data["pictures"], data["rss_mb"], color=_CYCLE[0], marker="o", markersize=4)
    axes.set(xlabel="pictures done", ylabel="megabytes", ylim=(0, 1.2 * max(data["rss_mb"])))
    return figure


def _scaled(data: dict[str, Any]) -> Any:
    figure, axes = _figure("Checking a JPEG file beside checking all of its pixels", 2, width=10)
    labels = []
    for number, (name, found) in enumerate(data.items()):
        style = {"s": 14, "alpha": 0.6, "color": _CYCLE[number], "label": f"{name}: {len(found['iou'])} pairs"}
        axes[0].scatter(found["whole_scores"], found["file_scores"], **style)
        labels.append(f"{name}: least {min(found['iou']):.3f}; {len(found['alone'])} boxes without a partner")
    overlaps = [found["iou"] for found in data.values()]
    axes[1].hist(overlaps, bins=np.linspace(0.5, 1, 26), color=_CYCLE[: len(data)], label=labels)
    axes[1].yaxis.get_major_locator().set_params(integer=True)
    axes[1].set_ylim(0, 1.25 * axes[1].get_ylim()[1])
    axes[0].plot([0, 1], [0, 1], color="#8a8a8a", linestyle=":", linewidth=1)
    axes[0].set(xlabel="score in the whole pixels", ylabel="score in the file", title="scores of pairs", xlim=(0, 1))
    axes[0].set_ylim(0, 1)
    axes[1].set(xlabel="IoU of pairs", ylabel="pairs", title="overlap of pairs")
    for each in axes:
        each.legend(fontsize=8, frameon=False, loc="upper left")
    return figure


_PLOTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "check": _beside("censor check"),
    "censor": _beside("censor"),
    "megapixels": _cost("What the size of a picture costs", x="megapixels", logarithmic=True),
    "pictures": _cost("What the number of pictures costs", x="photographs in the folder", logarithmic=True),
    "regions": _cost("What hidden regions cost: effects alone", x="regions hidden", logarithmic=False),
    "workers": _workers,
    "start": _start,
    "long": _long,
    "scaled": _scaled,
}
