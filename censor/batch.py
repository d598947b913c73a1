"""Many pictures: where each output goes."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from censor.errors import CensorError, OutputExistsError, OutputIsSourceError, OutputTakenError
from censor.gather import INFIX, BatchItem, Gathered, beside, gather, mirrored
from censor.media.film_kinds import named_format
from detect.errors import UnsupportedImageError
from detect.folders import PathBeneath, Stamp
from detect.pictures.formats import unsupported
from detect.threads import run, run_grouped

__all__ = ["INFIX", "BatchItem", "Gathered", "assign_targets", "gather", "run", "run_grouped"]


def assign_targets(items: Sequence[BatchItem], *, out: Path | None, in_place: bool, overwrite: bool) -> list[BatchItem]:
    """Decide where each output goes, before anything is written.

    In place, a link's output takes the place of the file it points to, and a file with two names is worked on once.
    Without `in_place` a file in a folder that is another item's target is no item of its own: that other replaces it,
    or fails because it is there.

    Args:
        items: From `gather`.
        out: A folder that mirrors the inputs' tree, or, for a single item, a file with a picture's suffix. None puts
            each output beside its source.
        in_place: Each output takes its source's place; `out` is None then.
        overwrite: Outputs that exist now will be replaced.

    Returns:
        The items in the same order, with a target, or with an error: it is no picture, or its target exists, is a
        source, or is another item's.
    """
    if not in_place:
        items = _without_targets(items, out)
    sources = {each for item in items for each in (os.path.realpath(item.source), _identity(item.source, item.stamp))}
    taken: dict[str, Path] = {}
    assigned = []
    for item in items:
        if item.error is not None or item.format is None:
            assigned.append(replace(item, error=item.error or unsupported(str(item.source))))
            continue
        target = _in_place(item) if in_place else _target(item, out)
        real = os.path.normcase(os.path.realpath(target))
        same = _identity(target, _stamp(target))
        if in_place and real in taken:
            continue
        error: CensorError | None = None
        exists = os.path.lexists(target)
        other = taken.get(real) or (None if in_place else taken.get(same))
        if other is not None:
            error = OutputTakenError(f"{item.source}: its output {target} is already that of {other}")
        elif not in_place and {os.path.realpath(target), same} & sources:
            error = OutputIsSourceError(f"{item.source}: its output {target} would overwrite a source")
        elif not (in_place or overwrite) and exists:
            error = OutputExistsError(f"{item.source}: {target} exists already")
        else:
            taken[real] = taken[same] = item.source
        # What is not there now is not overwritten: it would be another item's, in a file system that takes both names
        # for one, or somebody else's.
        assigned.append(replace(item, target=target, overwrite=exists, error=error))
    return assigned


def _stamp(target: PathBeneath) -> Stamp | None:
    try:
        return Stamp.of(target.lstat())
    except OSError:
        return None


def _identity(path: Path | PathBeneath, stamp: Stamp | None) -> str:
    """The same for names that are one file here and that some file systems hold for one name, like `A.jpg`, `a.jpg`."""
    name = _spelled(path)
    if stamp is None:
        return f"{name}\0"
    return f"{unicodedata.normalize('NFC', name).casefold()}\0{stamp.device}\0{stamp.inode}"


def _spelled(path: str | os.PathLike[str]) -> str:
    """The absolute path, no link followed."""
    return os.path.normpath(Path(path).absolute())


def _without_targets(items: Sequence[BatchItem], out: Path | None) -> list[BatchItem]:
    """Without files in folders that other items are going to write, and with an error for pictures in OUT that none is.

    The shorter name is the source: `a.jpg` of `a.censored.jpg`, and so on.
    """
    targets: set[str] = set()
    kept: set[int] = set()
    for item in sorted(items, key=lambda item: (item.in_output, len(item.source.name))):
        if item.beneath is None or _spelled(item.source) not in targets:
            kept.add(id(item))
            if item.error is None and item.format is not None and not item.in_output:
                targets.add(_spelled(_target(item, out)))
    left = [item for item in items if id(item) in kept]
    return [replace(item, error=item.error or _planted(item)) if item.in_output else item for item in left]


def _planted(item: BatchItem) -> UnsupportedImageError:
    return UnsupportedImageError(
        f"{item.source}: a picture in the output folder that this run does not write, so nobody has looked at it"
    )


def _in_place(item: BatchItem) -> PathBeneath:
    if item.beneath is not None:
        return replace(item.beneath, replaces=item.stamp)
    real = Path(os.path.realpath(item.source))
    return PathBeneath(real.parent, Path(real.name), replaces=item.stamp)


def _target(item: BatchItem, out: Path | None) -> PathBeneath:
    if out is not None and named_format(out) is not None and not out.is_dir():
        return PathBeneath(out.parent, Path(out.name))
    if out is None:
        if item.beneath is not None:
            return PathBeneath(item.beneath.root, beside(item.relative, item.format))
        name = beside(Path(item.source.name), item.format)
        return PathBeneath(item.source.parent, name)
    below = mirrored(item.relative, item.format)
    if item.beneath is not None:
        # An output folder inside of an input folder is as little to be trusted as the rest of that.
        way = os.path.relpath(_spelled(out), _spelled(item.beneath.root))
        if not way.startswith(os.pardir):
            return PathBeneath(item.beneath.root, Path(way) / below)
    return PathBeneath(out, below)
