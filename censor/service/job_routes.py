"""Jobs: POST /v1/jobs, GET and DELETE /v1/jobs/{name}, GET /v1/jobs/{name}/result."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from censor.service import documentation as doc
from censor.service.engine import Waiting
from censor.service.policies import Censoring, Judging
from censor.service.problems import Problem
from censor.service.routes import censored_answer, engine_of, open_account, received, require_acceptable
from censor.service.work import Progress, Result

__all__ = ["router"]

router = APIRouter(prefix="/v1/jobs")


class Tasking(Censoring):
    """Options of POST /v1/jobs."""

    task: Annotated[Literal["censor", "check"], Field(description="What is to be done.")] = "censor"


@router.post("", **doc.jobs(Tasking))
async def begin(request: Request) -> Response:
    """Have a film censored, or judged, that takes longer than a client should wait for.

    It is sent as to /v1/censor, with the same options, and `task`. The answer names where to ask how it stands.
    """
    engine = engine_of(request)
    account = open_account(request, engine)
    job = engine.jobs.open(account)
    try:
        upload, options = await received(request, engine, account, Tasking)
        judging = _judging(options) if options.task == "check" else None
        engine.require_served(options if judging is None else judging)
    except BaseException:
        engine.jobs.discard(job)
        raise
    del request.scope["state"]["account"]  # it is the job's from here on, not the request's

    async def work(progress: Progress) -> Result:
        waiting = Waiting(gone=asyncio.Event().wait, seconds=engine.settings.job_seconds, progress=progress)
        if judging is not None:
            return await engine.check(upload.data, judging, account, waiting)
        return await engine.apply(upload.data, options, account, waiting)

    engine.jobs.begin(job, work)
    place = f"{request.scope.get('root_path', '')}/v1/jobs/{job.id}"
    return JSONResponse(job.told(), 202, headers={"location": place, "retry-after": "1"})


def _judging(options: Tasking) -> Judging:
    """The options of a check; those of what is hidden make no sense there."""
    given = options.model_dump(exclude_unset=True, exclude={"task"})
    if beside := sorted(given.keys() - Judging.model_fields.keys()):
        raise Problem("bad-option", f"{beside[0]}: goes with the task `censor` alone.")
    return Judging(**given)


@router.get("/{name}", **doc.JOB)
async def status(request: Request, name: str) -> Response:
    """How a job stands."""
    return JSONResponse(engine_of(request).jobs.get(name).told())


@router.get("/{name}/result", **doc.JOB_RESULT)
async def result(request: Request, name: str) -> Response:
    """What came of a job, once: then it is forgotten."""
    require_acceptable(request)
    done, account = engine_of(request).jobs.take(name)
    request.scope.setdefault("state", {})["account"] = account  # closed when the answer has gone out, or cannot
    return censored_answer(request, done, account) if done.format else JSONResponse(done.document)


@router.delete("/{name}", **doc.JOB_END)
async def end(request: Request, name: str) -> Response:
    """End a job, or forget what came of it."""
    engine_of(request).jobs.drop(name)
    return Response(status_code=204)
