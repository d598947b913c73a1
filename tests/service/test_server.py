"""`censor serve` as people start it: processes, signals, and the real detector."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from fakes import FACES_JUDGED
from numpy.typing import NDArray
from PIL import Image
from processes import ended, workers_of
from serving import Serving

from censor.service.metrics import resident_bytes

JPEG = {"content-type": "image/jpeg"}


@pytest.fixture
def portrait(astronaut: NDArray[np.uint8], encoded: Callable[..., bytes]) -> bytes:
    return encoded(astronaut, "JPEG", quality=92)


def test_the_real_detector_end_to_end(serving: Callable[..., Serving], portrait: bytes) -> None:
    served = serving("--policy", str(FACES_JUDGED))
    served.started()
    with httpx.Client(base_url=served.url, timeout=20, trust_env=False) as client:
        assert client.get("/readyz").status_code == 200
        response = client.post("/v1/censor", files={"file": ("me.jpg", portrait, "image/jpeg")})
        assert response.headers["censor-regions"] == "1"
        assert response.headers["censor-verdict"] == "safe"
        before, after = (np.asarray(Image.open(io.BytesIO(data))).astype(int) for data in (portrait, response.content))
        assert np.abs(before - after)[100:160, 190:250].mean() > 10
        assert np.abs(before - after)[300:].mean() < 3
        body = client.post("/v1/check", content=portrait, headers=JPEG).json()
        assert [box["label"] for box in body["boxes"] if box["score"] > 0.5] == ["FACE_FEMALE"]
        names = [each["name"] for each in client.get("/v1/policies").json()["policies"]]
        assert names == ["faces_judged", "default", "strict", "boxes", "faces"]
    assert served.stop() == 0
    assert all(json.loads(line) for line in served.lines)


def right(served: Serving, portrait: bytes) -> bool:
    response = httpx.post(f"{served.url}/v1/check", content=portrait, headers=JPEG, timeout=30, trust_env=False)
    return response.status_code == 200 and bool(response.json()["boxes"])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
def test_whoever_is_killed_is_replaced_and_leaves_nobody_behind(
    serving: Callable[..., Serving], portrait: bytes
) -> None:
    served = serving("--workers", "2", "--policy", str(FACES_JUDGED))
    http, first = served.started(), served.workers(2)
    assert sorted(workers_of(http)) == sorted(first)
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(right, served, portrait) for _ in range(6)]
        time.sleep(0.1)
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        assert all(answer.result() for answer in answers)
    second = served.workers(4)[2:]
    assert not set(first) & set(second)
    text = httpx.get(f"{served.url}/metrics").text
    assert 'censor_verdicts_total{level="safe"} 6.0' in text
    assert "censor_workers 2.0" in text
    (resident,) = re.findall(r"^censor_resident_bytes (\S+)", text, re.MULTILINE)
    assert float(resident) > sum(resident_bytes(pid) for pid in second)
    os.kill(http, signal.SIGKILL)
    end = time.monotonic() + 10
    while not all(map(ended, second)):
        assert time.monotonic() < end
        time.sleep(0.05)
    replaced = served.started(2)
    assert replaced != http
    assert right(served, portrait)
    workers = served.workers(6)[4:]
    assert served.stop() == 0
    assert all(map(ended, [replaced, *workers]))


def test_sigterm_lets_requests_end(serving: Callable[..., Serving], astronaut: NDArray[np.uint8]) -> None:
    served = serving("--policy", str(FACES_JUDGED))
    http, workers = served.started(), served.workers(1)
    large = io.BytesIO()
    Image.fromarray(astronaut).resize((4000, 4000)).save(large, "PNG", compress_level=1)
    answers: list[int] = []

    def ask() -> None:
        response = httpx.post(f"{served.url}/v1/censor?format=jpeg", content=large.getvalue(), headers=JPEG, timeout=30)
        answers.append(response.status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.3)
    for pid in (served.process.pid, http, *workers):  # as systemd does it: everybody, at once
        os.kill(pid, signal.SIGTERM)
    assert served.stop() == 0
    thread.join(30)
    assert answers == [200]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{served.url}/healthz")


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "censor", "serve", "--port", "0", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--weights", "missing.onnx"], 1, "missing.onnx: cannot read the weights"),
        (["--policy", "nonsense"], 2, "neither a preset nor a policy file"),
        (["--api-keys-file", "missing"], 2, "the API keys cannot be read"),
        (["--picture-seconds", "0"], 2, "CENSOR_PICTURE_SECONDS: Input should be greater than 0"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(options: list[str], code: int, message: str) -> None:
    done = run(*options)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_a_missing_extra_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "pydantic").mkdir()
    (tmp_path / "pydantic" / "__init__.py").write_text("raise ModuleNotFoundError('no', name='pydantic')\n")
    done = run(PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "Error: pydantic is not installed; install it with: pip install 'nsfw-censor[service]'\n"


def test_short_answers_are_sent_at_once(serving: Callable[..., Serving]) -> None:
    """Not when the client has acknowledged their first bytes, which takes it 40 ms."""
    server = serving()
    server.started()
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        seconds = sorted(client.get("/healthz").elapsed.total_seconds() for _ in range(21))
    assert seconds[10] < 0.03
