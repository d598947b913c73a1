"""A FastAPI route that stores uploads censored, or not at all: ``uvicorn --app-dir examples fastapi_upload:app``.

This is the pipeline inside your own application. Whoever would rather run it beside the application calls
`censor serve`, which also has the limits on memory and time that this example leaves to you.
"""

from __future__ import annotations

import os
import secrets
from functools import cache
from pathlib import Path

from anyio import to_thread
from fastapi import FastAPI, HTTPException, Request

from censor import Censor, CensorError
from detect import DetectError
from detect.pictures.still import MAX_BYTES

FOLDER = Path(os.environ.get("UPLOADS", "uploads"))

app = FastAPI()


@cache
def censor() -> Censor:
    """One detector for all requests: loading it takes longer than using it."""
    return Censor(policy=os.environ.get("POLICY", "default"))


async def body(request: Request) -> bytes:
    """The picture, in memory: `UploadFile` would put a copy of anything over a megabyte on disk, uncensored."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BYTES:
            raise HTTPException(413, "too many bytes")
    return bytes(data)


def store(data: bytes) -> dict[str, object]:
    """Censor and write; nothing is written when anything goes wrong."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    name = f"{secrets.token_hex(8)}.jpg"  # never the name that a client gives
    try:
        done = censor().apply_file(data, FOLDER / name)
    except (CensorError, DetectError) as error:
        raise HTTPException(422, str(error)) from error
    level = None if done.verdict is None else done.verdict.level.value  # a policy that only hides gives none
    return {"name": name, "verdict": level, "hidden": len(done.redactions)}


@app.post("/photos", status_code=201)
async def upload(request: Request) -> dict[str, object]:
    """Take one picture as the bare body."""
    return await to_thread.run_sync(store, await body(request))
