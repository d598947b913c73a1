"""The API: POST /v1/censor and /v1/check, GET /v1/labels, /v1/policies and /v1/options."""

from __future__ import annotations

import time
from typing import TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from censor.choices import CELL_EFFECTS, EFFECTS, SHAPES
from censor.policy import MAX_CELLS, NSFW_REGION
from censor.service import documentation as doc
from censor.service.answers import JsonWithPicture
from censor.service.engine import Engine
from censor.service.ledger import Account
from censor.service.negotiation import preferred
from censor.service.policies import Censoring, Judging, asked, merged
from censor.service.problems import Problem
from censor.service.schemas import (
    Bounds,
    Label,
    Labels,
    Limits,
    Networks,
    OfferedEffect,
    OfferedFormat,
    OfferedPolicies,
    Options,
)  # fmt: skip
from censor.service.uploads import Upload, receive
from censor.service.work import Result
from detect.labels import ALIASES, CLASSES, KNOWN_LABELS
from detect.pictures.formats import FORMATS, MEDIA_TYPES

__all__ = ["engine_of", "router"]

router = APIRouter(prefix="/v1")

_O = TypeVar("_O", bound=Judging)

_JSON = "application/json"


def engine_of(request: Request) -> Engine:
    """What all requests share. Not a dependency: FastAPI would call it in a thread, at every request.

    Raises:
        Problem: "not-ready": the application has not been started.
    """
    engine: Engine | None = getattr(request.app.state, "engine", None)
    if engine is None:  # mounted in an application that does not run its lifespan
        raise Problem("not-ready")
    return engine


@router.post("/censor", **doc.CENSOR)
async def censor(request: Request) -> Response:
    """Hide in a picture what a policy says must not be shown.

    Send the picture as the part `file` of a form, or as the bare body. Options are query parameters, or fields of the
    form, which win. The answer is the censored picture, with the verdict on the original in headers; where `Accept`
    prefers `application/json`, it is JSON with verdict, reasons, boxes and the picture in base64. Of a policy that has
    no rule for a verdict there is none: those headers are missing, and in JSON it is null.
    """
    engine = engine_of(request)
    accept = ",".join(request.headers.getlist("accept"))
    _choose(accept, *MEDIA_TYPES.values())  # before anything is read
    engine.pool.refuse_if_full()
    account = _account(request, engine)
    upload, options = await _receive(request, engine, account, Censoring)
    done = await engine.apply(upload.data, options, account, request.receive)
    account.drop_upload()
    account.hold_answer(len(done.encoded))
    _tell(request, done, sent=len(upload.data))
    headers = {"vary": "accept"}
    if _choose(accept, MEDIA_TYPES[done.format]) == _JSON:
        response = JsonWithPicture(done.document, done.encoded, done.format, headers)
        account.hold_answer(response.held)
        return response
    headers["censor-regions"] = str(done.regions)
    if done.level is not None:  # who reads one all the same fails, and takes no new word for a harmless one
        headers["censor-verdict"] = done.level
        headers["censor-score"] = f"{done.record['verdict']['score']:.4f}"
    return Response(done.encoded, media_type=MEDIA_TYPES[done.format], headers=headers)


@router.post("/check", **doc.CHECK)
async def check(request: Request) -> Response:
    """Judge a picture: `safe`, `review` or `nsfw`, with the reasons. The picture is sent as to /v1/censor."""
    engine = engine_of(request)
    engine.pool.refuse_if_full()
    account = _account(request, engine)
    upload, options = await _receive(request, engine, account, Judging)
    done = await engine.check(upload.data, options, account, request.receive)
    account.drop_upload()
    _tell(request, done, sent=len(upload.data))
    return JSONResponse(done.document)


@router.get("/labels", **doc.LABELS)
async def labels(request: Request) -> Labels:
    """Every label that can be named, its older spellings, and whether any network here reports it.

    `NSFW_REGION` is what classifiers see, and can be named where the policy hides that.
    """
    engine = engine_of(request)
    seen = (NSFW_REGION,) if engine.says and engine.policies.hide_heat else ()
    known = (*KNOWN_LABELS, *(name for name in engine.names if name not in KNOWN_LABELS), *seen)
    return Labels(
        labels=[
            Label(
                label=label,
                class_=CLASSES.index(label) + 1 if label in CLASSES else None,
                reported=label in engine.names or label in seen,
                aliases=[alias for alias, meant in ALIASES.items() if meant == label],
            )
            for label in known
        ]
    )


@router.get("/policies", **doc.POLICIES)
async def policies(request: Request) -> OfferedPolicies:
    """The policies that requests may name, the default first, with every rule."""
    return OfferedPolicies(policies=engine_of(request).policies.listed(engine_of(request).says))


@router.get("/options", **doc.OPTIONS)
async def options(request: Request) -> Options:
    """What requests may ask for: formats, effects, shapes, cells; the limits on what they may send; and who looks."""
    engine = engine_of(request)
    settings = engine.settings
    return Options(
        formats=[
            OfferedFormat(
                name=each.name.lower(),
                title=each.title,
                media_type=each.media_type,
                suffix=each.suffixes[0],
                in_browsers=each.in_browsers,
            )
            for each in FORMATS
        ],
        effects=[OfferedEffect(name=name, cells=name in CELL_EFFECTS) for name in EFFECTS],
        shapes=list(SHAPES),
        cells=Bounds(minimum=1, maximum=MAX_CELLS),
        limits=Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels),
        networks=Networks(
            detectors=[name for name in engine.pool.networks if name not in engine.says],
            classifiers={name: list(says) for name, says in engine.says.items()},
        ),
    )


def _choose(accept: str, *media_types: str) -> str:
    """One of the media types that a picture may have, or JSON, as the client wants it; the picture among equals."""
    chosen = preferred(accept, (*media_types, _JSON))
    if chosen is None:
        raise Problem("not-acceptable", headers={"vary": "accept"})
    return chosen


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
    options = merged(query, upload.fields)
    engine.policies.check_overridden(query, options, engine.names, engine.says)
    return upload, options


def _tell(request: Request, done: Result, *, sent: int) -> None:
    """For the log line: numbers and the verdict's level."""
    request.scope.setdefault("state", {})["told"] = {
        "bytes": sent,
        "width": done.record["width"],
        "height": done.record["height"],
        "verdict": done.level,
        "stages_ms": {stage: round(1000 * seconds, 1) for stage, seconds in done.seconds.items()},
    }
