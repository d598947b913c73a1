"""Serving with uvicorn: a supervised process, a socket that is bound before it starts, and patience that ends."""

from __future__ import annotations

import asyncio
import contextlib
import http
import socket
import struct
from typing import Any

import h11
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from censor.service.logs import CONFIG
from censor.service.problems import Problem
from censor.service.settings import Settings

__all__ = ["configured", "serve"]

_HEADER_SECONDS = 10.0
"""How long a connection may stay open without a whole request header; uvicorn itself would wait for ever."""

_HEALTH_SECONDS = 10
"""How long the process that speaks HTTP may be silent before it is taken for dead."""

_CONNECTIONS = 512
"""Beyond them the answer is 503."""


_LAST = {"connection": "close"}

_AT_ONCE = struct.pack("ii", 1, 0)
"""For SO_LINGER: on, and no second of it."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 by h11, and a deadline for request headers, against clients that send one byte now and then.

    What the protocol itself refuses is a problem document as well. Requests find in their ``state``, as ``abort``, what
    cuts the connection: closing it would wait until the client has read all that was written.
    """

    _deadline: asyncio.TimerHandle | None = None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._served = self.app
        self.app = self._serve
        self.app_state = {**self.app_state, "abort": self._abort}

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the application serve a request, unless there are too many connections already."""
        if len(self.connections) > _CONNECTIONS or len(self.tasks) > _CONNECTIONS:
            busy = Problem("busy", "There are too many connections; try again shortly.", headers=_LAST)
            await busy.response()(scope, receive, send)
        else:
            await self._served(scope, receive, send)

    def _abort(self) -> None:
        """Cut the connection, and have the system forget what it holds for a client that does not read."""
        with contextlib.suppress(OSError):  # it is gone already
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Refuse what is not HTTP, where nothing has been answered yet, and close the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = Problem("malformed-request", headers=_LAST).response()
            start = h11.Response(
                status_code=answer.status_code, headers=answer.raw_headers, reason=http.HTTPStatus.BAD_REQUEST.phrase
            )
            for event in (start, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_made(self, transport: Any) -> None:
        """Start the clock, and have what is written sent at once.

        asyncio sees to that only for sockets whose protocol number is TCP's, and those that uvicorn binds have none:
        the end of a short answer waited up to 40 ms for the client's acknowledgement of its beginning.
        """
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Stop the clock once a request has begun, start it when the next one is awaited."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Start the clock: the next request is awaited."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        super().connection_lost(exc)
        self._forget()

    def _watch(self) -> None:
        waiting = self.cycle is None or self.cycle.response_complete
        if not waiting:
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(_HEADER_SECONDS, self._give_up)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            self._abort()  # or it would wait for a client that does not read
        else:
            self.transport.close()


def configured(app: Any, settings: Settings, **own: Any) -> Config:
    """How uvicorn is run: no access log, no proxy headers, deadlines, and a bound on connections.

    Args:
        app: The application, or where to find its factory.
        settings: For address and patience.
        own: Further arguments of `uvicorn.Config`.
    """
    return Config(
        app,
        host=settings.host,
        port=settings.port,
        workers=1,  # of uvicorn's own, whatever its WEB_CONCURRENCY says: those of ours stand behind it
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.drain_seconds,
        timeout_worker_healthcheck=_HEALTH_SECONDS,
        **own,
    )


def serve(settings: Settings) -> None:
    """Serve until told to stop. The process that speaks HTTP reads the settings from the environment: they stand there.

    It is replaced if it dies: the process that was started supervises it and does nothing else. SIGTERM and SIGINT let
    requests end before it does.

    Args:
        settings: Those of the environment.
    """
    config = configured("censor.service.app:from_environment", settings, factory=True, log_config=CONFIG)
    Multiprocess(config, sockets=[config.bind_socket()]).run()
