"""What surrounds every request: headers, a count, a log line, and an answer whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from starlette._utils import get_route_path  # what the router goes by: both see the same path under any prefix
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from censor.service.logs import where
from censor.service.metrics import Metrics
from censor.service.pace import Pace
from censor.service.problems import Problem

__all__ = ["ExchangeMiddleware"]

_LOG = logging.getLogger("censor.service")

_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "cache-control": "no-store",
}
"""Of every answer that does not say otherwise: what comes from here is neither run, framed, guessed at nor kept."""

_LINGER_SECONDS, _LINGER_BYTES = 0.5, 2**20
_PIECE = 2**16

_ROUTES = (
    "/", "/v1/censor", "/v1/check", "/v1/labels", "/v1/policies", "/v1/options", "/healthz", "/readyz", "/metrics",
    "/v1/jobs", "/openapi.json",
)  # fmt: skip
_JOB = "/v1/jobs/"


class ExchangeMiddleware:
    """The outermost layer: security headers, metrics, one log line a request, and a problem where something broke."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, patience: float, rate: int) -> None:
        """Wrap an application.

        Args:
            app: Everything further in.
            metrics: Where to count.
            patience: Seconds that a client may leave its answer unread.
            rate: Bytes a second that it must read on average beyond that.
        """
        self._app, self._metrics = app, metrics
        self._patience, self._rate = patience, rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        exchange = _Exchange(scope, receive, send, patience=self._patience, rate=self._rate)
        try:
            if exchange.is_ambiguous:
                scope.setdefault("state", {})["outcome"] = "malformed-request"
                refusal = Problem("malformed-request", "It has both Content-Length and Transfer-Encoding.")
                await refusal.response()(scope, exchange.receive, exchange.send)
            else:
                await self._app(scope, exchange.receive, exchange.send)
        except _SlowReader:
            scope.setdefault("state", {})["outcome"] = "client-slow"
            self._abort(scope)
            await asyncio.sleep(0)  # so that the server knows before it looks for the rest of the answer
        except Exception as error:  # noqa: BLE001  # the last place where it can be turned into an answer
            _LOG.error("broke", extra={"fields": {"error": where(error)}})  # a traceback would quote values
            scope.setdefault("state", {})["outcome"] = "internal-error"
            if not exchange.status:
                await Problem("internal-error").response()(scope, exchange.receive, exchange.send)
        finally:
            if (account := scope.get("state", {}).get("account")) is not None:
                account.close()
        self._tell(scope, exchange.status, time.perf_counter() - start)

    @staticmethod
    def _abort(scope: Scope) -> None:
        """Cut the connection at once, where the server lets us; others do when they see an answer cut short."""
        abort: Callable[[], None] | None = scope.get("state", {}).get("abort")
        if abort is not None:
            abort()

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        path = get_route_path(scope)
        route = path if path in _ROUTES else _JOB + "{name}" if path.startswith(_JOB) else "other"
        outcome = scope.get("state", {}).get("outcome") or ("ok" if status < 400 else "other")
        self._metrics.requests.labels(route, outcome).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        fields = {"route": route, "status": status, "outcome": outcome, "ms": round(1000 * seconds, 1)}
        _LOG.info("request", extra={"fields": fields | scope.get("state", {}).get("told", {})})


class _SlowReader(Exception):  # noqa: N818  # nothing of ours went wrong
    """A client that does not read its answer."""


class _Exchange:
    """One request and its answer: adds headers, sends in pieces, and closes the connection of an early answer.

    An answer written at once would lie in a buffer that nobody counts until the client has read it; in pieces, sending
    waits for the client, and ends when it is too slow.

    A connection that is closed while the client still sends is reset, and the client may never see why. So a little of
    what is left is read and forgotten, for a moment, after the answer has gone out whole.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, patience: float, rate: int) -> None:
        headers = Headers(scope=scope)
        self._scope, self._receive, self._send = scope, receive, send
        self._pace = Pace(seconds=patience, rate=rate)
        # Servers in front of this one may go by the other: what they take for the next request would be its body.
        self.is_ambiguous = "content-length" in headers and "transfer-encoding" in headers
        self._body_left = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        self.status = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._body_left = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if self._body_left:
                headers["connection"] = "close"
        elif self._body_left and not message.get("more_body", False):
            await self._in_pieces({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b""}
        await self._in_pieces(message)

    async def _in_pieces(self, message: Message) -> None:
        if (account := self._scope.get("state", {}).get("account")) is not None:
            account.pace = self._pace  # it may have to give way to others
        body = memoryview(message.get("body", b""))
        try:
            for at in range(0, len(body) - _PIECE, _PIECE):
                piece = {"type": "http.response.body", "body": bytes(body[at : at + _PIECE]), "more_body": True}
                await self._one(piece, _PIECE)
            rest = bytes(body[(len(body) - 1) // _PIECE * _PIECE :]) if len(body) > _PIECE else bytes(body)
            await self._one({**message, "body": rest} if "body" in message else message, len(rest))
        except TimeoutError:
            raise _SlowReader from None

    async def _one(self, message: Message, size: int) -> None:
        async with self._pace:
            await self._send(message)
        self._pace.moved(size)

    async def _linger(self) -> None:
        read = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while self._body_left and read < _LINGER_BYTES:
                    read += len((await self.receive()).get("body", b""))
