"""Under whatever prefix the service is mounted, every check and every limit holds, and nothing slips by in spelling."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fakes import finder
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount

from censor.service import Settings, create_app

PNG = {"content-type": "image/png"}
KEY = {"authorization": "Bearer key"}

WAYS = ("bare", "root_path", "root_path of the application", "starlette", "fastapi", "mounted twice")


def mounted(way: str, service: FastAPI) -> tuple[Any, str, str]:
    """An application, the prefix under which the service is in it, and the root path of its server."""
    if way == "bare":
        return service, "", ""
    if way == "root_path":
        return service, "/x", "/x"
    if way == "root_path of the application":
        service.root_path = "/x"
        return service, "/x", ""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with service.router.lifespan_context(service):
            yield

    if way == "starlette":
        return Starlette(routes=[Mount("/x", service)], lifespan=lifespan), "/x", ""
    parent = FastAPI(lifespan=lifespan)
    if way == "mounted twice":
        between = Starlette(routes=[Mount("/v1", service)])
        parent.mount("/healthz", between)
        return parent, "/healthz/v1", ""
    parent.mount("/x", service)
    return parent, "/x", ""


def asking(way: str, ask: Callable[[httpx.AsyncClient, str], Awaitable[None]], **settings: Any) -> None:
    """Start the service in an application, and ask it something."""

    async def run() -> None:
        app, prefix, root_path = mounted(way, create_app(Settings(**settings), finder()))
        transport = httpx.ASGITransport(app, root_path=root_path)
        lifespan = app.router.lifespan_context(app)
        async with lifespan, httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await ask(client, prefix)

    asyncio.run(run())


SPELLINGS = (
    "/v1/censor", "//v1/censor", "/v1//censor", "/v1/censor/", "/V1/censor", "/v1/CENSOR", "/%76%31/censor",
    "/v1%2Fcensor", "/%2Fv1/censor", "/v1/./censor", "/v1/../v1/censor", "/v1/censor%2f", "/v1/censor;a=b",
    "/v1/censor%20", "/v1/censor%00", "/healthz/../v1/censor", "/x/v1/censor", "/v1/v1/censor",
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_no_spelling_of_a_path_gets_by_without_a_key(way: str, scene_png: bytes) -> None:
    async def ask(client: httpx.AsyncClient, prefix: str) -> None:
        for spelling in SPELLINGS:
            for url in (prefix + spelling, spelling):
                response = await client.post(url, content=scene_png, headers=PNG)
                assert response.status_code in (401, 404, 405), url
        refused = await client.post(f"{prefix}/v1/censor", content=scene_png, headers=PNG)
        assert refused.json()["type"] == "/problems/unauthorized"
        for path in ("labels", "policies"):
            assert (await client.get(f"{prefix}/v1/{path}")).status_code == 401
            assert (await client.head(f"{prefix}/v1/{path}")).status_code == 401
        assert (await client.post(f"{prefix}/v1/check", content=scene_png, headers=PNG)).status_code == 401
        served = await client.post(f"{prefix}/v1/censor", content=scene_png, headers={**PNG, **KEY})
        assert served.headers["censor-regions"] == "1"

    asking(way, ask, api_keys=SecretStr("key"))


@pytest.mark.parametrize("way", WAYS)
def test_limits_hosts_and_counts_are_those_of_the_bare_service(way: str, scene_png: bytes) -> None:
    async def ask(client: httpx.AsyncClient, prefix: str) -> None:
        large = await client.post(f"{prefix}/v1/check", content=bytes(70_000), headers=PNG)
        assert large.json()["type"] == "/problems/too-large"
        stranger = {"host": "rebound.example"}
        for path in ("/v1/labels", "/metrics", "/openapi.json", "/", "/problems/busy"):
            assert (await client.get(prefix + path, headers=stranger)).status_code == 421
        for path in ("/healthz", "/readyz"):
            assert (await client.get(prefix + path, headers=stranger)).status_code == 200
        for path in ("/healthz/", "//healthz", "/healthz/v1/labels"):
            assert (await client.get(prefix + path, headers=stranger)).status_code in (404, 421)
        text = (await client.get(f"{prefix}/metrics")).text
        assert 'censor_requests_total{outcome="too-large",route="/v1/check"} 1.0' in text
        assert 'censor_requests_total{outcome="ok",route="/readyz"} 1.0' in text
        head = await client.head(f"{prefix}/v1/labels")
        assert head.headers["x-content-type-options"] == "nosniff"
        assert int(head.headers["content-length"]) > 0
        document = json.loads((await client.get(f"{prefix}/openapi.json")).content)
        assert "/v1/censor" in document["paths"]

    asking(way, ask, max_bytes=60_000)


def test_one_whose_lifespan_nobody_runs_says_that_it_is_not_ready(scene_png: bytes) -> None:
    async def run() -> None:
        parent = FastAPI()
        parent.mount("/x", create_app(Settings(api_keys=SecretStr("key")), finder()))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(parent), base_url="http://localhost") as client:
            assert (await client.post("/x/v1/censor", content=scene_png, headers=PNG)).status_code == 401
            answer = await client.post("/x/v1/censor", content=scene_png, headers={**PNG, **KEY})
            assert answer.json()["type"] == "/problems/not-ready"
            assert (await client.get("/x/readyz")).status_code == 503

    asyncio.run(run())
