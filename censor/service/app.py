"""The application: everything put together, nothing done at import."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from censor.errors import CensorError
from censor.service import documentation, health, job_routes, page, routes
from censor.service.engine import Engine
from censor.service.keys import KeyCheck
from censor.service.logs import where
from censor.service.metrics import Metrics
from censor.service.middleware.exchange import ExchangeMiddleware
from censor.service.middleware.head_requests import HeadRequestMiddleware
from censor.service.middleware.hosts import HostMiddleware
from censor.service.networks import NetworkSet
from censor.service.problems import Problem, problem_of
from censor.service.settings import Settings
from censor.service.work import ClientGone
from detect.classifier.scores import Classifier
from detect.detections import Detector
from detect.errors import DetectError

__all__ = ["create_app", "from_environment"]

_LOG = logging.getLogger("censor.service")

_SUMMARY = """Pictures and films in, censored ones out, or a problem document: never the picture as it came.

Errors are problem documents (RFC 9457) whose `type` is stable; GET it to read what it means. Pictures are kept in
memory for the time of their request and nowhere else. There is no way to pass a URL instead of a picture."""


def create_app(
    settings: Settings | None = None,
    detector: Detector | None = None,
    *,
    classifiers: Sequence[Classifier] | None = None,
    load: Callable[[], NetworkSet | Detector] | None = None,
) -> FastAPI:
    """Make the application. When it starts, so do the processes that work on pictures, unless it is given a detector.

    Args:
        settings: By default those of the environment.
        detector: Pictures are worked on by this one, in threads of this process: then a picture that ends it ends the
            application. It must be safe to call from several threads.
        classifiers: Asked beside `detector`, as the policies say; by default those that the settings name, and no
            others.
        load: Called in each process that works on pictures, for its detector, or for all its networks as a
            `censor.service.networks.NetworkSet`; by default they are those that the settings name. A function of a
            module that can be imported, or a `functools.partial` of one.

    Raises:
        ValueError: The settings make no sense, or there are classifiers without a detector.
    """
    settings = Settings() if settings is None else settings
    if classifiers is not None and detector is None:
        raise ValueError("classifiers go with a detector: processes load theirs themselves")
    digests, metrics = settings.key_digests(), Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = await Engine.load(settings, metrics, detector=detector, classifiers=classifiers, load=load)
        app.state.engine = engine
        await _say_started(engine)
        yield
        await engine.close()
        _LOG.info("stopped")

    app = FastAPI(
        title="censor",
        version=version("nsfw-censor"),
        description=_SUMMARY,
        docs_url=None,  # the documentation pages of FastAPI load their scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    for each in (routes.router, job_routes.router):
        app.include_router(each, dependencies=[Depends(KeyCheck(digests).check)] if digests else [])
    app.include_router(health.router)
    if settings.page:
        app.include_router(page.router)
    _document(app, keys=bool(digests))
    _add_middleware(app, settings, metrics)
    _add_handlers(app)
    return app


async def _say_started(engine: Engine) -> None:
    """Say who looks, and what all of it may take."""
    networks = engine.pool.networks
    bound, films = engine.settings.bound_with(len(networks)), engine.settings.film_bound_with(len(networks))
    told = {
        "ready": await engine.is_ready(),
        "networks": list(networks),
        "memory_bound_mb": bound >> 20,
        "memory_bound_with_films_mb": bound + films >> 20,
    }
    _LOG.info("started", extra={"fields": told})


def _add_middleware(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """What surrounds every request, the innermost first."""
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Accept"],
            expose_headers=["Censor-Verdict", "Censor-Score", "Censor-Regions", "Location", "Retry-After"],
        )
    app.add_middleware(HostMiddleware, patterns=settings.hosts)
    app.add_middleware(HeadRequestMiddleware)
    app.add_middleware(ExchangeMiddleware, metrics=metrics, patience=settings.upload_seconds, rate=settings.upload_rate)


def _add_handlers(app: FastAPI) -> None:
    """What is answered where there is no result."""
    for kind in (Problem, CensorError, DetectError):
        app.add_exception_handler(kind, _answer)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientGone, _gone)
    app.add_exception_handler(ClientDisconnect, _gone)


def from_environment() -> FastAPI:
    """The application with the settings of the environment: what the process that speaks HTTP calls."""
    return create_app(Settings())


def _document(app: FastAPI, *, keys: bool) -> None:
    """Have the OpenAPI document say what this service has: its policies, its labels, whether it asks for keys."""
    plain = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            engine: Engine = app.state.engine
            documentation.complete(
                plain(),
                policies=engine.policies.names,
                judging=engine.policies.judging(engine.names, engine.says),
                labels=engine.names,
                keys=keys,
            )
        return plain()

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's documented way


async def _answer(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    request.scope.setdefault("state", {})["outcome"] = problem.name
    if problem.status >= 500 and problem.name != "busy":
        _LOG.error("failed", extra={"fields": {"problem": problem.name, "error": problem.where or where(error)}})
    return problem.response()


async def _http(request: Request, error: Exception) -> Response:
    """What the router itself refuses."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if headers.get("Allow") == "GET":
        headers["Allow"] = "GET, HEAD"  # by `HeadRequestMiddleware`
    name = {404: "not-found", 405: "method-not-allowed", 400: "malformed-upload"}.get(status, "internal-error")
    return await _answer(request, Problem(name, headers=headers))


async def _gone(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Nobody reads this; the status code, nginx's for a client that closed the connection, is for the log."""
    request.scope.setdefault("state", {})["outcome"] = "client-gone"
    return Response(status_code=499)
