"""What the OpenAPI document says beyond what FastAPI reads off the code: bodies, answers, examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from censor.service.answers import TYPES
from censor.service.policies import Censoring, Judging
from censor.service.problems import KINDS, MEDIA_TYPE, SECOND_LOOK
from censor.service.schemas import Censored, Checked, JobStatus, ProblemDocument

__all__ = [
    "CENSOR",
    "CHECK",
    "JOB",
    "JOB_END",
    "JOB_RESULT",
    "LABELS",
    "OPTIONS",
    "POLICIES",
    "complete",
    "jobs",
    "problems",
]

_JSON = "application/json"
_PROBLEM = "#/components/schemas/ProblemDocument"

_TAKEN = tuple(dict.fromkeys(TYPES.values()))


def problems(*names: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for types of problems, those of one status together."""
    responses: dict[int | str, dict[str, Any]] = {}
    for name in names:
        kind = KINDS[name]
        entry = responses.setdefault(
            kind.status,
            {"description": "", "content": {MEDIA_TYPE: {"schema": {"$ref": _PROBLEM}, "examples": {}}}},
        )
        entry["description"] = f"{entry['description']} {kind.title}.".strip()
        value = {"type": f"/problems/{name}", "title": kind.title, "status": kind.status, "detail": kind.meaning}
        entry["content"][MEDIA_TYPE]["examples"][name] = {"summary": kind.title, "value": value}
        if kind.status == 503:
            entry["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return responses


_UPLOAD_PROBLEMS = [
    name for name in KINDS
    if name not in ("not-found", "no-such-job", "not-done", "method-not-allowed", "not-acceptable", "not-ready")
    and name not in ("cannot-encode", "still-visible", "still-nsfw", "unknown-label", "policy-cannot-judge")
]  # fmt: skip


_OF_WORK = ("time-limit", "worker-died", "detector-failed", "classifier-failed", "memory-limit", "too-large-result")
"""What happens after an upload was received: of a job, its result says it."""


def _request(options: type[Judging]) -> dict[str, Any]:
    """Options in the query string, and a form with the picture and the options, or the bare picture."""
    schema = options.model_json_schema()
    parameters = [
        {"name": name, "in": "query", "required": False, "description": said["description"], "schema": said}
        for name, said in options.model_json_schema()["properties"].items()
    ]
    binary: dict[str, Any] = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {**binary, "description": "The picture, or the film."}, **schema["properties"]},
        "additionalProperties": False,
    }
    bare = {media_type: {"schema": binary} for media_type in (*_TAKEN, "application/octet-stream")}
    body = {"required": True, "content": {"multipart/form-data": {"schema": form}, **bare}}
    return {"parameters": parameters, "requestBody": body}


def _headers() -> dict[str, Any]:
    missing = "Missing if the policy has no rule for a verdict."
    verdict = _nested_schema(Censored, "Verdict")
    return {
        "Censor-Verdict": {
            "schema": verdict["level"],
            "description": f"On the picture as it came. {missing}",
        },
        "Censor-Score": {"schema": verdict["score"], "description": missing},
        "Censor-Regions": {"schema": {"type": "integer", "minimum": 0}, "description": "Regions hidden."},
    }


def _nested_schema(model: type[BaseModel], name: str) -> dict[str, Any]:
    """The properties of a model within another."""
    properties: dict[str, Any] = model.model_json_schema()["$defs"][name]["properties"]
    return properties


CENSOR: dict[str, Any] = {
    "summary": "Censor a picture",
    "openapi_extra": _request(Censoring),
    "response_model": Censored,
    "responses": {
        200: {
            "description": "The censored picture, or JSON where `Accept` prefers that.",
            "headers": _headers(),
            "content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in _TAKEN},
        },
        **problems(*_UPLOAD_PROBLEMS, "not-acceptable", "unknown-label", "cannot-encode", *SECOND_LOOK),
    },
}

CHECK: dict[str, Any] = {
    "summary": "Judge a picture",
    "openapi_extra": _request(Judging),
    "response_model": Checked,
    "response_description": "The verdict.",
    "responses": problems(*_UPLOAD_PROBLEMS, "policy-cannot-judge"),
}


_JOB_PROBLEMS = ("unauthorized", "no-such-job", "unknown-host", "internal-error")


def jobs(options: type[Judging]) -> dict[str, Any]:
    """What the document says of POST /v1/jobs, given its options."""
    headers = {"Location": {"schema": {"type": "string"}, "description": "Where to ask how it stands."}}
    return {
        "summary": "Begin a job",
        "status_code": 202,
        "openapi_extra": _request(options),
        "response_model": JobStatus,
        "responses": {
            202: {"description": "It was received.", "headers": headers},
            **problems(
                *(each for each in _UPLOAD_PROBLEMS if each not in _OF_WORK), "unknown-label", "policy-cannot-judge"
            ),
        },
    }


JOB: dict[str, Any] = {
    "summary": "Ask how a job stands",
    "response_model": JobStatus,
    "response_description": "How it stands.",
    "responses": problems(*_JOB_PROBLEMS),
}

JOB_RESULT: dict[str, Any] = {
    "summary": "Fetch the result of a job",
    "response_model": Censored | Checked,
    "responses": {
        200: {**CENSOR["responses"][200], "description": "As of /v1/censor, or of /v1/check."},
        **problems(*_UPLOAD_PROBLEMS, "no-such-job", "not-done", "not-acceptable", "cannot-encode", *SECOND_LOOK),
    },
}

JOB_END: dict[str, Any] = {
    "summary": "End a job",
    "status_code": 204,
    "response_model": None,
    "response_description": "It is forgotten.",
    "responses": problems(*_JOB_PROBLEMS),
}


def _listing(summary: str, description: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "response_description": description,
        "responses": problems("unauthorized", "unknown-host", "internal-error"),
    }


LABELS = _listing("List labels", "All labels.")
POLICIES = _listing("List policies", "All policies.")
OPTIONS = _listing("List options", "What can be asked for, and the limits.")


def complete(
    document: dict[str, Any],
    *,
    policies: Sequence[str],
    judging: Sequence[str],
    labels: Sequence[str],
    keys: bool,
) -> None:
    """Put into an OpenAPI document what is known once the service runs.

    Args:
        document: Changed in place.
        policies: Names of the policies that requests may name.
        judging: Those of them that have a rule for a verdict.
        labels: What boxes can be found of. Older spellings are taken, too; the document names today's.
        keys: Whether requests to /v1 must bear a key.
    """
    _complete_schemas(document["components"]["schemas"])
    if keys:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            _without_fastapis_own(operation["responses"])
            options = {
                each["name"]: each["schema"] for each in operation.get("parameters", []) if each["in"] == "query"
            }
            form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data", {}).get("schema", {})
            for properties in (options, form.get("properties", {})):
                for schema in properties.values():
                    _without_null(schema)
                if "policy" in properties:
                    properties["policy"]["enum"] = list(judging if path == "/v1/check" else policies)
                if "label" in properties:
                    properties["label"]["items"]["enum"] = list(labels)
            if keys and path.startswith("/v1/"):
                operation["security"] = [{"key": []}]


def _without_fastapis_own(responses: dict[str, Any]) -> None:
    """FastAPI's own answer to wrong parameters never goes out: problems do."""
    if _JSON in responses.get("422", {}).get("content", {}):
        del responses["422"]


def _complete_schemas(schemas: dict[str, Any]) -> None:
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
    for schema in schemas.values():
        schema["description"] = schema["description"].partition("\n\n")[0]  # a docstring's first paragraph


def _without_null(schema: dict[str, Any]) -> None:
    """None stands for an option that is not given; nothing that is sent means it."""
    if "anyOf" in schema:
        (kept,) = [each for each in schema.pop("anyOf") if each.get("type") != "null"]
        schema.update(kept)
    if schema.get("default", 0) is None:
        del schema["default"]
