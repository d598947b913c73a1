"""HEAD: what GET would answer, without the body."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import httpx
import pytest
from fakes import finder

from censor.service import Settings, create_app

PATHS = ("/", "/page/app.js", "/healthz", "/readyz", "/v1/labels", "/v1/policies", "/openapi.json", "/problems/busy")


@pytest.mark.parametrize("path", PATHS)
def test_head_answers_as_get_without_the_body(client: httpx.Client, path: str) -> None:
    full, head = client.get(path), client.head(path)
    assert head.status_code == full.status_code == 200
    told = [{name: value for name, value in each.headers.items() if name != "date"} for each in (head, full)]
    assert told[0] == told[1]
    assert int(head.headers["content-length"]) == len(full.content) > 0
    assert head.content == b""


def test_no_byte_follows_and_the_connection_stays(listening: Callable[..., int]) -> None:
    with socket.create_connection(("127.0.0.1", listening())) as connection:
        ask = b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n"
        connection.sendall(ask + b"\r\n" + ask + b"Connection: close\r\n\r\n")
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    first, second, rest = answer.split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200")
    assert rest == b""


def test_whatever_serves_it_gets_no_body() -> None:
    async def ask() -> httpx.Response:
        app = create_app(Settings(), finder())
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.head("/healthz")

    response = asyncio.run(ask())
    assert response.status_code == 200
    assert response.headers["content-length"] == "18"
    assert response.content == b""


def test_what_get_is_refused_head_is_refused(started: Callable[..., httpx.Client]) -> None:
    client = started(api_keys="key")
    for path, status in (("/v1/labels", 401), ("/nonsense", 404), ("/problems/nonsense", 404)):
        assert client.head(path).status_code == client.get(path).status_code == status
    keys = {"authorization": "Bearer key"}
    assert client.head("/v1/labels", headers=keys).status_code == 200
    head = client.head("/v1/censor", headers=keys)
    assert head.status_code == 405
    assert head.headers["allow"] == "POST"
    assert head.content == b""
    refused = client.post("/healthz")
    assert refused.status_code == 405
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert set(client.delete("/v1/labels", headers=keys).headers["allow"].split(", ")) == {"GET", "HEAD"}
    text = client.get("/metrics").text
    assert 'censor_requests_total{outcome="unauthorized",route="/v1/labels"} 2.0' in text
    assert 'censor_requests_total{outcome="not-found",route="other"} 4.0' in text
    assert 'censor_requests_total{outcome="method-not-allowed",route="/v1/censor"} 1.0' in text
