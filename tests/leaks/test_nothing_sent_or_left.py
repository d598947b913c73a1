"""Each way of running this, with no network and all files watched: nothing is sent, only what was asked for is left.

What a program sends or writes is read from its system calls, since what libraries do in machine code passes by Python.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from leaks.traced import Traced, trace, why_not
from numpy.typing import NDArray
from PIL import Image

from detect.runtime.telemetry import QUIET

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(why_not() is not None, reason=f"system calls cannot be watched here: {why_not()}")

Run = Callable[..., Traced]


@pytest.fixture
def place(astronaut: NDArray[np.uint8]) -> Iterator[Path]:
    """A folder to work in, with a picture, and a home and a folder for temporary files beside it.

    Its path is short: sockets among the temporary files have room for a hundred characters.
    """
    with tempfile.TemporaryDirectory(prefix="traced-") as folder:
        place = Path(folder).resolve()
        for name in ("home", "tmp", "work"):
            (place / name).mkdir()
        Image.fromarray(astronaut[:256, 100:356]).save(place / "work" / "a.jpg", quality=95)
        yield place


@pytest.fixture
def run(place: Path) -> Run:
    """Run a Python program in the folder to work in."""

    def start(*command: object) -> Traced:
        # Nothing of ours: a variable that a test has set would be inherited.
        environment = {
            "HOME": str(place / "home"),
            "TMPDIR": str(place / "tmp"),
            "PATH": os.environ["PATH"],
            "USER": "me",
            "OMP_NUM_THREADS": "1",
        }
        done = trace(command, cwd=place / "work", log=place / "log", environment=environment)
        assert done.code == 0, done.output
        return done

    return start


def named(done: Traced, place: Path) -> set[str]:
    return done.below(HOME=place / "home", TMP=place / "tmp", WORK=place / "work")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_hiding_writes_the_output_alone(run: Run, place: Path, engine: str) -> None:
    done = run("-m", "censor", "a.jpg", "--policy", "faces", "--engine", engine)
    assert "1 region hidden" in done.output
    assert named(done, place) == {"WORK/a.censored.jpg"}
    assert not done.kinds


def test_replacing_an_output_makes_a_temporary_file_beside_it(run: Run, place: Path) -> None:
    (place / "work" / "b.png").write_bytes(b"old")
    done = run("-m", "censor", "a.jpg", "-o", "b.png", "--force", "--policy", "faces", "--json", "r.jsonl")
    assert named(done, place) == {"WORK/b.png", "WORK/.censor-*.tmp", "WORK/r.jsonl"}
    assert {path.name for path in (place / "work").iterdir()} == {"a.jpg", "b.png", "r.jsonl"}
    assert not done.kinds


def test_checking_writes_nothing(run: Run, place: Path) -> None:
    done = run("-m", "censor", "check", "a.jpg")
    assert done.output.startswith("safe")
    assert not done.created
    assert not done.kinds


SERVICE = """
import http.client, signal, subprocess, sys, time
server = subprocess.Popen([sys.executable, "-m", "censor", "serve", "--port", "8127", "--policy", "faces"])
def ask(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", 8127, timeout=60)
    connection.request(method, path, body, {"content-type": "image/jpeg"})
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.headers["content-type"]
for _ in range(600):
    try:
        if ask("GET", "/healthz")[0] == 200:
            break
    except OSError:
        pass
    time.sleep(0.1)
status, kind = ask("POST", "/v1/censor", open("a.jpg", "rb").read())
server.send_signal(signal.SIGTERM)
server.wait(60)
print("answered", status, kind)
"""


def test_the_service_writes_nothing_and_is_on_one_address_alone(run: Run, place: Path) -> None:
    done = run("-c", SERVICE)
    assert "answered 200 image/jpeg" in done.output
    assert not done.created
    assert done.addresses
    assert [
        each for each in done.addresses if 'sin_port=htons(8127), sin_addr=inet_addr("127.0.0.1")' not in each
    ] == []


def test_watching_writes_what_it_keeps_count_with_and_the_output(run: Run, place: Path) -> None:
    work = place / "work"
    for name in ("inbox", "out", "failed"):
        (work / name).mkdir()
    (work / "a.jpg").rename(work / "inbox" / "a.jpg")
    done = run("-m", "censor", "watch", "inbox", "--out", "out", "--failed", "failed", "--once", "--settle", "0.1")
    assert (work / "out" / "a.jpg").exists()
    state = "WORK/inbox/.censor-watch"
    assert named(done, place) == {
        state,
        f"{state}/claims",
        f"{state}/claims/*",
        f"{state}/claims/*/record.json",
        f"{state}/claims/*/.censor-*.tmp",
        f"{state}/done",
        f"{state}/done/*",
        f"{state}/done/.censor-*.tmp",
        "WORK/out/a.jpg",
    }
    assert not done.kinds - {"AF_UNIX"}
    assert not done.addresses


@pytest.fixture
def few(place: Path) -> list[object]:
    """Four of the pictures that ship with the project, as a set to train on."""
    sample = ROOT / "annotations" / "sample"
    whole = json.loads((sample / "train.json").read_text())
    whole["images"] = whole["images"][:4]
    kept = {image["id"] for image in whole["images"]}
    whole["annotations"] = [each for each in whole["annotations"] if each["image_id"] in kept]
    (place / "work" / "few.json").write_text(json.dumps(whole))
    images = sample / "train"
    return ["--train", "few.json", "--train-images", images, "--val", "few.json", "--val-images", images]


def test_training_writes_its_run_alone(run: Run, place: Path, few: list[object]) -> None:
    small = ["--epochs", "1", "--batch-size", "4", "--size", "64", "--channels", "64", "--workers", "1",
             "--backbone", "timm/test_resnet"]  # fmt: skip
    done = run(ROOT / "train_retinanet.py", *few, *small, "--device", "cpu", "--out", "run")
    created = named(done, place)
    assert {path for path in created if path.startswith("WORK")} == {
        "WORK/run",
        "WORK/run/.censor-*.tmp",
        "WORK/run/best.safetensors",
        "WORK/run/last.safetensors",
        "WORK/run/losses.jsonl",
        "WORK/run/metrics.jsonl",
        "WORK/run/state.safetensors",
        "WORK/run/tensorboard",
        "WORK/run/tensorboard/events.out.tfevents.*",
    }
    # Python tries the folder for temporary files out; torch makes a folder for what --compile compiles; matplotlib's
    # list of fonts and a folder for the processes that read pictures are gone in the end.
    passing = {
        "TMP/*",
        "TMP/matplotlib-*",
        "TMP/matplotlib-*/fontlist-*json",
        "TMP/matplotlib-*/fontlist-*json.matplotlib-lock",
        "TMP/pymp-*",
        "TMP/torchinductor_*",
    }
    assert {path for path in created if not path.startswith("WORK")} <= passing
    assert [path.name for path in (place / "tmp").iterdir()] in ([], ["torchinductor_me"])
    assert not done.kinds - {"AF_UNIX"}
    assert not done.addresses


EVERYTHING = """
import warnings
warnings.simplefilter("ignore")
from detect.runtime.telemetry import QUIET, import_quietly
for name in QUIET:
    if name != "ray":  # asks for this machine's addresses, since it is made to talk; tests/cluster holds it to silence
        print(import_quietly(name).__name__)
from nncf.telemetry import telemetry
telemetry.start_session("quantizing")
telemetry.end_session("quantizing")
"""


def test_libraries_that_report_their_use_are_quiet(run: Run, place: Path) -> None:
    done = run("-c", EVERYTHING)
    assert set(QUIET) - {"ray"} <= set(done.output.split())
    assert {path for path in named(done, place) if not path.startswith("TMP/")} == set()
    assert list((place / "tmp").iterdir()) == []
    assert not done.kinds - {"AF_UNIX"}
    assert not done.addresses


LEAKY = """
import pathlib, socket
pathlib.Path("left").mkdir()
pathlib.Path("left/behind").write_text("x")
pathlib.Path("left/behind").rename("elsewhere")
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
try:
    socket.getaddrinfo("example.org", 443)
except OSError as error:
    print(error)
"""


def test_what_leaks_is_seen(run: Run, place: Path) -> None:
    done = run("-c", LEAKY)
    assert {"WORK/left", "WORK/left/behind", "WORK/elsewhere"} == named(done, place)
    assert "AF_INET" in done.kinds
    assert any("htons(9)" in each for each in done.addresses)
    assert any("htons(53)" in each or "nscd" in each for each in done.addresses)
