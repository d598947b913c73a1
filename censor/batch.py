"""Many pictures: which files are meant, where each output goes, and working them off on several threads."""

from __future__ import annotations

import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from censor.errors import CensorError, OutputExistsError
from detect.errors import DetectError, ReadError, UnsupportedImageError
from detect.pictures.formats import HEAD, SUFFIXES, empty, format_of, sniff, unsupported

__all__ = ["INFIX", "Gathered", "Job", "gather", "plan", "run"]

INFIX = ".censored"
"""What stands between stem and suffix of an output that is written beside its source."""

_ALSO_PICTURES = re.compile(
    r"\.(apng|arw|avi|cr2|cr3|dng|heics|ico|j2k|jp2|jxl|m4v|mkv|mov|mp4|mpg|nef|pbm|pcx|pgm|pnm|ppm|psd|svg|tga|webm|wmv)",
    re.IGNORECASE,
)
"""Suffixes of pictures and films that are not taken: in a folder they are errors, for nobody has looked at them."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One picture to be worked on.

    Attributes:
        source: Where it is.
        relative: Its path below the folder that was named, or its bare name: where it goes below an output folder.
        format: What its first bytes announce; None if nothing supported.
        target: Where the output goes; None while not planned.
        error: Why it cannot even be begun.
    """

    source: Path
    relative: Path
    format: str | None = None
    target: Path | None = None
    error: CensorError | DetectError | None = None


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What was found under the paths that were named.

    Attributes:
        jobs: In the order named, folders walked in order of name; no directory entry twice.
        ignored: Files in folders that are no pictures by content nor by suffix, links to folders, and outputs of this
            run or of earlier ones.
    """

    jobs: tuple[Job, ...]
    ignored: int


def gather(
    paths: Iterable[str | os.PathLike[str]], *, skip: Path | None = None, outputs_beside: bool = False
) -> Gathered:
    """Find the pictures that are meant by files and folders.

    A file that was named is always a job, whatever it holds. In a folder, a file is a job if its content or its suffix
    is that of a picture: a text file is passed over, a broken JPEG is not.

    Args:
        paths: Files and folders; folders are walked to any depth, links to folders are not followed.
        skip: A folder to leave out: outputs of this run that lie below an input folder.
        outputs_beside: Outputs go beside the sources, so a file ``a.censored.jpg`` next to an ``a.…`` picture is an
            output of an earlier run.

    Returns:
        The jobs. What is missing, unreadable or a folder without pictures is a job with an error.
    """
    jobs: dict[tuple[str, str], Job] = {}
    ignored = 0
    for each in paths:
        path = Path(each)
        if path.is_dir():
            found, passed_over = _walk(path, skip, outputs_beside)
            ignored += passed_over
        else:
            found = [_job(path, Path(path.name))]
        for job in found:
            jobs.setdefault((os.path.realpath(job.source.parent), job.source.name), job)
    return Gathered(jobs=tuple(jobs.values()), ignored=ignored)


def _walk(folder: Path, skip: Path | None, outputs_beside: bool) -> tuple[list[Job], int]:
    jobs: list[Job] = []
    ignored = 0
    left_out = os.path.realpath(skip) if skip is not None else None

    def unreadable(error: OSError) -> None:
        place = Path(error.filename or folder)
        reason = ReadError(f"{place}: cannot be read: {error.strerror or error}")
        jobs.append(Job(source=place, relative=Path(place.name), error=reason))

    for root, folders, files in os.walk(folder, onerror=unreadable):
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        ignored += len(links)
        outputs = [name for name in folders if os.path.realpath(Path(root) / name) == left_out]
        ignored += len(outputs)
        folders[:] = sorted(name for name in folders if name not in links and name not in outputs)
        found = [_job(Path(root) / name, (Path(root) / name).relative_to(folder)) for name in sorted(files)]
        pictures = [job for job in found if job.format or _looks_like_a_picture(job.source)]
        stems = {job.source.stem for job in pictures}
        earlier = [job for job in pictures if outputs_beside and _source_stem(job.source) in stems]
        jobs += [job for job in pictures if job not in earlier]
        ignored += len(found) - len(pictures) + len(earlier)
    if not jobs:
        reason = UnsupportedImageError(f"{folder}: no pictures in this folder")
        jobs.append(Job(source=folder, relative=Path(), error=reason))
    return jobs, ignored


def _looks_like_a_picture(path: Path) -> bool:
    return format_of(path) is not None or _ALSO_PICTURES.fullmatch(path.suffix) is not None


def _source_stem(path: Path) -> str | None:
    """The stem of the picture whose output beside it this would be."""
    return path.stem.removesuffix(INFIX) if path.stem.endswith(INFIX) else None


def _job(path: Path, relative: Path) -> Job:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            reason = "not a regular file; a picture from a pipe is read with `-`"
            return Job(source=path, relative=relative, error=ReadError(f"{path}: cannot be read: {reason}"))
        with path.open("rb") as stream:
            head = stream.read(HEAD)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        return Job(source=path, relative=relative, error=ReadError(f"{path}: cannot be read: {why}"))
    return Job(source=path, relative=relative, format=sniff(head), error=None if head else empty(str(path)))


def plan(jobs: Sequence[Job], *, out: Path | None, in_place: bool, overwrite: bool) -> list[Job]:
    """Decide where each output goes, before anything is written.

    In place, a link's output takes the place of the file it points to, and a file with two names is worked on once.

    Args:
        jobs: From `gather`.
        out: A folder that mirrors the inputs' tree, or, for a single job, a file with a picture's suffix. None puts
            each output beside its source.
        in_place: Each output takes its source's place; `out` is None then.
        overwrite: Existing outputs will be replaced.

    Returns:
        The jobs in the same order, with a target, or with an error: it is no picture, or its target exists, is a
        source, or is another job's.
    """
    sources = {os.path.realpath(job.source) for job in jobs}
    taken: dict[str, Path] = {}
    planned = []
    for job in jobs:
        if job.error is not None or job.format is None:
            planned.append(replace(job, error=job.error or unsupported(str(job.source))))
            continue
        target = Path(os.path.realpath(job.source)) if in_place else _target(job, out)
        place = os.path.normcase(os.path.realpath(target))
        error = None
        if place in taken and in_place:
            continue
        if place in taken:
            error = OutputExistsError(f"{job.source}: its output {target} is already that of {taken[place]}")
        elif not in_place and os.path.realpath(target) in sources:
            error = OutputExistsError(f"{job.source}: its output {target} would overwrite a source; use --in-place")
        elif not (in_place or overwrite) and os.path.lexists(target):
            error = OutputExistsError(f"{job.source}: {target} exists already; use --force to overwrite it")
        else:
            taken[place] = job.source
        planned.append(replace(job, target=target, error=error))
    return planned


def _target(job: Job, out: Path | None) -> Path:
    """The name keeps the source's suffix if that tells the truth about the content, and gets the right one if not."""
    if out is not None and format_of(out) is not None and not out.is_dir():
        return out
    suffix = job.relative.suffix
    if format_of(job.relative) != job.format:
        suffix = next(suffix for suffix, format_ in SUFFIXES.items() if format_ == job.format)
    if out is None:
        return job.source.with_name(job.source.stem + INFIX + suffix)
    return out / job.relative.with_name(job.relative.stem + suffix)


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
