from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from jobs import picture
from processes import processes_below

from censor.cluster.serving import replicas

SCRIPT = """
import os, sys, time, urllib.request, json
from detect.runtime.telemetry import import_quietly
ray, serve = import_quietly("ray"), import_quietly("ray.serve")
ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
from censor.cluster.serving import replicas
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
serve.run(replicas({"replicas": "2", "cores": "1"}), name="censor", route_prefix="/")
print("ready", flush=True)
sys.stdin.read()
serve.shutdown()
ray.shutdown()
"""

PORT = 18_451


def test_arguments_that_nobody_knows() -> None:
    with pytest.raises(ValueError, match=r"replica: unknown; there are replicas, cores, waiting"):
        replicas({"replica": "2"})
    with pytest.raises(ValueError, match="invalid literal"):
        replicas({"replicas": "two"})


def answered() -> str | None:
    """The verdict on a picture; None where there is no answer."""
    request = urllib.request.Request(  # ours
        f"http://127.0.0.1:{PORT}/v1/check", picture(1), {"Content-Type": "image/png"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return str(json.load(answer)["verdict"]["level"])
    except OSError:
        return None


def replica_processes(driver: int) -> list[int]:
    """The replicas of this driver's own cluster: below it, and called so."""
    return processes_below(driver, "ray::ServeReplica")


@pytest.mark.slow  # two replicas load networks of their own, in processes of their own: half a minute and more
def test_of_two_replicas_one_is_killed_and_the_other_answers(tmp_path: Path, models_folder: Path) -> None:
    environment = {**os.environ, "CENSOR_WORKERS": "1", "CENSOR_POLICY": "boxes", "CENSOR_CLASSIFIERS": "none"}
    command = [sys.executable, "-c", SCRIPT, str(PORT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as driver:
        try:
            assert driver.stdout is not None
            assert any(line == "ready\n" for line in driver.stdout)
            assert [answered() for _ in range(4)] == ["safe"] * 4
            there = replica_processes(driver.pid)
            assert len(there) == 2
            os.kill(there[0], signal.SIGKILL)
            answers = [answered() for _ in range(10)]
            assert answers.count("safe") >= 9  # the one that was on its way may be lost
            deadline = time.monotonic() + 120
            while len(set(replica_processes(driver.pid)) - {there[0]}) < 2:
                assert time.monotonic() < deadline, "no replica took its place"
                time.sleep(1)
        finally:
            if driver.stdin:
                driver.stdin.close()
            driver.wait(60)
