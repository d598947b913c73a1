"""What clients are told when there is no picture: problem documents (RFC 9457) whose types are stable.

A type is the path `/problems/NAME` of the service itself, where its meaning can be read. Details come from errors about
the client's own picture and options; what went wrong inside is not told to clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from censor import errors
from censor.media.film_kinds import FILMS
from detect.errors import (
    AnimatedImageError,
    DetectError,
    ImageError,
    LimitError,
    UnknownLabelError,
    UnsupportedImageError,
)
from detect.pictures.formats import titles

if TYPE_CHECKING:
    from starlette.responses import JSONResponse

__all__ = ["KINDS", "MEDIA_TYPE", "SECOND_LOOK", "Kind", "Problem", "out_of_memory", "problem_of"]

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """One type of problem.

    Attributes:
        status: HTTP status code.
        title: The same for all problems of this type.
        meaning: What happened and what can be done about it.
        retry_after: Seconds after which to ask again, for the header `Retry-After`.
    """

    status: int
    title: str
    meaning: str
    retry_after: int | None = None


KINDS: dict[str, Kind] = {
    "malformed-request": Kind(400, "Malformed request", "This is not HTTP as it should be. The connection is closed."),
    "malformed-upload": Kind(400, "Malformed upload", "The multipart body is broken, or ends before it should."),
    "unauthorized": Kind(401, "API key missing or wrong", "Send `Authorization: Bearer KEY` with a key that is valid."),
    "not-found": Kind(404, "Not found", "Nothing is served under this path."),
    "no-such-job": Kind(
        404,
        "No such job",
        "It never was, its result has been fetched or waited too long, or the service was restarted.",
    ),
    "method-not-allowed": Kind(405, "Method not allowed", "The header `Allow` names the methods of this path."),
    "not-acceptable": Kind(
        406, "Nothing that is accepted", "The header `Accept` takes neither the censored picture's type nor JSON."
    ),
    "not-done": Kind(409, "Job that is not done", "Ask again after the seconds in `Retry-After`.", 1),
    "upload-timeout": Kind(408, "Upload too slow", "The body did not arrive in time. Send it again, faster."),
    "too-large": Kind(413, "Too many bytes", "The picture has more bytes than are taken. The rest was not read."),
    "unsupported-media-type": Kind(
        415,
        "Unsupported content type",
        "Send multipart/form-data, or bare bytes as image/* or application/octet-stream.",
    ),
    "unknown-host": Kind(421, "Unknown host", "The header `Host` is none of the hosts that this service answers to."),
    "no-picture": Kind(422, "No picture", "The body is empty, or the form has no part `file`."),
    "two-pictures": Kind(422, "More than one picture", "The form has several files. Send one picture a request."),
    "film-not-taken": Kind(
        422, "Films are not taken", "This service was set up without them, or lacks the extra `video`."
    ),
    "too-long": Kind(
        422,
        "Too many frames or pages",
        "There are more than are taken; a job may have more.",
    ),
    "too-large-result": Kind(422, "Censored copy too large", "It would have more bytes than there is memory for."),
    "not-a-picture": Kind(
        422,
        "Not a picture that is taken",
        f"{titles('and')} are taken, and {', '.join(each.title for each in FILMS.values())} where films are.",
    ),
    "damaged-picture": Kind(
        422, "Damaged picture", "The picture is cut short or broken, so not all of it can be judged."
    ),
    "animated-picture": Kind(
        422,
        "More than one frame",
        "Neither animations nor pages are taken where films are not.",
    ),
    "too-many-pixels": Kind(422, "Too many pixels", "Width times height is over the limit. Nothing was decoded."),
    "memory-limit": Kind(
        422, "Picture that takes too much memory", "Work on this picture took more memory than any may take."
    ),
    "bad-option": Kind(422, "Option that makes no sense", "An option is unknown, given twice, or out of its range."),
    "unknown-policy": Kind(422, "Unknown policy", "GET /v1/policies lists those that can be named."),
    "unknown-label": Kind(422, "Unknown label", "GET /v1/labels lists those that can be named."),
    "policy-cannot-judge": Kind(422, "Policy without a verdict", "This policy hides, but has no rule for a verdict."),
    "cannot-encode": Kind(
        422, "Cannot be written in this format", "The format cannot hold this picture. Ask for another."
    ),
    "policy-not-served": Kind(
        422, "Policy that is not served", "This policy needs a network that the service has not loaded."
    ),
    "still-visible": Kind(422, "Could not be hidden", "After hiding, the detector still found what must not be shown."),
    "still-nsfw": Kind(
        422, "Still looks NSFW after hiding", "After hiding, a classifier still says so. Nothing leaves."
    ),
    "internal-error": Kind(500, "Internal error", "Something broke on our side. There is no picture and no verdict."),
    "detector-failed": Kind(500, "The detector failed", "The network failed on this picture. Nothing was judged."),
    "classifier-failed": Kind(500, "A classifier failed", "It failed on this picture. Nothing was judged."),
    "worker-died": Kind(
        500, "Working on it ends the process", "Every process that was given this picture died. Do not send it again."
    ),
    "busy": Kind(503, "Too busy", "Too many pictures wait already. Try again after the seconds in `Retry-After`.", 1),
    "not-ready": Kind(503, "Not ready", "The networks are not loaded, or one fails on a test picture.", 5),
    "time-limit": Kind(504, "Picture took too long", "Work on this picture was given up at the time limit."),
}
"""Type to meaning. Names and status codes stay as they are: clients depend on them."""

SECOND_LOOK = ("still-visible", "still-nsfw")
"""What a look at the output refuses."""

_OF_ERRORS: tuple[tuple[type[Exception], str], ...] = (
    (errors.ExtraError, "film-not-taken"),
    (UnsupportedImageError, "not-a-picture"),
    (AnimatedImageError, "animated-picture"),
    (LimitError, "too-many-pixels"),
    (ImageError, "damaged-picture"),
    (errors.StillNsfwError, "still-nsfw"),
    (errors.RecheckError, "still-visible"),
    (errors.WriteError, "cannot-encode"),
    (errors.PolicyError, "policy-cannot-judge"),
    (errors.DetectorError, "detector-failed"),
    (errors.ClassifierError, "classifier-failed"),
    (UnknownLabelError, "unknown-label"),
    (DetectError, "detector-failed"),
)


class Problem(Exception):  # noqa: N818  # the standard's own word
    """Ends a request with a problem document.

    Attributes:
        name: One of `KINDS`.
        detail: What is wrong with this request, for its sender.
        headers: Headers of the answer beyond those of every problem.
        where: For the log: type and lines of code of the error behind it, if that happened in another process.
    """

    def __init__(
        self,
        name: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> None:
        kind = KINDS[name]
        super().__init__(f"{name}: {detail}")
        self.name, self.detail = name, detail or kind.meaning
        self.headers = {} if kind.retry_after is None else {"retry-after": str(kind.retry_after)}
        self.headers.update(headers or {})
        self.where = where

    @property
    def status(self) -> int:
        """HTTP status code."""
        return KINDS[self.name].status

    def document(self) -> dict[str, Any]:
        """The members of RFC 9457, section 3.1."""
        return {
            "type": f"/problems/{self.name}",
            "title": KINDS[self.name].title,
            "status": self.status,
            "detail": self.detail,
        }

    def response(self) -> JSONResponse:
        """The answer."""
        from starlette.responses import JSONResponse  # not for processes that answer nobody

        return JSONResponse(self.document(), self.status, headers=self.headers, media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """What a client is told about an error; "internal-error" for everything that is no error about its picture."""
    if isinstance(error, Problem):
        return error
    if out_of_memory(error):
        return Problem("memory-limit")
    for kind, name in _OF_ERRORS:
        if isinstance(error, kind):
            told = "" if name.endswith("-failed") else str(error).removeprefix("bytes: ").removeprefix("bytes, ")
            return Problem(name, told)
    return Problem("internal-error")


def out_of_memory(error: BaseException | None) -> bool:
    """Whether memory that could not be had is behind an error."""
    while error is not None and not isinstance(error, MemoryError):
        error = error.__cause__ or error.__context__
    return error is not None
