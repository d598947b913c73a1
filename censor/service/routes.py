"""The API: POST /v1/censor and /v1/check, GET /v1/labels and /v1/policies."""

from __future__ import annotations

import base64
import time
from typing import TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from censor.service import documentation as doc
from censor.service.engine import Engine
from censor.service.policies import Censoring, Judging, asked, merged
from censor.service.uploads import Account, Upload, receive
from censor.service.work import Result
from detect.labels import ALIASES, CLASSES, KNOWN_LABELS

__all__ = ["MEDIA_TYPES", "engine_of", "router"]

router = APIRouter(prefix="/v1")

MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
    "GIF": "image/gif",
}

_O = TypeVar("_O", bound=Judging)


def engine_of(request: Request) -> Engine:
    """What all requests share. Not a dependency: FastAPI would call it in a thread, at every request."""
    engine: Engine = request.app.state.engine
    return engine


@router.post("/censor", **doc.CENSOR)
async def censor(request: Request) -> Response:
    """Hide in a picture what a policy says must not be shown.

    Send the picture as the part `file` of a form, or as the bare body. Options are query parameters, or fields of the
    form, which win. The answer is the censored picture, with the verdict on the original in headers; with `Accept:
    application/json` it is JSON with verdict, reasons, boxes and the picture in base64. Of a policy that has no rule
    for a verdict there is none: those headers are missing, and in JSON it is null.
    """
    engine = engine_of(request)
    engine.workers.refuse_if_full()
    account = _account(request, engine)
    upload, options = await _receive(request, engine, account, Censoring)
    done = await engine.apply(upload.data, options, request.receive)
    account.close()
    account.hold(len(done.encoded))
    _tell(request, done, sent=len(upload.data))
    if "application/json" not in request.headers.get("accept", ""):
        headers = {"censor-regions": str(done.regions), "vary": "accept"}
        if done.level is not None:  # who reads one all the same fails, and takes no new word for a harmless one
            headers["censor-verdict"] = done.level
            headers["censor-score"] = f"{done.record['verdict']['score']:.4f}"
        return Response(done.encoded, media_type=MEDIA_TYPES[done.format], headers=headers)
    picture = {"media_type": MEDIA_TYPES[done.format], "base64": base64.b64encode(done.encoded).decode()}
    response = JSONResponse({**done.document, "picture": picture}, headers={"vary": "accept"})
    account.hold(len(response.body) - len(done.encoded))
    return response


@router.post("/check", **doc.CHECK)
async def check(request: Request) -> Response:
    """Judge a picture: `safe`, `review` or `nsfw`, with the reasons. The picture is sent as to /v1/censor."""
    engine = engine_of(request)
    engine.workers.refuse_if_full()
    upload, options = await _receive(request, engine, _account(request, engine), Judging)
    done = await engine.check(upload.data, options, request.receive)
    _tell(request, done, sent=len(upload.data))
    return JSONResponse(done.document)


@router.get("/labels", **doc.LABELS)
async def labels(request: Request) -> Response:
    """Every label that can be named, its older spellings, and whether this detector reports it."""
    engine = engine_of(request)
    known = (*KNOWN_LABELS, *(name for name in engine.names if name not in KNOWN_LABELS))
    return JSONResponse(
        {
            "labels": [
                {
                    "label": label,
                    "class": CLASSES.index(label) + 1 if label in CLASSES else None,
                    "reported": label in engine.names,
                    "aliases": [alias for alias, meant in ALIASES.items() if meant == label],
                }
                for label in known
            ]
        }
    )


@router.get("/policies", **doc.POLICIES)
async def policies(request: Request) -> Response:
    """The policies that requests may name, the default first, with every rule."""
    return JSONResponse({"policies": engine_of(request).policies.tables()})


def _account(request: Request, engine: Engine) -> Account:
    """An account that the outermost layer closes once the answer has gone out, or cannot."""
    account = Account(engine.ledger)
    request.scope.setdefault("state", {})["account"] = account
    return account


async def _receive(request: Request, engine: Engine, account: Account, kind: type[_O]) -> tuple[Upload, _O]:
    query = asked(kind, request.query_params.multi_items())
    start = time.perf_counter()
    upload = await receive(request, engine.settings, account)
    engine.metrics.stage_seconds.labels("receive").observe(time.perf_counter() - start)
    return upload, merged(query, upload.fields)


def _tell(request: Request, done: Result, *, sent: int) -> None:
    """For the log line: numbers and the verdict's level."""
    request.scope.setdefault("state", {})["told"] = {
        "bytes": sent,
        "width": done.record["width"],
        "height": done.record["height"],
        "verdict": done.level,
        "stages_ms": {stage: round(1000 * seconds, 1) for stage, seconds in done.seconds.items()},
    }
