"""What things are called: the places pictures lie at, and what this package keeps below OUT."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

__all__ = [
    "ATTEMPTS",
    "JOB",
    "KEPT",
    "PLANS",
    "VERDICTS",
    "is_local",
    "is_manifest",
    "output_fault",
    "scheme",
    "split_glob",
]

KEPT = "_censor"
"""The folder below OUT that is this package's own."""

JOB = f"{KEPT}/job.json"
"""What is done, under which policy, with which models: made once, by whoever comes first."""

PLANS = f"{KEPT}/plans"
"""Which pictures there are, and in which shards."""

VERDICTS = f"{KEPT}/verdicts"
"""A Parquet file a shard. That it is there says that the shard is done; what it says is all that holds."""

ATTEMPTS = f"{KEPT}/attempts"
"""Who has begun a shard: what a worker died at is seen from there."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LONGEST = 1024
"""Bytes of a key in S3."""


def scheme(uri: str) -> str:
    """What stands before ``://``; ``file`` for a path."""
    found = _SCHEME.match(uri)
    return found[1].lower() if found else "file"


def is_local(uri: str) -> bool:
    """Whether it is a path of this machine, or of a disk that all machines share."""
    return scheme(uri) == "file"


def is_manifest(uri: str) -> bool:
    """Whether it names a list of pictures by its suffix."""
    return PurePosixPath(uri).suffix.lower() in (".parquet", ".csv")


def split_glob(uri: str) -> tuple[str, str | None]:
    """The folder before the first part with ``*``, ``?`` or ``[``, and the pattern below it, or None."""
    head, tail = uri, ""
    found = re.search(r"[*?\[]", uri)
    if found is None:
        return uri, None
    cut = uri.rfind("/", 0, found.start())
    head, tail = uri[: max(cut, 0)], uri[cut + 1 :]
    return (head or ("/" if uri.startswith("/") else ".")), tail


def output_fault(name: str) -> str | None:
    """Why a picture of this name can have no output of the same name; None where it can."""
    parts = name.split("/")
    if name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        return "its name has an empty part, `.` or `..`, and would lead elsewhere below the output"
    if parts[0].casefold() == KEPT:
        return f"its name lies below {KEPT}/, where this command keeps its own"
    if "\0" in name or len(name.encode("utf-8", "surrogatepass")) > _LONGEST:
        return f"its name is longer than {_LONGEST} bytes, or has a null character"
    return None
