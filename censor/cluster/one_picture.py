"""What is done with the bytes of pictures: the same as the command does with files."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from censor.checking import settled
from censor.cluster.job import Job
from censor.cluster.sources import Row
from censor.cluster.verdicts import DONE, FAILED, PASSED_OVER
from censor.errors import WriteError
from censor.gather import is_meant
from censor.media.encoding import output_format
from censor.media.film_kinds import FILMS, film_in, film_named
from censor.media.opening import still_or_moving
from censor.report import Outcome
from detect.errors import LimitError
from detect.pictures.formats import SNIFF_BYTES, refused_kind, sniff

if TYPE_CHECKING:
    from censor.pipeline import Censor
    from censor.redact import Redaction
    from censor.results import Checked

__all__ = ["Given", "Worked", "work_on"]


@dataclass(frozen=True, kw_only=True)
class Worked:
    """What became of one picture.

    Attributes:
        outcome: One of `censor.cluster.verdicts.OUTCOMES`.
        record: Fields of `censor.records`.
        output: The censored picture's bytes, where there is one.
        written: How many bytes there are under the output's name; None where there are none.
        hidden: What was hidden in it; None for what moves.
        size: Bytes that were read; None where none were.
    """

    outcome: str
    record: Mapping[str, Any]
    output: bytes | None = None
    written: int | None = None
    hidden: tuple[Redaction, ...] | None = None
    size: int | None = None

    @classmethod
    def failed(cls, uri: str, error: Exception, size: int | None = None) -> Worked:
        """There is neither output nor verdict."""
        return cls(outcome=FAILED, record=Outcome.failed(uri, error).record, size=size)


@dataclass(frozen=True)
class Given:
    """One picture that is worked on.

    Attributes:
        row: Which.
        data: Its bytes; of one that has more than are taken, the first.
    """

    row: Row
    data: bytes

    @cached_property
    def kind(self) -> str | None:
        """What its first bytes announce."""
        film = film_in(self.data[:SNIFF_BYTES])
        return sniff(self.data[:SNIFF_BYTES]) if film is None else film.name

    @cached_property
    def is_meant(self) -> bool:
        """Whether it is a picture or a film, or is named as one."""
        start = self.data[:SNIFF_BYTES]
        refused = film_in(start) is not None or refused_kind(start) is not None
        return not self.data or is_meant(Path(self.row.name), format=self.kind, refused=refused)

    def is_cut(self, job: Job) -> bool:
        """Whether it has more bytes than are taken."""
        return self.row.size is not None and self.row.size > job.max_bytes

    def stream(self) -> io.BytesIO:
        """Its bytes to read."""
        stream = io.BytesIO(self.data)
        stream.name = self.row.uri  # what errors call it
        return stream


def work_on(censor: Censor, given: Sequence[Given], job: Job, *, stills: Censor | None = None) -> list[Worked]:
    """Judge pictures, or censor them; whatever happens to one is its own outcome.

    Args:
        censor: Policy and networks.
        given: The pictures.
        job: What is done.
        stills: Policy and networks for what does not move, if those are others.
    """
    known = _looked_ahead(stills or censor, given, job) if job.kind == "check" and len(given) > 1 else {}
    return [_work_on(censor, stills or censor, each, job, known.get(place)) for place, each in enumerate(given)]


def _looked_ahead(censor: Censor, given: Sequence[Given], job: Job) -> Mapping[int, Callable[[], Checked]]:
    """What a look at these together says of each that may be a still, or raises; by its place among them."""
    stills = {
        place: each.stream()
        for place, each in enumerate(given)
        if each.is_meant and not each.is_cut(job) and each.kind not in FILMS
    }
    checks = censor.check_together(tuple(stills.values()), whole=job.whole)
    return {place: partial(settled, checked) for place, checked in zip(stills, checks, strict=True)}


def _work_on(
    censor: Censor, stills: Censor, given: Given, job: Job, known: Callable[[], Checked] | None = None
) -> Worked:
    row = given.row
    if not given.is_meant:
        return Worked(outcome=PASSED_OVER, record={}, size=row.size)
    if given.is_cut(job):
        cap = LimitError(f"{row.uri}: more than {job.max_bytes:,} bytes, the cap on a picture's size")
        return Worked.failed(row.uri, cap)
    try:
        if job.kind == "check":
            return _checked(censor, given, known or partial(stills.check, given.stream(), whole=job.whole))
        return _hidden(censor, stills, row, given.stream(), given.kind, job)
    except Exception as error:  # noqa: BLE001  # a bug of ours in one picture must not let the others go unreported
        return Worked.failed(row.uri, error, len(given.data))


def _checked(censor: Censor, given: Given, still: Callable[[], Checked]) -> Worked:
    uri = given.row.uri

    def moving() -> Outcome:
        from censor.animation_report import animation_outcome

        return animation_outcome(uri, censor.check_medium(given.stream()))

    done = still_or_moving(given.kind, still=lambda: Outcome.of(uri, still()), moving=moving)
    return Worked(outcome=DONE, record=done.record, size=len(given.data))


def _hidden(censor: Censor, stills: Censor, row: Row, stream: io.BytesIO, kind: str | None, job: Job) -> Worked:
    size, target = stream.getbuffer().nbytes, f"{job.out.rstrip('/')}/{row.name}"

    def still() -> Worked:
        if film_named(row.name) is not None:
            raise WriteError(f"{row.uri}: a picture is not written as a film; rename it")
        result = stills.apply(stream)
        output = result.encode(output_format(result.picture, target=row.name), job.quality)
        record = Outcome.of(row.uri, result, target).record
        return Worked(outcome=DONE, record=record, output=output, hidden=result.redactions, size=size)

    return still_or_moving(kind, still=still, moving=lambda: _hidden_moving(censor, row, stream, target, job))


def _hidden_moving(censor: Censor, row: Row, stream: io.BytesIO, target: str, job: Job) -> Worked:
    from censor.animation_report import animation_outcome

    stream.seek(0)
    size = stream.getbuffer().nbytes
    with tempfile.TemporaryDirectory(prefix="censor-") as folder:  # what comes there is censored
        path = Path(folder, "moving").with_suffix(PurePosixPath(row.name).suffix)
        result = censor.apply_medium(stream, path, quality=job.quality)
        output = path.read_bytes()
    record = animation_outcome(row.uri, result, target).record
    return Worked(outcome=DONE, record=record, output=output, size=size)
