"""One picture or film out of a request's body, in memory alone, cut off at the first byte too many.

Starlette's own form parser moves files over a megabyte to a temporary file: an uncensored copy on disk. Here the
parser below it is used, which only ever hands over slices of what came in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from importlib.util import find_spec

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from censor.media.film_kinds import film_in
from censor.service.ledger import Account
from censor.service.pace import Pace
from censor.service.problems import Problem
from censor.service.settings import Settings
from censor.service.spool import Spool
from detect.pictures.formats import SNIFF_BYTES

__all__ = ["Upload", "receive"]

_OVERHEAD = 64 * 1024
"""Bytes of a form that are not the picture: boundaries, headers and options."""

_MAX_FIELD = 1024
_MAX_PARTS = 64


@dataclass(frozen=True)
class Upload:
    """What a client sent.

    Attributes:
        data: The encoded picture, or the film.
        fields: The form's other fields, each with its values in order.
    """

    data: bytes | Spool
    fields: dict[str, list[str]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of what was sent."""
        return self.data.size if isinstance(self.data, Spool) else len(self.data)


async def receive(request: Request, settings: Settings, account: Account) -> Upload:
    """Read the one picture or film that a request brings.

    Args:
        request: Its body has not been touched.
        settings: For the limits on bytes and time.
        account: Where the bytes are counted.

    Raises:
        Problem: The wrong content type, too many bytes, too slow, a broken form, no picture or two of them, or a film
            where none is taken.
        ClientDisconnect: The client went away.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    media_type = kind.decode("latin-1").lower()
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("unsupported-media-type", "Compressed bodies are not taken.")
    is_form = media_type == "multipart/form-data"
    if not (is_form or media_type == "application/octet-stream" or media_type.startswith(("image/", "video/"))):
        raise Problem("unsupported-media-type")
    if is_form and not options.get(b"boundary"):
        raise Problem("malformed-upload", "The content type names no boundary.")
    films = settings.film_bytes if settings.takes_films and not media_type.startswith("image/") else 0
    cap = max(settings.max_bytes, films) + (_OVERHEAD if is_form else 0)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > cap:
        raise _too_large(cap)
    chunks = _chunks(request, settings, account, cap)
    if is_form:
        return await _read_form(chunks, options[b"boundary"], settings)
    file = _File(settings)
    async for chunk in chunks:
        file.add(chunk)
    if not file.size:
        raise Problem("no-picture", "The body is empty.")
    return Upload(file.whole())


def _too_large(most: int) -> Problem:
    return Problem("too-large", f"What is sent may have {most:,} bytes.")


class _File:
    """What comes is told by its first bytes: pictures are kept as they come, films go to a file in memory."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parts: list[bytes] = []
        self._spool: Spool | None = None
        self._most: int | None = None
        self.size = 0

    def add(self, data: bytes) -> None:
        """Take more of it.

        Raises:
            Problem: "too-large", "film-not-taken".
        """
        self.size += len(data)
        if self._spool is None:
            self._parts.append(data)
        else:
            self._spool.write(data)
        if self._most is None and self.size >= SNIFF_BYTES:
            self._tell()
        if self.size > (most := self._most or self._settings.max_bytes):
            raise _too_large(most)

    def _tell(self) -> None:
        """Say what it is, now that there is enough of it."""
        start = b"".join(self._parts)[:SNIFF_BYTES]
        self._most = self._settings.max_bytes
        if film_in(start) is None:
            return
        if not self._settings.takes_films or find_spec("av") is None:
            raise Problem("film-not-taken")
        self._most, self._spool = self._settings.film_bytes, Spool()
        for each in self._parts:
            self._spool.write(each)
        self._parts = []

    def whole(self) -> bytes | Spool:
        """All of it."""
        if self._most is None:
            self._tell()
        return b"".join(self._parts) if self._spool is None else self._spool


async def _chunks(request: Request, settings: Settings, account: Account, cap: int) -> AsyncIterator[bytes]:
    """The body, held against all limits."""
    received, stream = 0, request.stream()
    account.pace = pace = Pace(seconds=settings.upload_seconds, rate=settings.upload_rate)
    try:
        while True:
            async with pace:
                chunk = await anext(stream, None)
            if chunk is None:
                return
            received += len(chunk)
            if received > cap:
                raise _too_large(cap)
            account.hold(len(chunk))
            pace.moved(len(chunk))
            yield chunk
    except TimeoutError:
        raise Problem("upload-timeout", f"{received:,} bytes came, then too little.") from None


async def _read_form(chunks: AsyncIterator[bytes], boundary: bytes, settings: Settings) -> Upload:
    form = _Form(settings)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.begin,
                "on_part_data": form.data,
                "on_part_end": form.end,
                "on_header_field": form.header_name,
                "on_header_value": form.header_value,
                "on_header_end": form.header_end,
                "on_headers_finished": form.headers_finished,
                "on_end": form.finish,
            },
        )
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:  # of the boundary, too
        raise Problem("malformed-upload", f"The form cannot be read: {error}.") from error
    if not form.finished:
        raise Problem("malformed-upload", "The form ends before its last boundary.")
    if not form.files:
        raise Problem("no-picture", "The form has no part `file` with a file in it.")
    if not form.files[0].size:
        raise Problem("no-picture", "The part `file` is empty.")
    return Upload(form.files[0].whole(), dict(form.fields))


class _Form:
    """Collects the parts of a form as the parser finds them. File names are not kept."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.files: list[_File] = []
        self.fields: defaultdict[str, list[str]] = defaultdict(list)
        self.finished = False
        self._parts = 0
        self.begin()
        self._parts = 0

    def begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise Problem("malformed-upload", f"The form has more than {_MAX_PARTS} parts.")
        self._headers: dict[bytes, bytes] = {}
        self._key, self._value = b"", b""
        self._name, self._size = "", 0
        self._body: list[bytes] = []
        self._is_file = False

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._key += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._key.lower()] = self._value
        self._key, self._value = b"", b""

    def headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        if kind != b"form-data" or b"name" not in options:
            raise Problem("malformed-upload", "A part of the form has no name.")
        if self._headers.get(b"content-transfer-encoding", b"binary").lower() not in (b"binary", b"8bit", b"7bit"):
            raise Problem("malformed-upload", "Parts with a transfer encoding are not taken.")
        self._name = options[b"name"].decode("utf-8", "replace")
        self._is_file = b"filename" in options or self._name == "file"
        if self._is_file:
            if self.files:
                raise Problem("two-pictures")
            if self._name != "file":
                raise Problem("no-picture", "The picture must be in the part `file`.")
            self.files.append(_File(self._settings))

    def data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._is_file:
            self.files[0].add(data[start:end])
            return
        if self._size > _MAX_FIELD:
            raise Problem("bad-option", f"An option has more than {_MAX_FIELD} bytes.")
        self._body.append(data[start:end])

    def end(self) -> None:
        if not self._is_file:
            self.fields[self._name].append(b"".join(self._body).decode("utf-8", "replace"))

    def finish(self) -> None:
        self.finished = True
