"""Jobs whose networks look for pure red, for tests of everything around networks."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any

import numpy as np
from fakes import RED, finder
from PIL import Image

from censor.cluster.job import Job, Load, Loaded, claim_output
from censor.cluster.planning import Planned, make_plan
from censor.cluster.shard_worker import ShardWorker
from censor.cluster.sources import open_source
from censor.cluster.stores import Store, open_store
from censor.pipeline import Censor
from censor.policy_toml import format_policy, load_policy

MODELS = {"red": "0" * 64}


def load_red(cores: int, *, policy: str = "boxes", models: dict[str, str] = MODELS) -> Loaded:
    """See `censor.cluster.job.Load`."""
    return Loaded(Censor(policy, detector=finder(), classifiers=()), models)


def job(source: str, out: str, *, kind: Any = "hide", policy: str = "boxes", **options: Any) -> Job:
    """The job of `load_red`."""
    given = {"models": MODELS, "max_bytes": 2**20, **options}
    rules = format_policy(load_policy(policy))
    root, url = open_source(source).root, open_store(out).url
    return Job(kind=kind, root=root, out=url, policy=policy, rules=rules, **given)


def planned(work: Job, source: str, *, size: int = 3, retry: bool = False) -> tuple[Store, Planned]:
    """OUT, claimed and planned."""
    store = open_store(work.out)
    claim_output(store, work)
    rows = open_source(source).rows()
    return store, make_plan(rows, store, work.key, size=size, hiding=work.kind == "hide", retry=retry)


def worker(work: Job, load: Load | None = None, *, cores: int = 2) -> ShardWorker:
    """What an actor would be."""
    return ShardWorker(work, load or functools.partial(load_red, policy=work.policy), cores)


def picture(number: int, *, red: bool = True, kind: str = "PNG") -> bytes:
    """40 x 48 of noise, no two numbers alike, with or without red."""
    pixels = np.random.default_rng(number).integers(30, 200, (40, 48, 3), np.uint8)
    if red:
        pixels[8:24:2, 8:24:2] = pixels[9:24:2, 9:24:2] = RED
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def folder_of(path: Path, *, pictures: int = 7) -> Path:
    """A folder with pictures, every third of them without red, some of them in a folder below."""
    for number in range(pictures):
        below = path / ("below" if number % 2 else "")
        below.mkdir(parents=True, exist_ok=True)
        (below / f"{number:03}.png").write_bytes(picture(number, red=number % 3 > 0))
    return path
