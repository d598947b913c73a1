"""Serving with uvicorn: a supervised process, a socket that is bound before it starts, and patience that ends."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from censor.service.logs import CONFIG
from censor.service.settings import Settings

__all__ = ["configured", "serve"]

_HEADER_SECONDS = 10.0
"""How long a connection may stay open without a whole request header; uvicorn itself would wait for ever."""

_HEALTH_SECONDS = 10
"""How long the process that speaks HTTP may be silent before it is taken for dead."""

_CONNECTIONS = 512
"""Beyond them uvicorn answers 503."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 by h11, and a deadline for request headers, against clients that send one byte now and then."""

    _deadline: asyncio.TimerHandle | None = None

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
        """As above."""
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
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(_HEADER_SECONDS, self._give_up)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
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
        limit_concurrency=_CONNECTIONS,
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
