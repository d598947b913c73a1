"""Encoders of films, and what they do to the process besides encoding."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from censor.media.film_kinds import Codec

__all__ = ["open_encoder", "quiet"]


def open_encoder(context: Any) -> None:
    """Open an encoder, and leave threads the share of the processor that they had.

    To root's, SVT-AV1 gives real-time priority above all else: to its own, and to the one that opens it, which hands it
    on to every process that it starts; a machine of few cores then does nothing else.

    Raises:
        av.error.FFmpegError: It cannot be opened.
    """
    if not hasattr(os, "sched_setscheduler"):
        context.open(strict=False)
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        context.open(strict=False)
    finally:
        for thread in (int(each.name) for each in Path("/proc/self/task").iterdir()):
            with suppress(OSError):  # it has ended since
                if os.sched_getscheduler(thread) == os.SCHED_FIFO != policy:
                    os.sched_setscheduler(thread, policy, priority)


@contextmanager
def quiet(codec: Codec) -> Iterator[None]:
    """SVT-AV1 writes to standard error whatever FFmpeg is told, unless the environment says otherwise."""
    if codec.encoder != "libsvtav1" or "SVT_LOG" in os.environ:
        yield
        return
    os.environ["SVT_LOG"] = "0"
    try:
        yield
    finally:
        os.environ.pop("SVT_LOG", None)
