"""The service in process, with detectors that need no weights."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from fakes import finder
from numpy.typing import NDArray

from censor.service import Settings, create_app
from censor.service.server import configured
from detect.detections import Detector


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CENSOR_{name.upper()}", raising=False)


@pytest.fixture
def started(listening: Callable[..., int]) -> Iterator[Callable[..., httpx.Client]]:
    """Start the service with some settings and a detector, ``started(detector, queue=0)``, or with workers that are
    processes: ``started(load=Moody, workers=2)``."""
    clients: list[httpx.Client] = []

    def start(detector: Detector | None = None, **settings: Any) -> httpx.Client:
        url = f"http://127.0.0.1:{listening(detector, **settings)}"
        clients.append(httpx.Client(base_url=url, timeout=20, trust_env=False))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


@pytest.fixture
def client(started: Callable[..., httpx.Client]) -> httpx.Client:
    """The service as it comes."""
    return started()


@pytest.fixture
def scene_png(scene: NDArray[Any], encoded: Callable[..., bytes]) -> bytes:
    """The scene with the red pixels, as a file."""
    return encoded(scene, "PNG")


@pytest.fixture
def listening() -> Iterator[Callable[..., int]]:
    """Start the service on a port of this machine, for clients that misbehave below HTTP: returns the port."""
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(detector: Detector | None = None, *, load: Callable[[], Detector] | None = None, **settings: Any) -> int:
        chosen = Settings(port=0, **settings)
        app = create_app(chosen, finder() if detector is None and load is None else detector, load=load)
        server = uvicorn.Server(configured(app, chosen, log_config=None))
        thread = threading.Thread(target=server.run)
        thread.start()
        servers.append((server, thread))
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port: int = server.servers[0].sockets[0].getsockname()[1]
        return port

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join(timeout=10)
