from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import detect
from detect import WeightsError, load_detector
from detect.errors import MissingWeightsError
from detect.load import find_weights

ROOT = Path(detect.__file__).parent.parent


@pytest.fixture
def weights(constant_network, tmp_path):
    """``weights(label)``: a weights file whose one label is `label`."""

    def write(label, folder=tmp_path, name=None):
        path = folder / (name or f"{label}.onnx")
        path.write_bytes(constant_network(np.zeros((5, 1)), names=f"['{label}']"))
        return path

    return write


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A `nudenet` package of our own, before the installed one, that must not be run."""
    folder = tmp_path / "site" / "nudenet"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.delitem(sys.modules, "nudenet", raising=False)
    monkeypatch.syspath_prepend(folder.parent)
    return folder


def fresh(statement):
    """What a new process prints; nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", statement], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_an_explicit_file_comes_first(weights):
    assert load_detector(weights("ace")).names == ("ace",)
    assert load_detector(str(weights("ace"))).names == ("ace",)
    assert find_weights(weights("ace")) == (weights("ace"), None)


def test_then_the_installed_weights_whatever_the_environment_says(weights, monkeypatch):
    monkeypatch.setenv("CENSOR_WEIGHTS", str(weights("king")))
    path, digest = find_weights()
    assert path.parent == Path(importlib.util.find_spec("nudenet").origin).parent
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert len(load_detector().names) == 18


def test_without_weights_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "nudenet", None)  # as if it were not installed
    with pytest.raises(MissingWeightsError, match=r"^no detector weights: no file is named, .* nudenet") as caught:
        load_detector()
    assert "--" not in str(caught.value)


def test_a_package_without_weights_is_as_good_as_none(package):
    with pytest.raises(MissingWeightsError, match=r"^no detector weights: "):
        find_weights()


def test_installed_weights_that_were_altered_are_refused(package, weights):
    path = weights("ace", package, "320n.onnx")
    with pytest.raises(WeightsError) as caught:
        load_detector()
    message = str(caught.value)
    assert message.startswith(f"{path}: SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()} is not that")
    assert find_weights()[1] in message
    assert "--force-reinstall 'nsfw-censor[nudenet]'" in message


def test_installed_weights_that_were_emptied_are_refused(package):
    (package / "320n.onnx").touch()
    with pytest.raises(WeightsError, match=r"320n\.onnx: the weights file is empty"):
        load_detector()


def test_the_weights_named_are_not_replaced_by_others_when_they_fail(tmp_path):
    with pytest.raises(WeightsError, match=r"gone\.onnx: cannot read the weights: No such file"):
        load_detector(tmp_path / "gone.onnx")
    with pytest.raises(WeightsError, match="cannot read the weights: Is a directory"):
        load_detector(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda model: b"", "the weights file is empty"),
        (lambda model: b"Dear reader,\n" * 99, "not a model that onnxruntime can run"),
        (lambda model: model[: len(model) // 2], "may be damaged or cut short"),
        (lambda model: model[:-1], "may be damaged or cut short"),
        (lambda model: model.replace(b"Expand", b"Expend"), "not a model that onnxruntime can run"),
        (lambda model: model.replace(b"stride", b"strive"), "metadata key 'stride' is missing"),
    ],
)
def test_files_that_are_no_detector_are_refused_by_name_and_in_silence(weights, capfd, content, message):
    path = weights("ace")
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(WeightsError) as caught:
        load_detector(path, engine="onnxruntime")
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_options_reach_the_detector(constant_network, tmp_path):
    head = np.array([[20, 20], [20, 20], [20, 20], [20, 16], [0.5, 0.75], [0, 0]])
    path = tmp_path / "tiny.onnx"
    path.write_bytes(constant_network(head))
    image = np.zeros((64, 64, 3), np.uint8)

    def count(**options):
        return len(load_detector(path, threads=1, **options).detect([image])[0])

    assert load_detector(path).min_score == 0.05
    assert load_detector(path, min_score=0.25).min_score == 0.25
    assert count() == 1
    assert count(iou_threshold=0.9) == 2
    assert count(iou_threshold=0.9, min_score=0.6) == 1


@pytest.mark.parametrize("wrong", [{"min_score": 2}, {"iou_threshold": -1}, {"threads": -1}])
def test_options_out_of_range_are_refused(weights, wrong):
    with pytest.raises(ValueError, match=r"not .*-?[12]"):
        load_detector(weights("ace"), **wrong)


def test_importing_detect_imports_nothing_heavy():
    modules = {name.partition(".")[0] for name in fresh("import sys, detect; print(*sys.modules)")}
    assert "detect" in modules
    assert not modules & {"torch", "onnxruntime", "openvino", "censor", "nudenet", "PIL"}


def test_the_code_beside_the_installed_weights_is_never_run():
    modules = fresh(
        "import sys, detect, numpy\n"
        "found = detect.load_detector(pictures=1).detect([numpy.zeros((64, 64, 3), numpy.uint8)])\n"
        "print(*sys.modules)"
    )
    assert "onnxruntime" in modules
    assert not {name for name in modules if name.partition(".")[0] in {"nudenet", "torch", "censor"}}
