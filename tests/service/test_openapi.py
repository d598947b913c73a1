"""The OpenAPI document, held against the service by schemathesis."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import openapi_spec_validator
import pytest
import schemathesis
from animations import encoded, red_square
from fakes import Moody
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from paged import pages
from PIL import Image
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from censor.policy import EFFECTS, SHAPES
from censor.service import Settings
from censor.service.answers import TYPES
from censor.service.problems import KINDS
from detect.pictures.formats import SUFFIXES


def _file(kind: str, size: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(size).integers(0, 255, (size, size, 3), np.uint8)
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


ROOT = Path(__file__).parent.parent.parent

PICTURES = st.sampled_from([_file(kind, size) for kind in ("PNG", "JPEG", "WEBP") for size in (1, 17)])
"""A schema cannot say "a picture": these stand for valid bodies."""

TAKEN = tuple(dict.fromkeys(TYPES.values()))

schemathesis.openapi.format("binary", PICTURES)
for _media_type in (*TAKEN, "application/octet-stream"):
    schemathesis.openapi.media_type(_media_type, PICTURES)


def test_schemathesis_finds_nothing(started: Callable[..., httpx.Client]) -> None:
    client = started(jobs=1024)  # nobody fetches what comes of them
    schema = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
    seen = set()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        seen.add(f"{operation.method.upper()} {operation.path}")
        _probe(operation)
    assert seen == {
        "POST /v1/censor", "POST /v1/check", "GET /v1/labels", "GET /v1/policies", "GET /v1/options", "GET /healthz",
        "GET /readyz", "GET /problems/{name}", "POST /v1/jobs", "GET /v1/jobs/{name}", "DELETE /v1/jobs/{name}",
        "GET /v1/jobs/{name}/result",
    }  # fmt: skip


def _probe(operation: schemathesis.APIOperation[Any, Any, Any, Any]) -> None:
    for mode in schemathesis.GenerationMode:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=25, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None)
        def probe(case: schemathesis.Case[Any]) -> None:
            # No schema says that a check takes no options of what is hidden.
            unsaid: list[Any] = [positive_data_acceptance] if operation.path == "/v1/jobs" else []
            case.call_and_validate(excluded_checks=unsaid)

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
    assert "ValidationError" not in text  # FastAPI's own, which is never sent
    for path in ("/problems/{name}", "/v1/jobs/{name}"):
        assert "422" not in document["paths"][path]["get"]["responses"]
    for path in ("/v1/censor", "/v1/check", "/v1/jobs"):
        body = document["paths"][path]["post"]["requestBody"]["content"]
        assert set(body) == {"multipart/form-data", "application/octet-stream", *TAKEN}


def test_it_is_valid_openapi_and_so_are_its_examples(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1.")
    openapi_spec_validator.validate(document, cls=openapi_spec_validator.OpenAPIV31SpecValidator)
    examples = 0
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            matches(document, {"$ref": f"#/components/schemas/{name}"}, example)
            examples += 1
    for _, _, status, content in contents(document):
        for kind, each in content.items():
            for example in each.get("examples", {}).values():
                matches(document, each["schema"], example["value"])
                assert str(example["value"]["status"]) == status
                assert kind == "application/problem+json"
                examples += 1
    assert examples > 40


def contents(document: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Path, method, status and content of every answer."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                yield path, method, status, response.get("content", {})


def matches(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Hold a value against a schema of the document, with no member that the schema does not name."""
    whole = {**copy.deepcopy(schema), "components": copy.deepcopy(document["components"])}
    for each in whole["components"]["schemas"].values():
        each.setdefault("additionalProperties", False)
    jsonschema.Draft202012Validator(whole).validate(value)


def answered(client: httpx.Client, document: dict[str, Any], method: str, path: str, **asked: Any) -> httpx.Response:
    """An answer, held against what the document says of it."""
    response = client.request(method, path, **asked)
    template = re.sub(r"(/problems/|/v1/jobs/)[^/]+", r"\1{name}", path.partition("?")[0])
    said = document["paths"][template][method.lower()]["responses"][str(response.status_code)]["content"]
    kind = response.headers["content-type"]
    assert kind in said
    if "json" in kind:
        matches(document, said[kind]["schema"], response.json())
    return response


@pytest.mark.parametrize("path", ["/v1/labels", "/v1/policies", "/v1/options", "/healthz", "/readyz", "/problems/busy"])
def test_listings_are_as_the_document_says(client: httpx.Client, path: str) -> None:
    document = client.get("/openapi.json").json()
    assert answered(client, document, "GET", path).status_code == 200


def test_answers_about_pictures_are_as_the_document_says(
    started: Callable[..., httpx.Client], scene_png: bytes, tmp_path: Path
) -> None:
    (tmp_path / "hide.toml").write_text("[labels.FEMALE_BREAST_EXPOSED]\ncensor_at = 0.2\n")
    client = started(policies=tmp_path)
    document = client.get("/openapi.json").json()
    png, json_ = {"content-type": "image/png"}, {"content-type": "image/png", "accept": "application/json"}
    for path, headers in (("/v1/check", png), ("/v1/censor", png), ("/v1/censor", json_)):
        assert answered(client, document, "POST", path, content=scene_png, headers=headers).status_code == 200
    hidden = answered(client, document, "POST", "/v1/censor?policy=hide", content=scene_png, headers=json_).json()
    assert hidden["hidden"]
    assert hidden["verdict"] is None
    problems: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/check?policy=hide", {"content": scene_png, "headers": png}),
        ("POST", "/v1/check", {"content": scene_png[:-50], "headers": png}),
        ("POST", "/v1/censor", {"content": b"", "headers": png}),
        ("POST", "/v1/censor?cells=9", {"content": scene_png, "headers": png}),
        ("POST", "/v1/censor", {"content": scene_png, "headers": {"content-type": "text/plain"}}),
        ("POST", "/v1/censor", {"content": scene_png, "headers": {**png, "accept": "text/plain"}}),
        ("GET", "/problems/nothing", {}),
        ("GET", "/v1/labels", {"headers": {"host": "elsewhere.example"}}),
    ]
    for method, path, asked in problems:
        assert answered(client, document, method, path, **asked).status_code >= 400


def test_a_member_that_the_document_does_not_name_is_found(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    schema = {"$ref": "#/components/schemas/Checked"}
    (example,) = document["components"]["schemas"]["Checked"]["examples"]
    for wrong in ({**example, "path": "x"}, {**example, "width": 0}, {**example, "boxes": [{"label": "FACE"}]}):
        with pytest.raises(jsonschema.ValidationError):
            matches(document, schema, wrong)


def test_workers_answers_are_held_against_the_models_too(
    started: Callable[..., httpx.Client], scene_png: bytes
) -> None:
    client = started(load=Moody, workers=1)
    document = client.get("/openapi.json").json()
    headers = {"content-type": "image/png", "accept": "application/json"}
    for path in ("/v1/check", "/v1/censor"):
        assert answered(client, document, "POST", path, content=scene_png, headers=headers).status_code == 200


@pytest.mark.parametrize(("kind", "number"), [("GIF", "frames"), ("TIFF", "pages")])
def test_answers_on_many_pictures_are_as_the_document_says(client: httpx.Client, kind: str, number: str) -> None:
    document = client.get("/openapi.json").json()
    pictures = [red_square(8 * each) for each in range(3)]
    moving = pages(pictures) if kind == "TIFF" else encoded(pictures, kind)
    for path in ("/v1/check", "/v1/censor"):
        headers = {"content-type": f"image/{kind.lower()}", "accept": "application/json"}
        told = answered(client, document, "POST", path, content=moving, headers=headers)
        assert (told.status_code, told.json()[number]) == (200, 3)
    for task in ("check", "censor"):
        begun = answered(client, document, "POST", f"/v1/jobs?task={task}", content=moving, headers=headers)
        place = begun.headers["location"]
        while (stands := answered(client, document, "GET", place)).json()["status"] == "working":
            time.sleep(0.02)
        assert stands.json()["status"] == "done"
        told = answered(client, document, "GET", f"{place}/result", headers=headers)
        assert ("picture" in told.json()) == (task == "censor")
        assert answered(client, document, "GET", place).status_code == 404


def test_options_name_what_there_is(client: httpx.Client) -> None:
    told = client.get("/v1/options").json()
    assert {each["name"].upper() for each in told["formats"]} == set(SUFFIXES.values())
    assert all(SUFFIXES[each["suffix"]] == each["name"].upper() for each in told["formats"])
    assert told["formats"][0]["in_browsers"]
    assert [each["name"] for each in told["effects"]] == list(EFFECTS)
    assert [each["name"] for each in told["effects"] if each["cells"]] == ["pixelate", "blur"]
    assert told["shapes"] == list(SHAPES)
    assert told["cells"] == {"minimum": 1, "maximum": 8}
    assert told["limits"] == {"max_bytes": Settings().max_bytes, "max_pixels": Settings().max_pixels}
    parameters = client.get("/openapi.json").json()["paths"]["/v1/censor"]["post"]["parameters"]
    declared = {each["name"]: each["schema"] for each in parameters}
    assert declared["format"]["enum"] == [each["name"] for each in told["formats"]]
    assert declared["replacewith"]["enum"] == list(EFFECTS)
    assert declared["shape"]["enum"] == list(SHAPES)
    assert (declared["cells"]["minimum"], declared["cells"]["maximum"]) == (1, 8)


def test_only_policies_that_judge_are_offered_for_a_verdict(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    offered = {}
    for path in ("/v1/check", "/v1/censor"):
        parameters = {each["name"]: each["schema"] for each in paths[path]["post"]["parameters"]}
        offered[path] = parameters["policy"]["enum"]
    assert offered == {
        "/v1/check": ["default", "strict", "boxes"],
        "/v1/censor": ["default", "strict", "boxes", "faces"],
    }


def test_the_page_lists_nothing_that_it_can_ask_for(client: httpx.Client) -> None:
    told, policies = client.get("/v1/options").json(), client.get("/v1/policies").json()["policies"]
    names = {each["name"] for kind in ("formats", "effects") for each in told[kind]} | {*told["shapes"], "heic"}
    names |= {each["suffix"].strip(".") for each in told["formats"]} | {"mosaic"}
    names |= {each["name"] for each in policies if each["name"] not in ("default", "boxes")}  # ordinary words
    listed = set()
    scripts = [f"/page/{each.name}" for each in (ROOT / "censor" / "service" / "page").glob("*.js")]
    assert len(scripts) > 5
    for path in ("/", *scripts):
        text = re.sub(r"<svg.*?</svg>|//.*", "", client.get(path).text, flags=re.DOTALL if path == "/" else 0)
        listed |= {(path, name) for name in names if re.search(rf"""["'`>.]{name}["'`<,:]""", text, re.IGNORECASE)}
    assert listed == {("/page/boxes.js", "box")}  # not the shape, but a class of the style sheet
