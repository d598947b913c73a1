"""Answers that hold a picture: the picture itself, or JSON around it, which is never in memory as a whole."""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterator
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from censor.media.animation import FORMATS as ANIMATIONS
from censor.media.film_kinds import FILMS
from censor.media.pages import PAGED
from detect.pictures.formats import MEDIA_TYPES

__all__ = ["TYPES", "TYPES_OF_MANY", "JsonWithPicture"]

TYPES_OF_MANY = {name: MEDIA_TYPES[name] for name in (*ANIMATIONS, PAGED)} | {
    name: each.media_type for name, each in FILMS.items()
}
"""Format to media type, of films, animations and files of several pages."""

TYPES = MEDIA_TYPES | TYPES_OF_MANY
"""Format to media type, of all that is answered with."""

_PIECE = 3 * 2**14
"""Bytes that become base64 at a time; three at a time make four characters."""


class JsonWithPicture(Response):
    """A JSON object with a picture in base64 as its last member, made piece by piece while it is sent."""

    media_type = "application/json"

    def __init__(
        self, document: dict[str, Any], encoded: bytes | memoryview, kind: str, headers: dict[str, str]
    ) -> None:
        """Keep what it is made of.

        Args:
            document: The other members.
            encoded: The picture.
            kind: Its format as Pillow calls it.
            headers: Of the answer.
        """
        picture = {"media_type": TYPES[kind], "base64": ""}
        text = json.dumps({**document, "picture": picture}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self._before, self._after = text[:-3].encode(), text[-3:].encode()  # the empty string's quotes are open
        self._encoded = memoryview(encoded)
        self.size = len(text.encode()) + -(-len(encoded) // 3) * 4
        super().__init__(headers=headers | {"content-length": str(self.size)})

    @property
    def held(self) -> int:
        """Bytes that it holds until it has been sent."""
        return len(self._before) + len(self._encoded)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for piece in self._pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": self._after})

    def _pieces(self) -> Iterator[bytes]:
        yield self._before
        for at in range(0, len(self._encoded), _PIECE):
            yield binascii.b2a_base64(self._encoded[at : at + _PIECE], newline=False)
