"""Uploads with a secret in a side channel and in all that is said beside them: no answer, log line or figure has it."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from fakes import finder
from leaks.carrier import Carrier
from leaks.carriers import CARRIERS
from leaks.search import SECRET, finds
from numpy.typing import NDArray

from censor.service.logs import CONFIG

SAID = SECRET.decode()


def answers(client: httpx.Client, carrier: Carrier, data: bytes, kind: str) -> list[bytes]:
    """Heads and bodies of the answers to an upload, bare and in a form, to be censored and to be checked."""
    bare = {"content-type": "application/octet-stream"}
    form: dict[str, Any] = {"files": {"file": (f"{SAID}{carrier.suffix}", data)}, "data": {"format": kind}}
    responses = [
        client.post(f"/v1/censor?format={kind}", content=data, headers=bare),
        client.post("/v1/censor", headers={"accept": "application/json"}, **form),
        client.post("/v1/check", content=data, headers={**bare, "x-secret": SAID, "user-agent": SAID}),
    ]
    found = []
    for response in responses:
        header = " ".join(f"{name}: {value}" for name, value in response.headers.items())
        found += [header.encode(), response.content]
        if "json" in response.headers["content-type"]:
            strings = [each for each in json.loads(response.content).values() if isinstance(each, str)]
            found += [base64.b64decode(each + "===") for each in strings if len(each) > 500]
    return found


def come_out(
    client: httpx.Client, carriers: list[Carrier], kinds: list[str], pixels: NDArray[np.uint8]
) -> dict[str, list[str]]:
    """What came out of any carrier, whole or cut short."""
    found = {}
    for carrier in carriers:
        data = carrier.make(pixels)
        for kind in kinds:
            for sent in (data, data[: len(data) * 2 // 3]):
                for answer in answers(client, carrier, sent, kind):
                    if seen := finds(answer, {SECRET, *carrier.secrets}):
                        found[f"{carrier.name} as {kind}"] = seen
    return found


def check(
    started: Callable[..., httpx.Client], carriers: list[Carrier], kinds: list[str], pixels: NDArray[np.uint8],
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO)  # as `censor serve` logs
    for name in CONFIG["loggers"]:  # a test before this may have had it set them up, in this process
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    client = started(finder())
    assert come_out(client, carriers, kinds, pixels) == {}
    assert client.get(f"/{SAID}?{SAID}={SAID}").status_code == 404
    figures = client.get("/metrics").content
    assert b"censor_" in figures
    # httpx, in this process too, says which addresses it asks.
    logged = [record.getMessage() + repr(record.__dict__) for record in caplog.records if record.name[:4] != "http"]
    assert any("censor" in each for each in logged)
    secrets = {SECRET, *(secret for carrier in carriers for secret in carrier.secrets)}
    for said in (figures, "\n".join(logged).encode(), "".join(capfd.readouterr()).encode()):
        assert finds(said, secrets) == []


def test_a_secret_does_not_come_out_of_the_service(
    started: Callable[..., httpx.Client], photo: NDArray[np.uint8], caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    check(started, CARRIERS[::12], ["png"], photo, caplog, capfd, monkeypatch)


@pytest.mark.slow
def test_no_secret_comes_out_of_the_service(
    started: Callable[..., httpx.Client], photo: NDArray[np.uint8], caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    kinds = ["png", "jpeg", "webp", "avif", "heic", "tiff", "bmp", "gif"]
    check(started, CARRIERS, kinds, photo, caplog, capfd, monkeypatch)
