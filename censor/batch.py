"""Many pictures: where each output goes, and working them off on several threads."""

from __future__ import annotations

import os
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from censor.errors import CensorError, OutputExistsError
from censor.gather import INFIX, Gathered, Job, beside, gather, mirrored
from detect.errors import UnsupportedImageError
from detect.folders import PathBeneath, Stamp
from detect.pictures.formats import format_of, unsupported

__all__ = ["INFIX", "Gathered", "Job", "gather", "plan", "run"]

T = TypeVar("T")
R = TypeVar("R")


def plan(jobs: Sequence[Job], *, out: Path | None, in_place: bool, overwrite: bool) -> list[Job]:
    """Decide where each output goes, before anything is written.

    In place, a link's output takes the place of the file it points to, and a file with two names is worked on once.
    Without `in_place` a file in a folder that is another job's target is no job of its own: that other replaces it, or
    fails because it is there.

    Args:
        jobs: From `gather`.
        out: A folder that mirrors the inputs' tree, or, for a single job, a file with a picture's suffix. None puts
            each output beside its source.
        in_place: Each output takes its source's place; `out` is None then.
        overwrite: Outputs that exist now will be replaced.

    Returns:
        The jobs in the same order, with a target, or with an error: it is no picture, or its target exists, is a
        source, or is another job's.
    """
    if not in_place:
        jobs = _without_targets(jobs, out)
    sources = {each for job in jobs for each in (os.path.realpath(job.source), _identity(job.source, job.stamp))}
    taken: dict[str, Path] = {}
    planned = []
    for job in jobs:
        if job.error is not None or job.format is None:
            planned.append(replace(job, error=job.error or unsupported(str(job.source))))
            continue
        target = _in_place(job) if in_place else _target(job, out)
        place = os.path.normcase(os.path.realpath(target))
        same = _identity(target, _stamp(target))
        if in_place and place in taken:
            continue
        error: CensorError | None = None
        exists = os.path.lexists(target)
        other = taken.get(place) or (None if in_place else taken.get(same))
        if other is not None:
            error = OutputExistsError(f"{job.source}: its output {target} is already that of {other}")
        elif not in_place and {os.path.realpath(target), same} & sources:
            error = OutputExistsError(f"{job.source}: its output {target} would overwrite a source; use --in-place")
        elif not (in_place or overwrite) and exists:
            error = OutputExistsError(f"{job.source}: {target} exists already; use --force to overwrite it")
        else:
            taken[place] = taken[same] = job.source
        # What is not there now is not overwritten: it would be another job's, in a file system that takes both names
        # for one, or somebody else's.
        planned.append(replace(job, target=target, overwrite=exists, error=error))
    return planned


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


def _without_targets(jobs: Sequence[Job], out: Path | None) -> list[Job]:
    """Without files in folders that other jobs are going to write, and with an error for pictures in OUT that none is.

    The shorter name is the source: `a.jpg` of `a.censored.jpg`, and so on.
    """
    targets: set[str] = set()
    kept: set[int] = set()
    for job in sorted(jobs, key=lambda job: (job.in_output, len(job.source.name))):
        if job.beneath is None or _spelled(job.source) not in targets:
            kept.add(id(job))
            if job.error is None and job.format is not None and not job.in_output:
                targets.add(_spelled(_target(job, out)))
    left = [job for job in jobs if id(job) in kept]
    return [replace(job, error=job.error or _planted(job)) if job.in_output else job for job in left]


def _planted(job: Job) -> UnsupportedImageError:
    return UnsupportedImageError(
        f"{job.source}: a picture in the output folder that this run does not write, so nobody has looked at it"
    )


def _in_place(job: Job) -> PathBeneath:
    if job.beneath is not None:
        return replace(job.beneath, replaces=job.stamp)
    real = Path(os.path.realpath(job.source))
    return PathBeneath(real.parent, Path(real.name), replaces=job.stamp)


def _target(job: Job, out: Path | None) -> PathBeneath:
    if out is not None and format_of(out) is not None and not out.is_dir():
        return PathBeneath(out.parent, Path(out.name))
    if out is None:
        if job.beneath is not None:
            return PathBeneath(job.beneath.root, beside(job.relative, job.format))
        name = beside(Path(job.source.name), job.format)
        return PathBeneath(job.source.parent, name)
    below = mirrored(job.relative, job.format)
    if job.beneath is not None:
        # An output folder inside of an input folder is as little to be trusted as the rest of that.
        way = os.path.relpath(_spelled(out), _spelled(job.beneath.root))
        if not way.startswith(os.pardir):
            return PathBeneath(job.beneath.root, Path(way) / below)
    return PathBeneath(out, below)


def run(jobs: Iterable[T], work: Callable[[T], R], *, workers: int) -> Iterator[R]:
    """Work jobs off on `workers` threads; results come in the order of the jobs.

    No more than twice as many jobs as workers are begun ahead of the result that is waited for, so memory does not grow
    with their number. When the caller stops early, what has begun is finished and nothing else is begun.
    """
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="censor") as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for job in jobs:
                waiting.append(pool.submit(work, job))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
