"""Uploads that stand still and readers who do not read, against a service as people start it: others are served."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

import httpx
import numpy as np
import pytest
from fakes import FACES_JUDGED
from numpy.typing import NDArray
from serving import Serving

REQUEST = b"POST /v1/censor%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"

MB = 10**6


@pytest.fixture
def portrait(astronaut: NDArray[np.uint8], encoded: Callable[..., bytes]) -> bytes:
    return encoded(astronaut, "JPEG", quality=92)


def connect(stack: contextlib.ExitStack, port: int) -> socket.socket:
    connection = stack.enter_context(socket.socket())
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", port))
    return connection


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def held(client: httpx.Client) -> float:
    (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith("censor_upload_bytes_held")]
    return float(line.split()[1])


def outcomes(client: httpx.Client, outcome: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[1]) for line in lines if f'_total{{outcome="{outcome}"' in line)


def test_thirteen_uploads_that_stand_still_and_three_readers_who_do_not_read(
    serving: Callable[..., Serving], portrait: bytes, encoded: Callable[..., bytes]
) -> None:
    """They would take all the memory that there is, and no pace on average would end them for minutes."""
    served = serving(
        "--policy", str(FACES_JUDGED), "--workers", "2", "--upload-seconds", "9", "--max-bytes", str(2 * MB),
        "--upload-memory", str(30 * MB), "--upload-rate", "1000",
    )  # fmt: skip
    served.started()
    served.workers(2)
    port = int(served.url.rpartition(":")[2])
    blank = encoded(np.full((1000, 2000, 3), 90, np.uint8), "PNG")  # 6 MB as BMP
    with contextlib.ExitStack() as stack, httpx.Client(base_url=served.url, timeout=20, trust_env=False) as client:
        for _ in range(3):
            connect(stack, port).sendall(REQUEST % (b"?format=bmp", len(blank)) + blank)
        wait_until(lambda: held(client) > 18 * MB)
        for _ in range(13):
            connect(stack, port).sendall(REQUEST % (b"", 2 * MB) + bytes(2 * MB - 100_000))
        wait_until(lambda: held(client) > 24 * MB or outcomes(client, "busy") > 0)
        seconds, refused = [], 0
        for _ in range(8):
            begin = time.monotonic()
            response = client.post("/v1/censor", content=portrait, headers={"content-type": "image/jpeg"})
            while response.status_code == 503 and time.monotonic() < begin + 5:  # nobody has stood still for long yet
                refused += 1
                time.sleep(int(response.headers["retry-after"]))
                response = client.post("/v1/censor", content=portrait, headers={"content-type": "image/jpeg"})
            seconds.append(time.monotonic() - begin)
            assert response.status_code == 200, response.text
        assert max(seconds) < 8
        wait_until(lambda: held(client) == 0)
        assert outcomes(client, "client-slow") == 3
        assert outcomes(client, "upload-timeout") + outcomes(client, "busy") == 13 + refused


def test_who_stands_still_gives_way_when_others_need_the_memory(
    serving: Callable[..., Serving], portrait: bytes
) -> None:
    """Long before its own time is up."""
    served = serving(
        "--policy", str(FACES_JUDGED), "--workers", "1", "--upload-seconds", "60", "--max-bytes", str(2 * MB),
        "--upload-memory", str(4 * MB),
    )  # fmt: skip
    served.started()
    served.workers(1)
    port = int(served.url.rpartition(":")[2])
    with contextlib.ExitStack() as stack, httpx.Client(base_url=served.url, timeout=20, trust_env=False) as client:
        first, second = connect(stack, port), connect(stack, port)
        stalled = REQUEST % (b"", 2 * MB) + bytes(2 * MB - 10_000)
        first.sendall(stalled)
        wait_until(lambda: held(client) > 1.95 * MB)  # else nobody knows which of them stands still for longer
        second.sendall(stalled)
        wait_until(lambda: held(client) > 3.9 * MB)
        time.sleep(1.2)
        response = client.post("/v1/censor", content=portrait, headers={"content-type": "image/jpeg"})
        assert response.status_code == 200
        wait_until(lambda: outcomes(client, "upload-timeout") == 1)  # one was enough
        assert first.recv(100).startswith(b"HTTP/1.1 408")  # who stood still for longest


def test_large_answers_in_flight_are_counted_and_refused_beyond_the_limit(
    serving: Callable[..., Serving], encoded: Callable[..., bytes]
) -> None:
    served = serving(
        "--policy", str(FACES_JUDGED), "--workers", "1", "--upload-seconds", "30", "--upload-memory", str(15 * MB)
    )
    served.started()
    served.workers(1)
    port = int(served.url.rpartition(":")[2])
    blank = encoded(np.full((1000, 2000, 3), 90, np.uint8), "PNG")  # 6 MB as BMP, 8 MB in base64
    asked = (REQUEST % (b"?format=bmp", len(blank))).replace(b"\r\n\r\n", b"\r\nAccept: application/json\r\n\r\n")
    with contextlib.ExitStack() as stack, httpx.Client(base_url=served.url, timeout=20, trust_env=False) as client:
        for _ in range(2):
            connect(stack, port).sendall(asked + blank)
        wait_until(lambda: held(client) > 12 * MB)
        assert held(client) < 12.1 * MB  # neither base64 nor JSON is held
        large = encoded(np.full((1000, 6000, 3), 90, np.uint8), "PNG")  # 18 MB as BMP, more than there may be
        response = client.post("/v1/censor?format=bmp", content=large, headers={"content-type": "image/png"})
        assert response.status_code == 503
        assert response.json()["type"] == "/problems/busy"
        assert int(response.headers["retry-after"]) >= 1
        response = client.post("/v1/censor?format=png", content=large, headers={"content-type": "image/png"})
        assert response.status_code == 200  # the worker that was refused works on
