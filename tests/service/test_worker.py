"""What a worker process says over its socket, and what it needs to start."""

from __future__ import annotations

import functools
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes import Moody, finder

import censor.service
from censor.policy_toml import load_policy
from censor.service.messages import LENGTHS, Terms, ask, begin, cancel
from censor.service.work import Job
from censor.service.worker import main
from detect.detections import Detector
from detect.errors import WeightsError


@pytest.fixture(autouse=True)
def niceness(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """What a worker that runs in the tests' process adds to its niceness, which could not be taken back."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    added: list[int] = []
    monkeypatch.setattr(os, "nice", added.append)
    yield added
    for number, handler in before.items():
        signal.signal(number, handler)


def talk(load: Callable[[], Detector], *said: bytes, answers: int) -> list[tuple[dict[str, Any], bytes]]:
    """Be the parent of a worker: say something, take so many frames, and hang up."""
    ours, theirs = socket.socketpair()
    terms = Terms(load=load, at_once=2, batch=1, batch_wait=0, max_bytes=10**6, max_pixels=10**6, seconds=5)
    frames: list[tuple[dict[str, Any], bytes]] = []

    def parent() -> None:
        with ours, ours.makefile("rb") as stream:
            ours.sendall(begin(pickle.dumps(terms)) + pickle.dumps(terms) + b"".join(said))
            for _ in range(answers):
                header, body = LENGTHS.unpack(stream.read(LENGTHS.size))
                frames.append((json.loads(stream.read(header)), stream.read(body)))

    thread = threading.Thread(target=parent)
    thread.start()
    main(theirs.detach())
    thread.join(10)
    return frames


def test_answers_bear_their_jobs_numbers(scene_png: bytes) -> None:
    policy = load_policy("default")
    jobs = {
        7: Job(data=scene_png, policy=policy, hide=True, format="JPEG"),
        8: Job(data=scene_png, policy=policy, hide=False),
        9: Job(data=scene_png[:-50], policy=policy, hide=True),
    }
    said = [ask(number, job, trial=number == 8) + job.data for number, job in jobs.items()]
    hello, *answers = talk(finder, *said, answers=4)
    assert hello == ({"names": list(finder().names), "says": {}, "networks": ["detector"]}, b"")
    headers = {header["number"]: (header, body) for header, body in answers}
    assert headers.keys() == jobs.keys()
    assert headers[7][0]["format"] == "JPEG"
    assert headers[7][0]["record"]["verdict"]["level"] == "nsfw"
    assert headers[7][1][:3] == b"\xff\xd8\xff"
    assert headers[8][0]["record"]["boxes"]
    assert headers[8][1] == b""
    assert headers[9][0]["problem"] == "damaged-picture"
    assert headers[9][0]["where"]["type"] == "DamagedImageError"


def test_work_that_is_cancelled_ends_at_the_next_look(scene_png: bytes) -> None:
    job = Job(data=scene_png, policy=load_policy("default"), hide=True)
    said = [ask(1, job), job.data, cancel(1), cancel(99)]
    _, (header, _) = talk(functools.partial(Moody, 0.3), *said, answers=2)
    assert header["problem"] == "time-limit"


def broken_load() -> Detector:
    raise WeightsError("weights.onnx: cannot be read")


def test_why_it_cannot_start_is_said() -> None:
    ((said, _),) = talk(broken_load, answers=1)
    assert said["failed"] == "weights.onnx: cannot be read"
    assert said["where"]["type"] == "WeightsError"


def test_a_parent_that_says_nothing_is_none(niceness: list[int]) -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    main(theirs.detach())
    assert niceness == [10]


def test_it_starts_without_the_web_framework() -> None:
    code = "import sys, censor.service.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"fastapi", "starlette", "uvicorn", "pydantic", "prometheus_client"} & set(done.stdout.split())
    assert not hasattr(censor.service, "nonsense")
