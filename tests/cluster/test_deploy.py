"""What examples/deploy describes: valid, and in agreement with what the service does. Probes are asked in processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from censor.cli import main

DEPLOY = Path(__file__).parent.parent.parent / "examples" / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


@pytest.mark.parametrize("document", KUBERNETES, ids=lambda each: each["kind"])
def test_every_object_is_what_kubernetes_takes(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_a_wrong_object_is_refused() -> None:
    wrong = {**KUBERNETES[0], "spec": {**KUBERNETES[0]["spec"], "replica": 3}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


CONTAINER = KUBERNETES[0]["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("words", [CONTAINER["args"], COMPOSE["services"]["censor"]["command"]], ids=["pod", "compose"])
def test_the_service_takes_its_options(words: list[str]) -> None:
    context = click.Context(main)
    command = main.get_command(context, words[0])
    assert command is not None
    parsed = command.make_context("serve", list(words[1:]))
    assert parsed.params["host"] == "0.0.0.0"  # noqa: S104  # within a pod


def test_there_is_time_to_drain() -> None:
    pod = KUBERNETES[0]["spec"]["template"]["spec"]
    drain = int(CONTAINER["args"][CONTAINER["args"].index("--drain-seconds") + 1])
    pause = int(re.findall(r"sleep\((\d+)\)", str(CONTAINER["lifecycle"]))[0])
    assert pod["terminationGracePeriodSeconds"] > drain + pause
    assert int(COMPOSE["services"]["censor"]["stop_grace_period"].rstrip("s")) > drain


def test_nothing_is_written_and_nothing_sent() -> None:
    service = COMPOSE["services"]["censor"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert COMPOSE["networks"]["inside"]["internal"]
    assert service["networks"] == ["inside"]
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"]
    (policy,) = (each for each in KUBERNETES if each["kind"] == "NetworkPolicy")
    assert policy["spec"]["egress"] == []
    nginx = (DEPLOY / "nginx.conf").read_text()
    assert "proxy_request_buffering off;" in nginx
    assert "proxy_max_temp_file_size 0;" in nginx
    assert nginx.count("{") == nginx.count("}")


PORT = 18_437


@pytest.fixture
def serving() -> Iterator[subprocess.Popen[bytes]]:
    """The service, as the manifest starts it but for its port, its size and who may call it."""
    command = [sys.executable, "-m", "censor", "serve", "--port", str(PORT), "--workers", "1", "--policy", "boxes",
               "--classifiers", "none", "--drain-seconds", "30"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def status(path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_the_probes_answer_and_the_end_is_waited_for(serving: subprocess.Popen[bytes]) -> None:
    probes = {name: CONTAINER[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    deadline = time.monotonic() + 60
    while status(probes["startupProbe"]) != 200:
        assert time.monotonic() < deadline, "never ready"
        time.sleep(0.2)
    assert {status(path) for path in probes.values()} == {200}
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(40) == 0
    assert status(probes["livenessProbe"]) == 0
