"""The service in process, with detectors that need no weights."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import uvicorn
from fakes import FACES_JUDGED, finder
from numpy.typing import NDArray
from PIL import Image
from serving import Serving

from censor.service import Settings, create_app
from censor.service.networks import NetworkSet
from censor.service.server import configured
from detect.detections import Detector
from detect.load import load_detector

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CENSOR_{name.upper()}", raising=False)


@pytest.fixture
def started(listening: Callable[..., int]) -> Iterator[Callable[..., httpx.Client]]:
    """Start the service with some settings and a detector, ``started(detector, queue=0)``, or with workers that are
    processes: ``started(load=Moody, workers=2)``; with the models that were added, ``started(real=True)``."""
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

    def start(
        detector: Detector | None = None,
        *,
        load: Callable[[], NetworkSet | Detector] | None = None,
        classifiers: Sequence[Any] | None = None,
        real: bool = False,
        **settings: Any,
    ) -> int:
        fake = finder() if detector is None and load is None and not real else detector
        named = {} if classifiers is None or fake is not None else {"classifiers": tuple(classifiers)}
        chosen = Settings(port=0, **named, **settings)
        app = create_app(chosen, fake, classifiers=classifiers if fake is not None else None, load=load)
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


@pytest.fixture
def serving() -> Iterator[Callable[..., Serving]]:
    running: list[Serving] = []

    def start(*options: str) -> Serving:
        running.append(Serving(*options))
        return running[-1]

    yield start
    for each in running:
        each.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from pages import CHROMIUM, FLAGS
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def real_detector() -> Any:
    return load_detector(min_score=0.05, threads=1)


@pytest.fixture
def opened(browser: Browser, listening: Callable[..., int], real_detector: Any) -> Iterator[Callable[..., Page]]:
    """Open the page of a service: ``opened(settings={...}, color_scheme="dark")``. Fails if anything else is asked."""
    pages: list[Page] = []
    faults: list[str] = []

    def open_(settings: dict[str, Any] | None = None, ready: str = "body[data-ready=true]", **context: Any) -> Page:
        port = listening(real_detector, **{"policy": str(FACES_JUDGED), **(settings or {})})
        origin = f"http://127.0.0.1:{port}"
        page = browser.new_context(**context).new_page()
        page.on("request", lambda each: faults.append(each.url) if not _own(each.url, origin) else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Content Security" in line.text else None)
        page.goto(origin)
        page.wait_for_selector(ready)
        pages.append(page)
        return page

    yield open_
    for page in pages:
        page.context.close()
    assert faults == []


def _own(url: str, origin: str) -> bool:
    return url.startswith((origin + "/", f"blob:{origin}/", "data:image/svg+xml"))


@pytest.fixture
def portrait(tmp_path: Path, astronaut: NDArray[np.uint8]) -> Path:
    path = tmp_path / "portrait.jpg"
    Image.fromarray(astronaut).save(path, quality=92)
    return path
