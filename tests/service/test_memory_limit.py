"""A picture whose work takes more memory than it may ends in a problem, whatever the decoder does, and alone."""

from __future__ import annotations

import functools
import os
import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fakes import HUNGRY, HUNGRY_TO_DEATH, Moody
from processes import workers_of
from test_process_pool import PNG, Asking, black, problem, until

from censor.service import Settings

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the limit is Linux's")

SMALL: dict[str, Any] = {"max_bytes": 100_000, "max_pixels": 100_000}


def resident(processes: Sequence[int]) -> list[int]:
    peaks = [Path(f"/proc/{each}/status").read_text().split("VmHWM:")[1].split()[0] for each in processes]
    return [int(each) * 1024 for each in peaks]


def test_a_picture_that_takes_too_much_gets_a_problem_and_its_worker_goes_on(
    started: Callable[..., httpx.Client], scene_png: bytes
) -> None:
    client = started(load=Moody, workers=1, in_flight=1, **SMALL)
    before = workers_of(os.getpid())
    for _ in range(2):
        refused = client.post("/v1/check", content=black(HUNGRY), headers=PNG)
        assert problem(refused) == "memory-limit"
        assert refused.status_code == 422
    assert client.post("/v1/censor", content=scene_png, headers=PNG).status_code == 200
    assert workers_of(os.getpid()) == before
    (peak,) = resident(before)
    assert peak < 320 * 2**20 + Settings(workers=1, in_flight=1, **SMALL).slots_memory


def test_one_that_ends_its_worker_is_given_up_and_others_are_served(
    started: Callable[..., httpx.Client], scene_png: bytes
) -> None:
    client = started(load=functools.partial(Moody, 0.1), workers=1, in_flight=2, **SMALL)
    asking = Asking(client, black(HUNGRY_TO_DEATH), scene_png, scene_png)
    answers = asking.all()
    assert sorted(each.status_code for each in answers) == [200, 200, 500]
    assert [problem(each) for each in answers if each.status_code == 500] == ["worker-died"]
    until(lambda: client.get("/readyz").status_code == 200)


def test_who_was_beside_it_is_worked_on_again(started: Callable[..., httpx.Client], scene_png: bytes) -> None:
    """Which of two asked for the last byte says nothing of whose fault it is."""
    client = started(load=functools.partial(Moody, 0.3), workers=1, in_flight=2, **SMALL)
    for _ in range(2):
        answers = Asking(client, scene_png, black(HUNGRY), scene_png).all()
        assert sorted(each.status_code for each in answers) == [200, 200, 422]
        assert [problem(each) for each in answers if each.status_code == 422] == ["memory-limit"]


def test_workers_are_limited_but_for_those_with_a_device(started: Callable[..., httpx.Client]) -> None:
    started(load=Moody, workers=1, in_flight=1, **SMALL)
    (worker,) = workers_of(os.getpid())
    soft, _ = resource.prlimit(worker, resource.RLIMIT_DATA)
    assert 0 < soft < 2**31
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY
    assert Settings(provider="cuda").worker_limit is None
    assert Settings().worker_limit == Settings().slots_memory + 128 * 2**20


def test_work_that_the_limits_allow_fits(started: Callable[..., httpx.Client], encoded: Callable[..., bytes]) -> None:
    client = started(load=Moody, workers=1, in_flight=1, max_pixels=600_000, picture_seconds=300)
    noise = np.random.default_rng(0).integers(0, 255, (75, 50, 4), np.uint8).repeat(12, 0).repeat(12, 1)
    data = encoded(noise, "PNG")
    for kind in ("png", "webp", "avif", "heif", "tiff"):
        answer = client.post(f"/v1/censor?format={kind}", content=data, headers=PNG, timeout=100)
        assert answer.status_code == 200, answer.text
