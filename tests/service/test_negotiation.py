"""Which representation a client gets."""

from __future__ import annotations

import asyncio
import base64
import json

import httpx
import pytest

from censor.service.answers import JsonWithPicture
from censor.service.negotiation import preferred
from detect.pictures.formats import MEDIA_TYPES

PNG = {"content-type": "image/png"}

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "image"),
        ("*/*", "image"),
        ("application/json", "json"),
        ("image/*", "image"),
        ("image/png", "image"),
        ("image/*, application/json;q=0.1", "image"),
        ("image/*;q=0.1, application/json", "json"),
        ("image/*;q=0, application/json;q=0.001", "json"),
        ("application/json;q=0", None),
        ("*/*, application/json;q=0", "image"),
        ("*/*;q=0.5, application/json", "json"),
        ("*/*, image/*;q=0.2", "json"),
        ("*/*, image/*;q=0.2, image/png", "image"),
        ("image/*;q=1, image/png;q=0", None),
        ("image/*;q=0.3, image/png;q=0.2, application/*;q=0.25", "json"),
        ("application/json, */*", "image"),
        ("application/json, text/plain, */*;q=0.9", "json"),
        (BROWSER, "image"),
        ("*/*;q=0", None),
        ("text/html", None),
        ("image/jpeg", None),
        ("IMAGE/PNG; Q=0.2 , Application/Json;q=0.1", "image"),
        ("application/json;charset=utf-8, image/png;q=0.9", "json"),
        ('application/json;note="a,b;q=0";q=0.9, image/png;q=0.5', "json"),
        ("application/json ;q=0.1, image/*; q=0.2", "image"),
        ("application/json;q=2, image/png", "image"),
        ("application/json;q=0.1234, image/png", "image"),
        ("application/json;q=, image/png", "image"),
        ("application/json;q=nan, image/png", "image"),
        ("nonsense, /, */png", "image"),
        (",,, application/json ,", "json"),
    ],
)
def test_the_table(accept: str, chosen: str | None) -> None:
    offers = ("image/png", "application/json")
    assert preferred(accept, offers) == {"image": "image/png", "json": "application/json", None: None}[chosen]


def test_among_equals_the_first_is_taken() -> None:
    assert preferred("*/*", ("a/b", "c/d")) == "a/b"
    assert preferred("*/*", ("c/d", "a/b")) == "c/d"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("image/*, application/json;q=0.1", "image/png"),
        ("image/*, application/json;q=0", "image/png"),
        ("application/json, image/*;q=0.9", "application/json"),
        ("image/webp, application/json;q=0.1", "application/json"),  # a PNG is answered with a PNG
    ],
)
def test_over_http(client: httpx.Client, scene_png: bytes, accept: str, kind: str) -> None:
    response = client.post("/v1/censor", content=scene_png, headers={**PNG, "accept": accept})
    assert response.status_code == 200
    assert response.headers["content-type"] == kind
    assert response.headers["vary"] == "accept"


@pytest.mark.parametrize("accept", ["text/html", "image/webp", "application/json;q=0", "*/*;q=0"])
def test_nothing_that_is_accepted(client: httpx.Client, scene_png: bytes, accept: str) -> None:
    response = client.post("/v1/censor", content=scene_png, headers={**PNG, "accept": accept})
    assert response.status_code == 406
    assert response.json()["type"] == "/problems/not-acceptable"
    assert client.post("/v1/check", content=scene_png, headers={**PNG, "accept": accept}).status_code == 200


def test_several_headers_count_together(client: httpx.Client, scene_png: bytes) -> None:
    headers = [("content-type", "image/png"), ("accept", "image/*;q=0.5"), ("accept", "application/json")]
    assert client.post("/v1/censor", content=scene_png, headers=headers).json()["picture"]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 3 * 2**14 - 1, 3 * 2**14, 3 * 2**14 + 1, 200_000])
def test_json_is_made_in_pieces_that_are_whole_together(size: int) -> None:
    encoded = bytes(range(256)) * (size // 256 + 1)
    encoded = encoded[:size]
    response = JsonWithPicture({"name": "é"}, memoryview(encoded), "PNG", {"vary": "accept"})
    sent: list[dict[str, object]] = []

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message)

    async def receive() -> dict[str, object]:
        raise AssertionError

    asyncio.run(response({"type": "http"}, receive, send))
    bodies = [message["body"] for message in sent[1:]]
    assert all(isinstance(body, bytes) and len(body) <= 2**16 for body in bodies)
    body = b"".join(body for body in bodies if isinstance(body, bytes))
    told = json.loads(body)
    assert base64.b64decode(told["picture"]["base64"]) == encoded
    assert told["picture"]["media_type"] == MEDIA_TYPES["PNG"]
    assert told["name"] == "é"
    assert dict(sent[0]["headers"])[b"content-length"] == str(len(body)).encode()  # type: ignore[call-overload]
    assert response.held < size + 100
