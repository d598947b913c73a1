"""Encoders of films, and what they do to the process besides encoding."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2

from censor.media.film_kinds import Codec

__all__ = ["encoder_settings", "open_encoder", "quiet"]

_AVX_512 = 13
"""OpenCV's number of these instructions: `CV_CPU_AVX_512F` in core/cvdef.h."""

_ALONE = 128
"""Columns: twice those up to which x265 was seen to go wrong."""


def encoder_settings(codec: Codec, quality: int | None, *, width: int) -> dict[str, str]:
    """What an encoder is told, so that the same pictures come out, the same to the byte each time.

    With AVX-512 x264's macroblock tree (165 and before) goes by memory that nobody has set: of one film in three runs
    or in three hundred a few macroblocks are coded otherwise. Without these instructions it takes a fiftieth longer.

    x265 (216 and before) goes wrong where one of its largest blocks is as wide as the picture: its macroblock tree
    writes beyond its memory, which ended the process, and pictures that refer to others come out as other pictures,
    and otherwise each time. There none refers to another.

    Args:
        codec: What is encoded.
        quality: As `Codec.settings` takes it.
        width: Columns of a frame.
    """
    told = codec.settings(quality)
    if codec.encoder == "libx264" and cv2.checkHardwareSupport(_AVX_512):
        told["x264-params"] = "asm=AVX2"
    if codec.encoder == "libx265" and width < _ALONE:
        told["x265-params"] += ":keyint=1"
    return told


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
