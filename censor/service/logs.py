"""Logs as JSON, one line an event. Nothing a client sent is ever in them: no picture, file name, key or path."""

from __future__ import annotations

import json
import logging
import os
import time
import traceback
from typing import Any

__all__ = ["CONFIG", "JsonFormatter", "where"]


class JsonFormatter(logging.Formatter):
    """A record as one JSON object: time, level, event, process, and the fields that came as ``extra={"fields": …}``."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record. Of an exception type and lines of code are told: messages may quote clients."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage().partition("\n")[0],  # further lines, asyncio's, quote exceptions
            "process": os.getpid(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = where(record.exc_info[1])
        return json.dumps(line)


def where(error: BaseException) -> dict[str, Any]:
    """Type of an exception and the lines of code it came through, outermost first."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno}" for frame in frames]
    return {"type": type(error).__name__, "at": lines[-8:]}


CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "censor.service.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
    "loggers": {
        "uvicorn": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "censor": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "asyncio": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}
"""For `logging.config.dictConfig`. Uvicorn's access log is off: it would hold paths and query strings."""
