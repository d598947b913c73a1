"""Serving with uvicorn: supervised workers, a socket that is bound before anything forks, and patience that ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
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
"""How long a worker may be silent before it is taken for dead; one that dies while asked is missed for as long."""

_CONNECTIONS = 512
"""Of one worker; uvicorn answers 503 beyond them."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 by h11, and a deadline for request headers, against clients that send one byte now and then."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the clock."""
        super().connection_made(transport)
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
        settings: For address, workers and patience.
        own: Further arguments of `uvicorn.Config`.
    """
    return Config(
        app,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
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
    """Serve until told to stop. Workers read the settings from the environment, where they must stand.

    A worker that dies is replaced, also when there is only one: the process that was started supervises and does
    nothing else. SIGTERM and SIGINT let requests end before the workers do.

    Args:
        settings: Those of the environment.
    """
    config = configured("censor.service.app:from_environment", settings, factory=True, log_config=CONFIG)
    folder = _shared_numbers()
    try:
        Multiprocess(config, sockets=[config.bind_socket()]).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _shared_numbers() -> str:
    """A folder, in memory where there is such a place, through which workers share their metrics."""
    memory = Path("/dev/shm")  # noqa: S108  # a file system, not a file
    folder = tempfile.mkdtemp(prefix="censor-metrics-", dir=memory if os.access(memory, os.W_OK) else None)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    return folder
