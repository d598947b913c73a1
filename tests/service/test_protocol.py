"""Below HTTP: what is malformed, ambiguous, too much or left unread, over real connections."""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

from censor.service.server import PatientProtocol

POST = b"POST /v1/check HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def exchange(port: int, *sent: bytes, pause: float = 0.0) -> bytes:
    """What comes back until the service closes the connection."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            for part in sent:
                connection.sendall(part)
                time.sleep(pause)
            while part := connection.recv(65_536):
                answer += part
        except ConnectionError:
            pass
    return answer


def problem(answer: bytes) -> tuple[int, str]:
    """Status and type of the one answer that came."""

    class Bytes:
        def makefile(self, *_: Any) -> io.BytesIO:
            return io.BytesIO(answer)

    response = http.client.HTTPResponse(Bytes())  # type: ignore[arg-type]
    response.begin()
    assert response.headers["content-type"] == "application/problem+json"
    return response.status, httpx.Response(200, content=response.read()).json()["type"].removeprefix("/problems/")


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",  # no host
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX y: z\r\n\r\n",
        POST + b"Content-Length: nonsense\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        POST + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_problem_and_the_end(listening: Callable[..., int], sent: bytes) -> None:
    port = listening()
    answer = exchange(port, sent)
    assert problem(answer) == (400, "malformed-request")
    assert b"connection: close" in answer.lower()
    assert answer.count(b"HTTP/1.1 ") == 1  # nothing that followed was taken for a request
    assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200


def test_a_body_that_breaks_off_after_it_was_refused(listening: Callable[..., int]) -> None:
    header = POST.replace(b"image/png", b"text/plain") + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    port = listening()
    assert problem(exchange(port, header, b"nonsense\r\n", pause=0.1)) == (415, "unsupported-media-type")
    assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200


def test_trailers_are_read_and_forgotten(listening: Callable[..., int], scene_png: bytes) -> None:
    body = b"%x\r\n" % len(scene_png) + scene_png + b"\r\n0\r\nX-Trailer: yes\r\nContent-Length: 5\r\n\r\n"
    answer = exchange(listening(), POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 200")


def test_requests_in_a_row_are_answered_in_their_order(listening: Callable[..., int], scene_png: bytes) -> None:
    length = b"Content-Length: %d\r\n" % len(scene_png)
    last = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    sent = (POST + length + b"\r\n" + scene_png) * 2 + b"GET /nonsense HTTP/1.1\r\nHost: localhost\r\n\r\n" + last
    answer = exchange(listening(), sent)
    assert [each[:3] for each in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"404", b"200"]


def test_who_asks_before_sending_is_told(listening: Callable[..., int], scene_png: bytes) -> None:
    port = listening(max_bytes=100_000, api_keys="key")
    expect, key = b"Expect: 100-continue\r\nConnection: close\r\n", b"Authorization: Bearer key\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(scene_png)
    assert problem(exchange(port, POST + expect + length)) == (401, "unauthorized")
    large = POST + expect + key + b"Content-Length: 100001\r\n\r\n"
    assert problem(exchange(port, large)) == (413, "too-large")
    answer = exchange(port, POST + expect + key + length, scene_png, pause=0.1)
    assert answer.startswith((b"HTTP/1.1 100 \r\n", b"HTTP/1.1 100 Continue\r\n"))
    assert b"HTTP/1.1 200" in answer


def test_too_many_connections_get_a_problem_that_says_when_to_come_back(
    listening: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("censor.service.server._CONNECTIONS", 3)
    port = listening()
    ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    time.sleep(0.1)
    answer = exchange(port, ask)
    assert problem(answer) == (503, "busy")
    assert b"retry-after: " in answer.lower()
    for each in idle:
        each.close()
    end = time.monotonic() + 10
    while not exchange(port, ask.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 200"):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_answer_that_nobody_reads_is_cut_off(listening: Callable[..., int], encoded: Callable[..., bytes]) -> None:
    port = listening(upload_seconds=0.5)
    data = encoded(np.zeros((2500, 2500, 3), np.uint8), "PNG")
    header = POST.replace(b"/v1/check", b"/v1/censor?format=bmp") + b"Content-Length: %d\r\n\r\n" % len(data)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.sendall(header + data)
        metrics = f"http://127.0.0.1:{port}/metrics"
        end = time.monotonic() + 10
        while 'outcome="client-slow"' not in (text := httpx.get(metrics, trust_env=False).text):
            assert time.monotonic() < end
            time.sleep(0.1)
        assert "censor_upload_bytes_held 0.0" in text
        connection.settimeout(5)
        with pytest.raises(ConnectionResetError):  # cut, not closed with the rest still to come
            read_all(connection)


def read_all(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


@pytest.mark.parametrize(("closing", "left", "called"), [(False, 0, "close"), (False, 1, "abort"), (True, 1, "abort")])
def test_no_connection_waits_for_a_client_that_does_not_read(closing: bool, left: int, called: str) -> None:
    """What closes waits until all has been read: where that does not come about in time, it is cut."""
    calls: list[str] = []
    protocol = PatientProtocol.__new__(PatientProtocol)
    protocol.transport = SimpleNamespace(
        is_closing=lambda: closing,
        get_write_buffer_size=lambda: left,
        close=lambda: calls.append("close"),
        abort=lambda: calls.append("abort"),
        get_extra_info=lambda _: SimpleNamespace(setsockopt=lambda *_: None),
    )  # type: ignore[assignment]
    protocol._give_up()
    assert calls == [called]
