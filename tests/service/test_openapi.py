"""The OpenAPI document, held against the service by schemathesis."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from PIL import Image
from schemathesis.core.result import Ok

from censor.service.problems import KINDS


def _file(kind: str, size: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(size).integers(0, 255, (size, size, 3), np.uint8)
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


PICTURES = st.sampled_from([_file(kind, size) for kind in ("PNG", "JPEG", "WEBP") for size in (1, 17)])
"""A schema cannot say "a picture": these stand for valid bodies."""

TAKEN = ("jpeg", "png", "webp", "avif", "heic", "tiff", "bmp", "gif")

schemathesis.openapi.format("binary", PICTURES)
for _media_type in (*(f"image/{kind}" for kind in TAKEN), "application/octet-stream"):
    schemathesis.openapi.media_type(_media_type, PICTURES)


def test_schemathesis_finds_nothing(started: Callable[..., httpx.Client]) -> None:
    client = started()
    schema = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
    seen = set()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        seen.add(f"{operation.method.upper()} {operation.path}")
        _probe(operation)
    assert seen == {
        "POST /v1/censor", "POST /v1/check", "GET /v1/labels", "GET /v1/policies", "GET /healthz", "GET /readyz",
        "GET /problems/{name}",
    }  # fmt: skip


def _probe(operation: schemathesis.APIOperation[Any, Any, Any, Any]) -> None:
    for mode in schemathesis.GenerationMode:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=25, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None)
        def probe(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate()

        # Of an operation that takes nothing there is no wrong call.
        with contextlib.suppress(*([Unsatisfiable] if mode == schemathesis.GenerationMode.NEGATIVE else [])):
            probe()


def test_an_answer_without_a_verdict_is_described(
    started: Callable[..., httpx.Client], scene_png: bytes, tmp_path: Path
) -> None:
    (tmp_path / "hide.toml").write_text("[labels.FEMALE_BREAST_EXPOSED]\ncensor_at = 0.2\n")
    client = started(policies=tmp_path, policy="hide")
    schema = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
    headers = {"content-type": "image/png", "accept": "application/json"}
    response = client.post("/v1/censor", content=scene_png, headers=headers)
    assert response.json()["verdict"] is None
    schema["/v1/censor"]["POST"].validate_response(response)


def test_the_document_describes_every_problem(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    text = json.dumps(document)
    for name in KINDS:
        assert f"/problems/{name}" in text
    assert "$ref" not in text  # to FastAPI's own errors, which are never sent
    assert "422" not in document["paths"]["/problems/{name}"]["get"]["responses"]
    for path in ("/v1/censor", "/v1/check"):
        body = document["paths"][path]["post"]["requestBody"]["content"]
        assert set(body) == {"multipart/form-data", "application/octet-stream", *(f"image/{kind}" for kind in TAKEN)}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            if path.startswith("/v1/"):
                ok = operation["responses"]["200"]["content"]["application/json"]
                assert ok["example"]
