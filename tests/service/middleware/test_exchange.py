"""Keys, headers, CORS, metrics, logs and readiness: what surrounds the pictures."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import io
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
from fakes import OTHERS, RedFinder
from PIL import Image
from pydantic import SecretStr, ValidationError

from censor.service import Settings, create_app
from censor.service.logs import CONFIG, JsonFormatter
from censor.service.policies import Policies
from censor.service.problems import KINDS, Problem
from detect.detections import Detections, RGBImage

PNG = {"content-type": "image/png"}


def test_without_keys_everybody_may_call(client: httpx.Client) -> None:
    assert client.get("/v1/labels").status_code == 200


def test_with_keys_only_their_bearers_may(
    started: Callable[..., httpx.Client], scene_png: bytes, tmp_path: Path
) -> None:
    (tmp_path / "keys").write_text("# ours\n\nthird-key\n")
    client = started(api_keys="first-key, second-key", api_keys_file=tmp_path / "keys")
    for key in ("first-key", "second-key", "third-key"):
        headers = {**PNG, "authorization": f"Bearer {key}"}
        assert client.post("/v1/censor", content=scene_png, headers=headers).status_code == 200
        assert client.get("/v1/labels", headers={"authorization": f"bearer {key}"}).status_code == 200
    wrong = [
        "",
        "first-key",
        "Bearer",
        "Bearer first",
        "Bearer first-key2",
        "Basic first-key",
        "Bearer # ours",
    ]
    for value in wrong:
        refused = client.post("/v1/censor", content=scene_png, headers={**PNG, "authorization": value})
        assert refused.status_code == 401
        assert refused.json()["type"] == "/problems/unauthorized"
        assert refused.headers["www-authenticate"] == "Bearer"
    assert client.get("/v1/nonsense").status_code == 404  # nothing is there to be guarded
    for path in ("/", "/healthz", "/readyz", "/metrics", "/openapi.json"):
        assert client.get(path).status_code == 200
    document = client.get("/openapi.json").json()
    assert document["paths"]["/v1/censor"]["post"]["security"] == [{"key": []}]


def test_a_file_without_keys_lets_nobody_start(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# none yet\n")
    with pytest.raises(ValueError, match="holds no API key"):
        create_app(Settings(api_keys_file=tmp_path / "keys"))
    with pytest.raises(ValueError, match="cannot be read"):
        create_app(Settings(api_keys_file=tmp_path / "missing"))


@pytest.mark.parametrize("key", ["schlüssel", "\ufeffkey", "key\x00key", "ключ", "key\tkey"])
def test_keys_that_no_header_can_hold_let_nobody_start(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="CENSOR_API_KEYS: an API key must be of printable ASCII") as refused:
        create_app(Settings(api_keys=SecretStr(f"plain-key, {key}")))
    assert key not in str(refused.value)
    path = tmp_path / "keys"
    path.write_text(f"# für uns\nplain-key\n{key}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 3: an API key must be")) as refused:
        create_app(Settings(api_keys_file=path))
    assert key not in str(refused.value)
    path.write_bytes(b"# f\xfcr uns\nschl\xfcssel\n")  # not even UTF-8
    with pytest.raises(ValueError, match="line 2: an API key must be") as refused:
        create_app(Settings(api_keys_file=path))
    assert "schl" not in str(refused.value)
    path.write_bytes(b"# f\xfcr uns\nplain key!~\n")
    assert Settings(api_keys_file=path).key_digests() == (hashlib.sha256(b"plain key!~").digest(),)


def test_settings_come_from_the_environment_and_never_show_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENSOR_MAX_BYTES", "123")
    monkeypatch.setenv("CENSOR_API_KEYS", "hush")
    monkeypatch.setenv("CENSOR_CORS_ORIGINS", "https://a.example, https://b.example")
    settings = Settings(workers=2, in_flight=3)
    assert settings.max_bytes == 123
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.key_digests() == (hashlib.sha256(b"hush").digest(),)
    assert "hush" not in repr(settings)
    assert settings.at_once == 3
    assert settings.detector_threads == 1
    assert settings.host == "127.0.0.1"
    monkeypatch.setenv("CENSOR_MAX_BYTES", "0")
    with pytest.raises(ValidationError):
        Settings()


@pytest.mark.parametrize("path", ["/", "/v1/labels", "/healthz", "/nonsense", "/openapi.json", "/page/app.js"])
def test_every_answer_has_the_security_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


def test_cors_is_off_unless_configured(started: Callable[..., httpx.Client]) -> None:
    ask = {"origin": "https://a.example", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in started().options("/v1/censor", headers=ask).headers
    client = started(cors_origins="https://a.example", api_keys="key")
    assert client.options("/v1/censor", headers=ask).headers["access-control-allow-origin"] == "https://a.example"
    other = client.options("/v1/censor", headers={**ask, "origin": "https://b.example"})
    assert "access-control-allow-origin" not in other.headers
    refused = client.get("/v1/labels", headers={"origin": "https://a.example"})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://a.example"


def test_metrics_count_what_happened(client: httpx.Client, scene_png: bytes) -> None:
    client.post("/v1/censor", content=scene_png, headers=PNG)
    client.post("/v1/check", content=scene_png, headers=PNG)
    client.post("/v1/check", content=b"nonsense", headers=PNG)
    client.get("/whatever/somebody/tries")
    text = client.get("/metrics").text
    for line in (
        'censor_requests_total{outcome="ok",route="/v1/censor"} 1.0',
        'censor_requests_total{outcome="not-a-picture",route="/v1/check"} 1.0',
        'censor_requests_total{outcome="not-found",route="other"} 1.0',
        'censor_verdicts_total{level="nsfw"} 2.0',
        "censor_pictures_total 2.0",
        "censor_pixels_total 38400.0",
        "censor_regions_total 1.0",
        "censor_queue_depth 0.0",
        "censor_workers 1.0",
    ):
        assert line in text
    for stage in ("receive", "wait", "decode", "detect", "hide", "recheck", "encode"):
        assert f'censor_stage_seconds_count{{stage="{stage}"}}' in text
    assert re.search(r"^censor_resident_bytes [1-9]", text, re.MULTILINE)
    assert "tries" not in text


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    loggers = [logging.getLogger(name) for name in CONFIG["loggers"]]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    yield stream
    for logger in loggers:
        logger.removeHandler(handler)


def test_logs_are_json_and_hold_nothing_of_the_client(
    started: Callable[..., httpx.Client], scene_png: bytes, log: io.StringIO
) -> None:
    class Telltale(RedFinder):
        def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
            if images[0].shape[0] == 40:
                raise RuntimeError("grandma.png")
            return super().detect(images)

    client = started(Telltale(others=OTHERS), api_keys="hush-hush")
    keys = {"authorization": "Bearer hush-hush"}
    client.post("/v1/censor?policy=grandma.png", content=scene_png, headers={**PNG, **keys})
    client.post("/v1/censor", files={"file": ("grandma.png", scene_png)}, headers=keys)
    client.post("/v1/censor", files={"file": ("grandma.png", b"grandma.png")}, headers=keys)
    client.post("/v1/censor", files={"file": ("grandma.png", scene_png)}, data={"grandma.png": "1"}, headers=keys)
    client.get("/grandma.png", headers={"authorization": "Bearer grandma.png"})
    small = io.BytesIO()
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(small, "PNG")
    client.post("/v1/censor", files={"file": ("grandma.png", small.getvalue())}, headers=keys)
    while log.getvalue().count('"request"') < 6:  # a request is logged once its answer has gone out
        time.sleep(0.01)
    text = log.getvalue()
    assert "grandma" not in text
    assert "hush" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [line["status"] for line in requests] == [422, 200, 422, 422, 404, 500]
    assert requests[1]["verdict"] == "nsfw"
    assert requests[1]["stages_ms"]["detect"] >= 0
    (failed,) = [line for line in lines if line["event"] == "failed"]
    assert failed["error"]["type"] == "DetectorError"
    assert any("pipeline.py" in place for place in failed["error"]["at"])


def test_every_503_says_when_to_ask_again_and_so_does_a_job_that_is_not_done() -> None:
    told = {name for name in KINDS if "retry-after" in Problem(name).response().headers}
    assert told == {name for name, kind in KINDS.items() if kind.status == 503} | {"not-done"}


def test_exceptions_in_logs_lose_their_words() -> None:
    with pytest.raises(Problem) as caught:
        Policies({}, "default").named("grandma.png")
    error = caught.value
    record = logging.LogRecord("x", 40, "f", 1, "broke", (), (type(error), error, error.__traceback__))
    line = json.loads(JsonFormatter().format(record))
    assert line["error"]["type"] == "Problem"
    assert "policies.py" in line["error"]["at"][-1]
    assert "grandma" not in json.dumps(line)


def test_what_asyncio_says_of_an_exception_is_not_quoted(log: io.StringIO) -> None:
    async def lose_a_failure() -> None:
        task = asyncio.get_running_loop().create_future()
        task.set_exception(Problem("unknown-label", "grandma.png"))
        del task
        gc.collect()

    asyncio.run(lose_a_failure())
    events = [json.loads(line)["event"] for line in log.getvalue().splitlines()]
    assert events == ["Future exception was never retrieved"]
    assert "grandma" not in log.getvalue()


def test_ready_is_more_than_alive(started: Callable[..., httpx.Client]) -> None:
    class Sick(RedFinder):
        def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
            raise RuntimeError("no")

    client = started(Sick(others=OTHERS))
    assert client.get("/healthz").json() == {"status": "alive"}
    refused = client.get("/readyz")
    assert refused.status_code == 503
    assert refused.json()["type"] == "/problems/not-ready"
    assert refused.headers["retry-after"] == "5"
    well = started()
    assert well.get("/readyz").json() == {"status": "ready"}
    assert well.get("/readyz").status_code == 200
