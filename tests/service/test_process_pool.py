"""Workers that are processes: they are killed, poisoned, held up and led astray, and every request is answered."""

from __future__ import annotations

import asyncio
import functools
import io
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fakes import BABBLING, DEADLY, ENDLESS, Moody, broken_load, deadly_load, fickle_load, finder
from numpy.typing import NDArray
from PIL import Image
from processes import ended, workers_of

from censor import Censor
from censor.media.encoding import encode
from censor.service import Settings
from censor.service.process_pool import ProcessPool
from detect.detections import Detector
from detect.errors import DetectError

PNG = {"content-type": "image/png"}

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="workers are found in /proc")


@pytest.fixture
def expected(scene_png: bytes) -> bytes:
    return encode(Censor("boxes", detector=finder()).apply(scene_png).picture, format="PNG")


@pytest.fixture
def deaths() -> Iterator[list[str]]:
    """What the log says of workers that were lost."""
    seen: list[str] = []

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() in ("worker died", "worker overdue"):
                seen.append(record.getMessage())

    notes, log = Notes(), logging.getLogger("censor.service")
    log.addHandler(notes)
    yield seen
    log.removeHandler(notes)


def black(shape: tuple[int, int, int]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros(shape, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def problem(response: httpx.Response) -> str:
    name: str = response.json()["type"]
    return name.removeprefix("/problems/")


class Asking:
    """Requests under way, each on a thread of its own."""

    def __init__(self, client: httpx.Client, *pictures: bytes) -> None:
        self.answers: list[httpx.Response | None] = [None] * len(pictures)
        self._threads = [threading.Thread(target=self._ask, args=(client, *each)) for each in enumerate(pictures)]
        for thread in self._threads:
            thread.start()

    def _ask(self, client: httpx.Client, number: int, picture: bytes) -> None:
        self.answers[number] = httpx.post(
            client.base_url.join("/v1/censor"), content=picture, headers=PNG, timeout=30, trust_env=False
        )

    def all(self) -> list[httpx.Response]:
        for thread in self._threads:
            thread.join(30)
        return [each for each in self.answers if each is not None]


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def inside(client: httpx.Client, count: int) -> bool:
    return f"censor_pictures_inside {count}.0" in client.get("/metrics").text


def test_no_request_is_lost_when_workers_are_killed(
    started: Callable[..., httpx.Client], scene_png: bytes, expected: bytes, deaths: list[str]
) -> None:
    client = started(load=functools.partial(Moody, 0.3), workers=2, in_flight=2)
    until(lambda: "censor_workers 2.0" in client.get("/metrics").text)
    first = workers_of(os.getpid())
    asking = Asking(client, *[scene_png] * 8)
    until(lambda: inside(client, 8))
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    answers = asking.all()
    assert [each.status_code for each in answers] == [200] * 8
    assert all(each.content == expected for each in answers)
    assert deaths == ["worker died"] * 2
    until(lambda: "censor_workers 2.0" in client.get("/metrics").text)
    assert not set(first) & set(workers_of(os.getpid()))
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_a_poisonous_picture_is_found_out_and_nobody_suffers_by_it(
    started: Callable[..., httpx.Client], scene_png: bytes, expected: bytes, deaths: list[str], workers: int
) -> None:
    client = started(load=functools.partial(Moody, 0.2), workers=workers, in_flight=4)
    asking = Asking(client, scene_png, scene_png, black(DEADLY), scene_png, scene_png, scene_png)
    answers = asking.all()
    assert [each.status_code for each in answers] == [200, 200, 500, 200, 200, 200]
    assert problem(answers[2]) == "worker-died"
    assert all(each.content == expected for each in answers if each.status_code == 200)
    assert deaths == ["worker died"] * 3
    until(lambda: client.get("/readyz").status_code == 200)
    assert inside(client, 0)
    assert "censor_upload_bytes_held 0.0" in client.get("/metrics").text


def test_a_worker_held_up_by_a_picture_is_killed_and_its_others_are_handed_on(
    started: Callable[..., httpx.Client],
    scene_png: bytes,
    expected: bytes,
    deaths: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("censor.service.process_pool._GRACE_SECONDS", 0.2)
    client = started(load=functools.partial(Moody, 0.7), workers=1, in_flight=2, picture_seconds=4)
    held_up = Asking(client, black(ENDLESS))
    until(lambda: inside(client, 1))
    time.sleep(3.4)  # so that the next is in its hands when it is killed
    beside = Asking(client, scene_png)
    (late,), (other,) = held_up.all(), beside.all()
    assert problem(late) == "time-limit"
    assert late.status_code == 504
    assert other.content == expected
    assert deaths == ["worker overdue"]
    until(lambda: client.get("/readyz").status_code == 200)


def test_work_that_overruns_and_ends_by_itself_costs_no_worker(
    started: Callable[..., httpx.Client], scene_png: bytes, deaths: list[str]
) -> None:
    client = started(load=functools.partial(Moody, 0.6), workers=1, in_flight=1, picture_seconds=0.4)
    assert problem(client.post("/v1/censor", content=scene_png, headers=PNG)) == "time-limit"
    until(lambda: inside(client, 0))
    assert deaths == []


def test_a_worker_that_talks_nonsense_is_replaced(
    started: Callable[..., httpx.Client], scene_png: bytes, expected: bytes, deaths: list[str]
) -> None:
    client = started(load=Moody, workers=1, in_flight=1)
    assert problem(client.post("/v1/censor", content=black(BABBLING), headers=PNG)) == "worker-died"
    assert client.post("/v1/censor", content=scene_png, headers=PNG).content == expected
    assert deaths == ["worker died"] * 3


def test_signals_for_everybody_do_not_end_workers(
    started: Callable[..., httpx.Client], scene_png: bytes, deaths: list[str]
) -> None:
    client = started(load=Moody, workers=1)
    (worker,) = workers_of(os.getpid())
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker, number)
    assert client.post("/v1/censor", content=scene_png, headers=PNG).status_code == 200
    assert workers_of(os.getpid()) == [worker]
    assert deaths == []


def test_workers_are_given_no_keys_and_no_connections(
    started: Callable[..., httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENSOR_API_KEYS", "hush-hush")
    client = started(load=Moody, workers=1)
    assert client.get("/v1/labels").status_code == 401
    (worker,) = workers_of(os.getpid())
    assert b"hush" not in Path(f"/proc/{worker}/environ").read_bytes()
    open_files = [str(each.readlink()) for each in Path(f"/proc/{worker}/fd").iterdir()]
    assert sum(each.startswith("socket:") for each in open_files) == 1  # to its parent


def test_answers_are_those_of_the_work_in_process(
    started: Callable[..., httpx.Client], scene: NDArray[Any], scene_png: bytes, encoded: Callable[..., bytes]
) -> None:
    here, there = started(), started(load=Moody, workers=1, in_flight=3, batch=3, batch_wait=0.05)
    jpeg = encoded(scene, "JPEG", quality=95)
    for path, data in (
        ("/v1/censor?format=webp&quality=80", scene_png),
        ("/v1/censor?cells=2&shape=box&label=FEMALE_BREAST_EXPOSED", scene_png),
        ("/v1/censor", jpeg),
        ("/v1/censor", scene_png[:-200]),
        ("/v1/censor", b"nonsense"),
        ("/v1/check", scene_png),
        ("/v1/check", jpeg[:-200]),
        ("/v1/check?policy=nonsense", jpeg),
    ):
        one, other = (each.post(path, content=data, headers=PNG) for each in (here, there))
        assert one.status_code == other.status_code
        if one.headers["content-type"] == "application/json":
            said, too = ({**each.json(), "seconds": sorted(each.json()["seconds"])} for each in (one, other))
            assert said == too
        else:
            assert one.content == other.content
            told = [{key: each.headers[key] for key in each.headers if key != "date"} for each in (one, other)]
            assert told[0] == told[1]
    accepted = there.post("/v1/censor", content=scene_png, headers={**PNG, "accept": "application/json"}).json()
    assert accepted["hidden"][0]["label"] == "FEMALE_BREAST_EXPOSED"
    assert {"wait", "decode", "detect", "encode"} <= set(accepted["seconds"])


def test_a_full_queue_refuses_and_who_leaves_it_gives_his_place_back(
    started: Callable[..., httpx.Client], scene_png: bytes
) -> None:
    client = started(load=functools.partial(Moody, 1.0), workers=1, in_flight=1, queue=1)
    header = b"POST /v1/check HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
    address = ("127.0.0.1", client.base_url.port)
    with socket.create_connection(address) as first, socket.create_connection(address) as second:
        for each in (first, second):
            each.sendall(header % len(scene_png) + scene_png)
        until(lambda: inside(client, 2))
        refused = client.post("/v1/censor", content=scene_png, headers=PNG)
        assert problem(refused) == "busy"
        assert int(refused.headers["retry-after"]) >= 1
    until(lambda: "censor_queue_depth 0.0" in client.get("/metrics").text)
    until(lambda: inside(client, 0))
    assert client.post("/v1/censor", content=scene_png, headers=PNG).status_code == 200
    assert 'outcome="client-gone",route="/v1/check"} 2.0' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("load", "message"), [(broken_load, "weights.onnx: cannot be read"), (deadly_load, "end as they start")]
)
def test_workers_that_cannot_start_stop_the_service(load: Callable[[], Detector], message: str) -> None:
    async def start() -> None:
        await ProcessPool(Settings(workers=1), load).start()

    with pytest.raises(DetectError, match=message):
        asyncio.run(start())
    assert workers_of(os.getpid()) == []


@pytest.mark.parametrize("change", ["gone", "another"])
def test_without_workers_the_service_says_so(
    started: Callable[..., httpx.Client],
    scene_png: bytes,
    tmp_path: Path,
    change: str,
) -> None:
    present, changed = tmp_path / "present", tmp_path / "changed"
    present.touch()
    client = started(load=functools.partial(fickle_load, present, changed), workers=1)
    (worker,) = workers_of(os.getpid())
    (present.unlink if change == "gone" else changed.touch)()
    os.kill(worker, signal.SIGKILL)
    waiting = Asking(client, scene_png)
    assert [problem(each) for each in waiting.all()] == ["not-ready"]
    refused = client.post("/v1/censor", content=scene_png, headers=PNG)
    assert problem(refused) == "not-ready"
    assert refused.headers["retry-after"]
    assert client.get("/readyz").status_code == 503
    present.touch()
    changed.unlink(missing_ok=True)
    until(lambda: client.get("/readyz").status_code == 200)
    assert client.post("/v1/censor", content=scene_png, headers=PNG).status_code == 200


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    program = """
import asyncio, functools
from fakes import Moody
from censor.service import Settings
from censor.service.process_pool import ProcessPool
from censor.service.work import Job
from censor.policy import Policy
from censor.policy_toml import load_policy

async def main():
    pool = ProcessPool(Settings(workers=2, in_flight=1), functools.partial(Moody, 60))
    await pool.start()
    job = Job(data=open("picture.png", "rb").read(), policy=load_policy("default"), hide=False)
    asyncio.create_task(pool.do(job, hold=lambda _: None, disconnected=asyncio.Event().wait))
    while len(pool.processes) < 2:
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
    (tmp_path / "picture.png").write_bytes(black((50, 50, 3)))
    path = os.pathsep.join(each for each in sys.path if each)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        workers = workers_of(parent.pid)
        assert len(workers) == 2
        parent.kill()
    until(lambda: all(map(ended, workers)), seconds=10)
