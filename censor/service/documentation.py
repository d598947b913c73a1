"""What the OpenAPI document says beyond what FastAPI reads off the code: bodies, answers, examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from censor.service.policies import Censoring, Judging
from censor.service.problems import KINDS, MEDIA_TYPE

__all__ = ["CENSOR", "CHECK", "LABELS", "POLICIES", "complete", "problems"]

_TAKEN = ("image/jpeg", "image/png", "image/webp", "image/avif", "image/heic", "image/tiff", "image/bmp", "image/gif")

_SCORE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}
_BOX: dict[str, Any] = {
    "type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4,
    "description": "x0, y0, x1, y1 in pixels of the upright picture.",
}  # fmt: skip


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_REASON = _object(
    label={"type": "string"},
    score=_SCORE,
    rule={"enum": ["nsfw_at", "review_at"]},
    threshold=_SCORE,
    area={**_SCORE, "description": "Share of the picture that the box covers."},
    xyxy=_BOX,
)
_RECORD: dict[str, Any] = {
    "width": {"type": "integer", "minimum": 1},
    "height": {"type": "integer", "minimum": 1},
    "verdict": _object(
        level={"enum": ["safe", "review", "nsfw"]},
        nsfw={"type": "boolean"},
        score=_SCORE,
        policy={"type": "string"},
        reasons=_list(_REASON),
    ),
    "boxes": _list(_object(label={"type": "string"}, score=_SCORE, xyxy=_BOX)),
    "seconds": {"type": "object", "additionalProperties": {"type": "number"}, "description": "Time by stage."},
}
_CENSORED = _RECORD | {
    "verdict": {
        **_RECORD["verdict"],
        "type": ["object", "null"],
        "description": "null: the policy has no rule for a verdict, so nobody knows whether the picture is safe.",
    }
}
_HIDDEN = _object(
    label={"type": "string"}, score=_SCORE, xyxy=_BOX, effect={"type": "string"}, rechecked={"type": "boolean"}
)
_PICTURE = _object(media_type={"enum": list(_TAKEN)}, base64={"type": "string", "contentEncoding": "base64"})

_CHECK_EXAMPLE = {
    "width": 512,
    "height": 512,
    "verdict": {"level": "safe", "nsfw": False, "score": 0.0, "policy": "faces", "reasons": []},
    "boxes": [{"label": "FACE_FEMALE", "score": 0.8361, "xyxy": [180.4, 59.3, 270.9, 180.2]}],
    "seconds": {"decode": 0.003, "detect": 0.021, "wait": 0.0},
}
_HIDDEN_EXAMPLE = {
    "label": "FACE_FEMALE", "score": 0.8361, "xyxy": [180.4, 59.3, 270.9, 180.2], "effect": "pixelate",
    "rechecked": False,
}  # fmt: skip
_CENSOR_EXAMPLE = {
    **_CHECK_EXAMPLE,
    "hidden": [_HIDDEN_EXAMPLE],
    "picture": {"media_type": "image/jpeg", "base64": "/9j/4AAQSkZJRgABAQAAAQABAAD…"},
}

_PROBLEM_SCHEMA = _object(
    type={"enum": [f"/problems/{name}" for name in KINDS]},
    title={"type": "string"},
    status={"type": "integer"},
    detail={"type": "string"},
)


def problems(*names: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for types of problems, those of one status together."""
    responses: dict[int | str, dict[str, Any]] = {}
    for name in names:
        kind = KINDS[name]
        entry = responses.setdefault(
            kind.status,
            {"description": "", "content": {MEDIA_TYPE: {"schema": _PROBLEM_SCHEMA, "examples": {}}}},
        )
        entry["description"] = f"{entry['description']} {kind.title}.".strip()
        value = {"type": f"/problems/{name}", "title": kind.title, "status": kind.status, "detail": kind.meaning}
        entry["content"][MEDIA_TYPE]["examples"][name] = {"summary": kind.title, "value": value}
        if kind.status == 503:
            entry["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return responses


_UPLOAD_PROBLEMS = [
    name for name in KINDS
    if name not in ("not-found", "method-not-allowed", "not-acceptable", "not-ready", "cannot-encode")
    and name not in ("still-visible", "unknown-label", "policy-cannot-judge")
]  # fmt: skip


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
        "properties": {"file": {**binary, "description": "The picture."}, **schema["properties"]},
        "additionalProperties": False,
    }
    bare = {media_type: {"schema": binary} for media_type in (*_TAKEN, "application/octet-stream")}
    body = {"required": True, "content": {"multipart/form-data": {"schema": form}, **bare}}
    return {"parameters": parameters, "requestBody": body}


def _headers() -> dict[str, Any]:
    missing = "Missing if the policy has no rule for a verdict."
    return {
        "Censor-Verdict": {
            "schema": {"enum": ["safe", "review", "nsfw"]},
            "description": f"On the picture as it came. {missing}",
        },
        "Censor-Score": {"schema": _SCORE, "description": f"The best score that can count for the verdict. {missing}"},
        "Censor-Regions": {"schema": {"type": "integer", "minimum": 0}, "description": "Regions hidden."},
    }


def _json(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema, "example": example}}


CENSOR: dict[str, Any] = {
    "summary": "Censor a picture",
    "openapi_extra": _request(Censoring),
    "response_model": None,
    "responses": {
        200: {
            "description": "The censored picture, or JSON where `Accept` prefers that.",
            "headers": _headers(),
            "content": {
                **{media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in _TAKEN},
                **_json(_object(**_CENSORED, hidden=_list(_HIDDEN), picture=_PICTURE), _CENSOR_EXAMPLE),
            },
        },
        **problems(*_UPLOAD_PROBLEMS, "not-acceptable", "unknown-label", "cannot-encode", "still-visible"),
    },
}

CHECK: dict[str, Any] = {
    "summary": "Judge a picture",
    "openapi_extra": _request(Judging),
    "response_model": None,
    "responses": {
        200: {"description": "The verdict.", "content": _json(_object(**_RECORD), _CHECK_EXAMPLE)},
        **problems(*_UPLOAD_PROBLEMS, "policy-cannot-judge"),
    },
}

_LABEL = _object(
    label={"type": "string"},
    **{"class": {"type": ["integer", "null"], "description": "COCO category id of the six trained classes."}},
    reported={"type": "boolean", "description": "Whether this detector reports it."},
    aliases=_list({"type": "string"}),
)
_LABEL_EXAMPLE = {"label": "BELLY_EXPOSED", "class": 1, "reported": True, "aliases": ["BELLY", "EXPOSED_BELLY"]}

LABELS: dict[str, Any] = {
    "summary": "List labels",
    "response_model": None,
    "responses": {
        200: {
            "description": "All labels.",
            "content": _json(_object(labels=_list(_LABEL)), {"labels": [_LABEL_EXAMPLE]}),
        },
        **problems("unauthorized", "unknown-host", "internal-error"),
    },
}

_POLICY = _object(
    name={"type": "string"},
    default={"type": "boolean"},
    cells={"type": "integer", "minimum": 1, "maximum": 8},
    color={"type": "string"},
    feather=_SCORE,
    labels={"type": "object", "additionalProperties": {"type": "object"}, "description": "Label to rule."},
)
_POLICY_EXAMPLE = {
    "name": "default", "default": True, "cells": 6, "color": "#000000", "feather": 0.0,
    "labels": {"BUTTOCKS_EXPOSED": {"censor_at": 0.2, "review_at": 0.2, "nsfw_at": 0.4, "min_area": 0.0,
                                    "expand": 0.1, "effect": "pixelate", "shape": "rounded", "required": True}},
}  # fmt: skip

POLICIES: dict[str, Any] = {
    "summary": "List policies",
    "response_model": None,
    "responses": {
        200: {
            "description": "All policies.",
            "content": _json(_object(policies=_list(_POLICY)), {"policies": [_POLICY_EXAMPLE]}),
        },
        **problems("unauthorized", "unknown-host", "internal-error"),
    },
}


def complete(document: dict[str, Any], *, policies: Sequence[str], labels: Sequence[str], keys: bool) -> None:
    """Put into an OpenAPI document what is known once the service runs.

    Args:
        document: Changed in place.
        policies: Names of the policies that requests may name.
        labels: The detector's labels. Older spellings are taken, too; the document names today's.
        keys: Whether requests to /v1 must bear a key.
    """
    # FastAPI's own answer to wrong parameters never goes out: problems do.
    document["paths"]["/problems/{name}"]["get"]["responses"].pop("422", None)
    document.get("components", {}).pop("schemas", None)
    if keys:
        document.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            options = {
                each["name"]: each["schema"] for each in operation.get("parameters", []) if each["in"] == "query"
            }
            form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data", {}).get("schema", {})
            for properties in (options, form.get("properties", {})):
                for schema in properties.values():
                    _without_null(schema)
                if "policy" in properties:
                    properties["policy"]["enum"] = list(policies)
                if "label" in properties:
                    properties["label"]["items"]["enum"] = list(labels)
            if keys and path.startswith("/v1/"):
                operation["security"] = [{"key": []}]


def _without_null(schema: dict[str, Any]) -> None:
    """None stands for an option that is not given; nothing that is sent means it."""
    if "anyOf" in schema:
        (kept,) = [each for each in schema.pop("anyOf") if each.get("type") != "null"]
        schema.update(kept)
    if schema.get("default", 0) is None:
        del schema["default"]
