"""The names that the service may be called by."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable

import httpx
import pytest
from pydantic import ValidationError

from censor.service import Settings
from censor.service.logs import JsonFormatter

PNG = {"content-type": "image/png"}


def status(client: httpx.Client, host: str, path: str = "/v1/labels") -> int:
    return client.get(path, headers={"host": host}).status_code


@pytest.mark.parametrize("listening", ["127.0.0.1", "127.0.0.3", "localhost", "::1", "[::1]", "0:0:0:0:0:0:0:1"])
def test_a_loopback_address_answers_to_names_of_this_machine_alone(listening: str) -> None:
    hosts = Settings(host=listening).hosts
    assert set(hosts) - {"127.0.0.3"} == {"localhost", "*.localhost", "127.0.0.1", "::1"}
    assert ("127.0.0.3" in hosts) == (listening == "127.0.0.3")


@pytest.mark.parametrize("listening", ["0.0.0.0", "::", "192.168.0.7", "censor.example", "localhost.example", ""])  # noqa: S104
def test_any_other_address_answers_to_every_name_unless_names_are_given(listening: str) -> None:
    assert Settings(host=listening).hosts == ("*",)
    assert Settings.model_validate({"host": listening, "allowed_hosts": "a.example"}).hosts == ("a.example",)


def test_as_it_comes_it_answers_to_this_machine(client: httpx.Client) -> None:
    port = client.base_url.port
    here = ["localhost", "LocalHost", f"localhost:{port}", "localhost:", "a.localhost:1", f"127.0.0.1:{port}", "[::1]"]
    for host in [*here, f"[::1]:{port}", "[0:0:0:0:0:0:0:1]"]:
        assert status(client, host) == 200, host
    for host in (
        "rebound.example", f"rebound.example:{port}", "localhost.example", "notlocalhost", ".localhost.example",
        "127.0.0.1.nip.io", "127.0.0.2", "192.168.0.7", "localhost:1:2", "localhost@rebound.example", "localhost.",
        "::1", "[::1", "[localhost]", "localhost, rebound.example", "", "*",
    ):  # fmt: skip
        assert status(client, host) == 421, host


def test_names_that_are_given_are_taken_and_no_others(started: Callable[..., httpx.Client]) -> None:
    client = started(allowed_hosts="Censor.example, *.inside.example, 192.168.0.7, [fe80::1]")
    for host in ("censor.example", "censor.example:443", "a.inside.example", "b.a.inside.example", "192.168.0.7:80"):
        assert status(client, host) == 200, host
    assert status(client, "[fe80::1]:80") == 200
    for host in ("localhost", "127.0.0.1", "inside.example", "xinside.example", "www.censor.example", "example"):
        assert status(client, host) == 421, host
    assert status(started(allowed_hosts="*"), "rebound.example") == 200


@pytest.mark.parametrize("wrong", ["https://a.example", "a.example:80", "*a.example", "a.*", "a..b", "*.", "**", "a b"])
def test_a_pattern_that_would_match_nothing_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENSOR_ALLOWED_HOSTS", f"good.example,{wrong}")
    with pytest.raises(ValidationError, match="a host is a name, an address"):
        Settings()


def test_a_refusal_is_a_problem_that_is_counted_and_logged_without_the_name(
    client: httpx.Client, scene_png: bytes
) -> None:
    stream, logger = io.StringIO(), logging.getLogger("censor")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        host = {"host": "rebound.example"}
        refused = client.post("/v1/censor", content=scene_png, headers={**PNG, **host})
        text = client.get("/metrics").text
    finally:
        logger.removeHandler(handler)
    assert refused.status_code == 421
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "/problems/unknown-host"
    assert refused.headers["x-frame-options"] == "DENY"
    assert "rebound" not in refused.text
    assert 'censor_requests_total{outcome="unknown-host",route="/v1/censor"} 1.0' in text
    assert "censor_pictures_total 0.0" in text
    assert "rebound" not in stream.getvalue()
    first = json.loads(stream.getvalue().splitlines()[0])
    assert (first["status"], first["outcome"]) == (421, "unknown-host")


def test_the_page_and_cors_and_head_are_behind_it(started: Callable[..., httpx.Client]) -> None:
    client = started(cors_origins="https://a.example", api_keys="key")
    host = {"host": "rebound.example"}
    for path in ("/", "/page/app.js", "/metrics", "/openapi.json", "/problems/busy", "/nonsense", "/v1/labels"):
        assert client.get(path, headers=host).status_code == 421
        assert client.head(path, headers=host).status_code == 421
    ask = {**host, "origin": "https://a.example", "access-control-request-method": "POST"}
    assert client.options("/v1/censor", headers=ask).status_code == 421


def test_health_is_told_under_any_name(client: httpx.Client) -> None:
    for path in ("/healthz", "/readyz"):
        assert status(client, "10.1.2.3:8000", path) == 200
        assert client.head(path, headers={"host": "10.1.2.3"}).status_code == 200
    assert status(client, "10.1.2.3", "/healthz/") == 421
