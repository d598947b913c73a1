"""The API: POST /v1/censor and /v1/check, GET /v1/labels, /v1/policies and /v1/options."""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from censor.choices import CELL_EFFECTS, EFFECTS, SHAPES
from censor.media.animation import BY_PYAV
from censor.media.animation import FORMATS as ANIMATIONS
from censor.media.film_kinds import FILMS
from censor.media.pages import PAGED
from censor.policy import MAX_CELLS, NSFW_REGION
from censor.service import documentation as doc
from censor.service.answers import TYPES, JsonWithPicture
from censor.service.engine import Engine, Waiting
from censor.service.ledger import Account
from censor.service.negotiation import preferred
from censor.service.policies import Censoring, Judging, asked, merged
from censor.service.problems import Problem
from censor.service.schemas import (
    Bounds,
    Films,
    Label,
    Labels,
    Limits,
    Networks,
    OfferedEffect,
    OfferedFilm,
    OfferedFormat,
    OfferedPolicies,
    Options,
)  # fmt: skip
from censor.service.settings import Settings
from censor.service.uploads import Upload, receive
from censor.service.work import Result
from detect.labels import ALIASES, CLASSES, KNOWN_LABELS
from detect.pictures.formats import FORMATS

__all__ = ["censored_answer", "engine_of", "open_account", "received", "require_acceptable", "router"]

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
    """Hide in a picture, pages, an animation or a film what a policy says must not be shown.

    Send the picture as the part `file` of a form, or as the bare body. Options are query parameters, or fields of the
    form, which win. The answer is the censored picture, with the verdict on the original in headers; where `Accept`
    prefers `application/json`, it is JSON with verdict, reasons, boxes and the picture in base64. Of a policy that has
    no rule for a verdict there is none: those headers are missing, and in JSON it is null.
    """
    engine = engine_of(request)
    require_acceptable(request)  # before anything is read
    engine.pool.refuse_if_full()
    account = open_account(request, engine)
    upload, options = await received(request, engine, account, Censoring)
    sent = upload.size
    done = await engine.apply(upload.data, options, account, _waiting(request, engine))
    account.drop_upload()
    account.hold_answer(len(done.encoded))
    _tell(request, done, sent=sent)
    return censored_answer(request, done, account)


def censored_answer(request: Request, done: Result, account: Account) -> Response:
    """What was censored, as it is, or in JSON where that is preferred.

    Raises:
        Problem: "not-acceptable"; "busy", where there is no memory for JSON.
    """
    headers = {"vary": "accept"}
    if _choose(request, TYPES[done.format]) == _JSON:
        response = JsonWithPicture(done.document, done.encoded, done.format, headers)
        account.hold_answer(response.held)
        return response
    headers["censor-regions"] = str(done.regions)
    if done.level is not None:  # who reads one all the same fails, and takes no new word for a harmless one
        headers["censor-verdict"] = done.level
        headers["censor-score"] = f"{done.record['verdict']['score']:.4f}"
    return Response(done.encoded, media_type=TYPES[done.format], headers=headers)


@router.post("/check", **doc.CHECK)
async def check(request: Request) -> Response:
    """Judge a picture, pages or a film: `safe`, `review` or `nsfw`, with the reasons. It is sent as to /v1/censor."""
    engine = engine_of(request)
    engine.pool.refuse_if_full()
    account = open_account(request, engine)
    upload, options = await received(request, engine, account, Judging)
    sent = upload.size
    done = await engine.check(upload.data, options, account, _waiting(request, engine))
    account.drop_upload()
    _tell(request, done, sent=sent)
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
        films=_films(settings),
        networks=Networks(
            detectors=[name for name in engine.pool.networks if name not in engine.says],
            classifiers={name: list(says) for name, says in engine.says.items()},
        ),
    )


def _films(settings: Settings) -> Films | None:
    if not settings.takes_films:
        return None
    with_pyav = find_spec("av") is not None
    taken = FILMS.values() if with_pyav else ()
    return Films(
        formats=[OfferedFilm(title=each.title, media_type=each.media_type, suffix=each.suffixes[0]) for each in taken],
        animations=[name.lower() for name in ANIMATIONS if with_pyav or name != BY_PYAV],
        pages=[PAGED.lower()],
        max_bytes=settings.film_bytes,
        max_seconds=settings.film_seconds,
        max_job_seconds=settings.job_seconds if settings.jobs else None,
    )


def _waiting(request: Request, engine: Engine) -> Waiting:
    return Waiting(gone=request.receive, seconds=engine.settings.film_seconds)


def require_acceptable(request: Request) -> None:
    """Check that the client takes any answer at all.

    Raises:
        Problem: "not-acceptable".
    """
    _choose(request, *TYPES.values())


def _choose(request: Request, *media_types: str) -> str:
    """One of the media types that a picture may have, or JSON, as the client wants it; the picture among equals."""
    accept = ",".join(request.headers.getlist("accept"))
    chosen = preferred(accept, (*media_types, _JSON))
    if chosen is None:
        raise Problem("not-acceptable", headers={"vary": "accept"})
    return chosen


def open_account(request: Request, engine: Engine) -> Account:
    """An account that the outermost layer closes once the answer has gone out, or cannot."""
    account = Account(engine.ledger)
    request.scope.setdefault("state", {})["account"] = account
    return account


async def received(request: Request, engine: Engine, account: Account, kind: type[_O]) -> tuple[Upload, _O]:
    """What a request brings, and what it asks for.

    Raises:
        Problem: One of them cannot be taken.
        ClientDisconnect: The client went away.
    """
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
