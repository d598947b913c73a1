"""For machines that run the service: is it alive, is it ready, how is it doing; and what its problems mean."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from censor.service import documentation as doc
from censor.service.metrics import CONTENT_TYPE
from censor.service.problems import KINDS, Problem
from censor.service.routes import engine_of
from censor.service.schemas import Health, ProblemType

__all__ = ["router"]

router = APIRouter()


@router.get("/healthz")
async def healthz() -> Health:
    """Alive: the event loop turns."""
    return Health(status="alive")


@router.get("/readyz", responses=doc.problems("not-ready", "internal-error"))
async def readyz(request: Request) -> Health:
    """Ready: every network looked at a test picture, which went all the way, within the last ten seconds."""
    if not await engine_of(request).is_ready():
        raise Problem("not-ready")
    return Health(status="ready")


@router.get("/metrics", response_model=None, include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Numbers for Prometheus."""
    return Response(engine_of(request).metrics.text(), media_type=CONTENT_TYPE)


@router.get("/problems/{name}", responses=doc.problems("not-found", "unknown-host", "internal-error"))
async def problem(name: str) -> ProblemType:
    """What a type of problem means."""
    kind = KINDS.get(name)
    if kind is None:
        raise Problem("not-found", f"There are {', '.join(KINDS)}.")
    return ProblemType(type=f"/problems/{name}", title=kind.title, status=kind.status, meaning=kind.meaning)
