"""What is done with the bytes of one picture: the same as the command does with a file."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from censor.cluster.job import Job
from censor.cluster.sources import Row
from censor.cluster.verdicts import DONE, FAILED, PASSED_OVER
from censor.errors import WriteError
from censor.gather import is_meant
from censor.media.encoding import output_format
from censor.media.film_kinds import film_in, film_named
from censor.media.opening import still_or_moving
from censor.report import Outcome
from detect.errors import LimitError
from detect.pictures.formats import SNIFF_BYTES, refused_kind, sniff

if TYPE_CHECKING:
    from censor.pipeline import Censor
    from censor.redact import Redaction

__all__ = ["Worked", "work_on"]


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


def work_on(censor: Censor, row: Row, data: bytes, job: Job, *, stills: Censor | None = None) -> Worked:
    """Judge a picture, or censor it; whatever happens to it is its own outcome.

    Args:
        censor: Policy and networks.
        row: Which picture.
        data: Its bytes; of one that has more than are taken, the first.
        job: What is done.
        stills: Policy and networks for what does not move, if those are others.
    """
    start = data[:SNIFF_BYTES]
    film = film_in(start)
    kind = sniff(start) if film is None else film.name
    refused = film is not None or refused_kind(start) is not None
    if data and not is_meant(Path(row.name), format=kind, refused=refused):
        return Worked(outcome=PASSED_OVER, record={}, size=row.size)
    stream = io.BytesIO(data)
    stream.name = row.uri  # what errors call it
    if row.size is not None and row.size > job.max_bytes:
        cap = LimitError(f"{row.uri}: more than {job.max_bytes:,} bytes, the cap on a picture's size")
        return Worked.failed(row.uri, cap)
    try:
        if job.kind == "check":
            return _checked(censor, stills or censor, row, stream, kind, job)
        return _hidden(censor, stills or censor, row, stream, kind, job)
    except Exception as error:  # noqa: BLE001  # a bug of ours in one picture must not let the others go unreported
        return Worked.failed(row.uri, error, len(data))


def _checked(censor: Censor, stills: Censor, row: Row, stream: io.BytesIO, kind: str | None, job: Job) -> Worked:
    def moving() -> Outcome:
        from censor.animation_report import animation_outcome

        stream.seek(0)
        return animation_outcome(row.uri, censor.check_medium(stream))

    done = still_or_moving(
        kind, still=lambda: Outcome.of(row.uri, stills.check(stream, whole=job.whole)), moving=moving
    )
    return Worked(outcome=DONE, record=done.record, size=stream.getbuffer().nbytes)


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
