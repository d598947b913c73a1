"""The command about pictures in classes: arguments in, text out. What it does is in `detect.annotations`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from detect.annotations.classes import read_classes, read_ranked, split_classes
from detect.annotations.prepare import prepare_classes

__all__ = ["prepare"]


@click.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to fill.")
@click.option("--val", "val_source", type=click.Path(path_type=Path, exists=True),
              help="Pictures to measure by, in the same classes; else a share of SOURCE is held back.")  # fmt: skip
@click.option("--share", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.2, show_default=True,
              help="Share to hold back of each class where there is no --val; groups stay together.")  # fmt: skip
@click.option("--side", type=click.IntRange(32), default=320, show_default=True,
              help="Shrink pictures whose longer side has more pixels.")  # fmt: skip
@click.option("--distance", type=click.IntRange(0, 64), default=6, show_default=True,
              help="Pictures look alike whose perceptual hashes differ in at most so many of 64 bits.")  # fmt: skip
@click.option("--rank-within", "within", metavar="COLUMN",
              help="Make classes lower and upper of scores: SOURCE is a CSV file of path, score and COLUMN, the "
                   "audience before which a picture got its score.")  # fmt: skip
@click.option("--rank-size", type=click.IntRange(2), default=100, show_default=True,
              help="Pictures ranked among themselves, where audiences are numbers.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the random numbers.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist already.")
def prepare(
    source: Path,
    out: Path,
    val_source: Path | None,
    share: float,
    side: int,
    distance: int,
    within: str | None,
    rank_size: int,
    seed: int,
    overwrite: bool,
) -> None:
    """Make a set to train a classifier on of SOURCE: a folder of class folders, or a CSV file.

    Pictures are shrunk, and of those that look alike one stays; OUT/dropped.csv says why the others do not. Exit code 1
    where a picture could not be read; the others are written all the same.
    """
    if within is not None:
        data, middle = read_ranked(source, within=within, size=rank_size)
        click.echo(f"{source}: {len(data)} pictures in two halves, {middle} in the middle left out")
    else:
        data = read_classes(source)
    if val_source is None:
        train, val = split_classes(data, held_back=share, seed=seed)
    elif within is not None:
        train, val = data, read_ranked(val_source, within=within, size=rank_size)[0]
    else:
        train, val = data, read_classes(val_source, names=data.names)
    done = prepare_classes({"train": train, "val": val}, out, side=side, max_distance=distance, overwrite=overwrite)
    for name, count in done.kept.items():
        why = Counter(each.why for each in done.dropped if each.split == name)
        said = ", ".join(f"{number} {what}" for what, number in sorted(why.items())) or "none"
        click.echo(f"{out / name}.csv: {count} pictures; dropped: {said}")
    unreadable = [each for each in done.dropped if each.why == "unreadable"]
    for each in unreadable:
        click.echo(f"Error: {each.like}", err=True)
    if unreadable:
        raise SystemExit(1)
