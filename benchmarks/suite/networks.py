"""Section `networks`: each known model's milliseconds a look, by engine and precision, one thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from alternate import alternate, spread, timed

from censor.data_folder import models_folder
from detect.errors import EngineError, WeightsError
from detect.load import start_session
from detect.models.catalogue import KNOWN
from detect.models.storage import is_added, read_model
from suite.section import Bench, Row, Section

__all__ = ["networks"]

_SIZES = {"320n": ((320, 320),), "centerface": ((256, 320), (352, 480)), "open_nsfw": ((224, 224), (320, 320))}
"""Rows and columns of a 4:3 photograph in the network, padded to what it takes; of a classifier that is squashed."""

_KINDS = (("onnxruntime", "f32"), ("openvino", "f32"), ("openvino", "bf16"))


def networks(bench: Bench) -> Section:
    """Noise of the network's size, in turns; what a machine cannot do is said."""
    folder = models_folder()
    works: dict[str, Callable[[], float]] = {}
    notes = []
    for known in KNOWN:
        if folder is None or not is_added(folder, known.name):
            notes.append(f"networks: {known.name} is missing; get it with: censor models add {known.name}")
            continue
        for engine, precision in _KINDS:
            try:
                works |= _looks(folder, known.name, engine, precision)
            except (EngineError, WeightsError) as error:
                notes.append(f"networks: {known.name}, {engine} in {precision}: {error}")
    if not works:
        return Section(rows=[], notes=notes)
    seconds = alternate(works, 2 if bench.quick else 3 * bench.rounds)
    rows = [
        Row(what="one look, one thread", side=side, value=spread(values).scaled(1000), unit="ms")
        for side, values in seconds.items()
    ]
    return Section(rows=rows, data={"seconds": seconds}, notes=notes)


def _looks(folder: Path, name: str, engine: str, precision: str) -> dict[str, Callable[[], float]]:
    session = start_session(read_model(folder, name), name, threads=1, streams=1, engine=engine, precision=precision)
    rng = np.random.default_rng(0)
    works = {}
    for rows, columns in _SIZES.get(name, ((224, 224),)):
        scale = 1 if name == "320n" else 255
        batch = (rng.random((1, 3, rows, columns), np.float32) * scale).astype(np.float32)
        works[f"{name}, {columns} x {rows}, {engine} {precision}"] = timed(partial(session.run, batch))
    return works
