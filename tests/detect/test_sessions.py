from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from detect import DetectError, EngineError, InferenceError, WeightsError, boxes, load_detector
from detect.load import _has_bf16, find_weights
from detect.runtime.onnx_detector import OnnxDetector
from detect.runtime.sessions import OnnxRuntimeSession, OpenVinoSession, _first_line, _shared, openvino_core

needs_bf16 = pytest.mark.skipif(not _has_bf16(), reason="the processor has no bfloat16 instructions")
HEAD = np.arange(12, dtype=np.float32).reshape(6, 2)


def test_a_network_says_what_it_says_of_itself(constant_network: Callable[..., bytes]) -> None:
    session = OnnxRuntimeSession(constant_network(HEAD, author="me"), source="tiny.onnx")
    assert session.metadata == {
        "names": "{0: 'FACE_FEMALE', 1: 'FEET_EXPOSED'}", "imgsz": "[64, 64]", "stride": "32", "author": "me",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("declared", "shape"),
    [
        (("batch", 3, "height", "width"), (None, 3, None, None)),
        ((None, None, None, None), (None, None, None, None)),
        ((-1, 3, -1, -1), (None, 3, None, None)),
        ((1, 3, 64, 96), (1, 3, 64, 96)),
    ],
)
def test_sides_that_are_free_are_none(
    constant_network: Callable[..., bytes], declared: tuple[Any, ...], shape: tuple[Any, ...]
) -> None:
    assert OnnxRuntimeSession(constant_network(HEAD, shape=declared), source="x").input_shape == shape


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_numbers_go_in_and_come_out(constant_network: Callable[..., bytes], threads: int) -> None:
    session = OnnxRuntimeSession(constant_network(HEAD), source="x", threads=threads)
    (output,) = session.run(np.zeros((3, 3, 8, 8), np.float32))
    assert output.dtype == np.float32
    assert np.array_equal(output, np.stack([HEAD] * 3))


def test_one_session_serves_several_threads(square_network: Callable[..., bytes]) -> None:
    session = OnnxRuntimeSession(square_network(), source="x", threads=1)
    batches = np.random.default_rng(2).random((24, 1, 3, 32, 48), np.float32)
    one_by_one = [session.run(batch)[0] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda batch: session.run(batch)[0], batches))
    assert all(np.array_equal(a, b) for a, b in zip(one_by_one, together, strict=True))


def damaged(model: bytes) -> dict[str, bytes]:
    return {
        "text": b"Weights? What weights?\n" * 40,
        "zeros": bytes(1000),
        "html": b"<!DOCTYPE html><title>404</title>",
        "half": model[: len(model) // 2],
        "last byte missing": model[:-1],
        "first byte missing": model[1:],
        "altered": model.replace(b"Expand", b"Expend"),
        "nothing": b"",
    }


@pytest.mark.parametrize("kind", damaged(b""))
def test_what_is_no_network_is_refused_in_one_line_and_in_silence(
    constant_network: Callable[..., bytes], capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    with pytest.raises(
        WeightsError, match=r"^some/where\.onnx: not a model that onnxruntime can run \(.+\); .*damaged"
    ) as caught:
        OnnxRuntimeSession(damaged(constant_network(HEAD))[kind], source="some/where.onnx")
    assert isinstance(caught.value, DetectError)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None
    assert capfd.readouterr() == ("", "")


def test_two_inputs_are_refused_by_name(constant_network: Callable[..., bytes]) -> None:
    with pytest.raises(WeightsError, match=r"x\.onnx: expected one float input .*found images .*, mask tensor"):
        OnnxRuntimeSession(constant_network(HEAD, inputs=["images", "mask"]), source="x.onnx")


def test_no_input_is_refused() -> None:
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Constant", [], ["out"], value_float=1.0)],
            "g", [], [helper.make_tensor_value_info("out", TensorProto.FLOAT, [])],
        ),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
    )  # fmt: skip
    with pytest.raises(WeightsError, match="expected one float input of shape"):
        OnnxRuntimeSession(model.SerializeToString(), source="x")


@pytest.mark.parametrize("dtype", ["UINT8", "FLOAT16", "DOUBLE"])
def test_other_numbers_than_floats_are_refused(constant_network: Callable[..., bytes], dtype: str) -> None:
    said = {"UINT8": "uint8", "FLOAT16": "float16", "DOUBLE": "double"}[dtype]
    with pytest.raises(WeightsError, match=rf"expected one float input .*found images tensor\({said}\)"):
        OnnxRuntimeSession(constant_network(HEAD, dtype=onnx.TensorProto.DataType.Value(dtype)), source="x")


@pytest.mark.parametrize("shape", [(1, 3, 64), (1, 3, 1, 64, 64), ()])
def test_an_input_that_is_no_picture_is_refused(constant_network: Callable[..., bytes], shape: tuple[Any, ...]) -> None:
    with pytest.raises(WeightsError, match=r"shape \(batch, 3, height, width\), found images"):
        OnnxRuntimeSession(constant_network(HEAD, shape=shape), source="x")


def test_fewer_threads_than_none_are_refused(constant_network: Callable[..., bytes]) -> None:
    with pytest.raises(ValueError, match="threads is 0 for every core or a number of them, not -1"):
        OnnxRuntimeSession(constant_network(HEAD), source="x", threads=-1)


def test_a_run_that_fails_says_on_what_and_prints_nothing(
    constant_network: Callable[..., bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    session = OnnxRuntimeSession(constant_network(HEAD, shape=(1, 3, 64, 64)), source="x.onnx")
    with pytest.raises(InferenceError, match=r"^x\.onnx: the network failed on \(1, 3, 32, 64\): .+") as caught:
        session.run(np.zeros((1, 3, 32, 64), np.float32))
    assert isinstance(caught.value, DetectError)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "line"), [(ValueError("\n one\ntwo"), "one"), (ValueError("one"), "one"), (KeyError(), "KeyError")]
)
def test_an_error_is_named_in_one_line(error: KeyError | ValueError, line: str) -> None:
    assert _first_line(error) == line


# --- OpenVINO -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [("batch", 3, "height", "width"), (1, 3, 64, 96)])
def test_openvino_reads_the_same_of_a_file(constant_network: Callable[..., bytes], declared: tuple[Any, ...]) -> None:
    model = constant_network(HEAD, shape=declared, author="me")
    ours, theirs = OpenVinoSession(model, source="x"), OnnxRuntimeSession(model, source="x")
    assert ours.metadata == theirs.metadata
    assert ours.input_shape == theirs.input_shape
    assert (ours.engine, ours.precision) == ("openvino", "f32")
    assert (theirs.engine, theirs.precision) == ("onnxruntime", "f32")


def test_openvino_finds_what_onnxruntime_finds(astronaut: NDArray[np.uint8]) -> None:
    expected = load_detector(min_score=0.2, engine="onnxruntime").detect([astronaut])[0]
    found = load_detector(min_score=0.2, engine="openvino", precision="f32").detect([astronaut])[0]
    assert found.labels.tolist() == expected.labels.tolist()
    assert np.abs(found.xyxy - expected.xyxy).max() < 0.1
    assert np.abs(found.scores - expected.scores).max() < 1e-4


@needs_bf16
def test_bf16_finds_nearly_what_f32_finds(astronaut: NDArray[np.uint8]) -> None:
    expected = load_detector(min_score=0.2, engine="onnxruntime").detect([astronaut])[0]
    rounded = load_detector(min_score=0.2, engine="openvino", precision="bf16")
    found = rounded.detect([astronaut])[0]
    assert (rounded.engine, rounded.precision) == ("openvino", "bf16")
    assert found.labels.tolist() == expected.labels.tolist()
    assert (np.diag(boxes.iou(found.xyxy, expected.xyxy)) > 0.9).all()
    difference = np.abs(found.scores - expected.scores).max()
    assert 1e-5 < difference < 0.02  # as exact as f32 it would be f32


def test_a_processor_without_bf16_is_refused(
    constant_network: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_core("x"), "get_property", lambda device, name: ["FP32", "INT8"])
    with pytest.raises(EngineError, match=r"x\.onnx: this processor has no bfloat16 instructions"):
        OpenVinoSession(constant_network(HEAD), source="x.onnx", precision="bf16")


@needs_bf16
def test_a_hint_that_openvino_does_not_follow_is_refused(
    constant_network: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    core = openvino_core("x")
    original = core.compile_model

    def compile_model(network: Any, device: Any, options: Any) -> Any:
        return original(network, device, options | {"INFERENCE_PRECISION_HINT": "f32"})

    monkeypatch.setattr(core, "compile_model", compile_model)
    with pytest.raises(EngineError, match=r"x: OpenVINO would compute in f32, not in bf16"):
        OpenVinoSession(constant_network(HEAD), source="x", precision="bf16")


@pytest.mark.parametrize("wrong", [{"streams": -1}, {"precision": "int8"}, {"threads": -1}])
def test_openvino_refuses_what_makes_no_sense(constant_network: Callable[..., bytes], wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not -?[01]"):
        OpenVinoSession(constant_network(HEAD), source="x", **wrong)


@pytest.mark.parametrize(
    ("room", "threads", "streams", "expected"),
    [
        (8, 0, 0, (8, 1)),
        (8, 1, 0, (8, 8)),
        (8, 1, 3, (3, 3)),
        (8, 3, 0, (6, 2)),
        (8, 2, 9, (8, 4)),
        (2, 4, 2, (2, 1)),
        (1, 1, 4, (1, 1)),
    ],
)
def test_all_runs_together_take_no_more_threads_than_there_are_cores(
    monkeypatch: pytest.MonkeyPatch, room: int, threads: int, streams: int, expected: tuple[int, int]
) -> None:
    monkeypatch.setattr("detect.runtime.sessions.cores", lambda: room)
    threads, streams = _shared(threads, streams)
    assert (threads * streams, streams) == expected


def seconds_in(session: OpenVinoSession) -> tuple[float, float]:
    """Processor time of this thread and of all, over some runs."""
    batch = np.zeros((1, 3, 320, 320), np.float32)
    session.run(batch)
    start = time.thread_time(), time.process_time()
    for _ in range(5):
        session.run(batch)
    return time.thread_time() - start[0], time.process_time() - start[1]


def test_a_small_network_runs_in_the_thread_that_asks_and_in_several_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detect.runtime.sessions.cores", lambda: 2)
    model = find_weights()[0].read_bytes()
    session = OpenVinoSession(model, source="x", threads=1)
    here, all_threads = seconds_in(session)
    assert here > 0.8 * all_threads
    with session._turn(320, 320) as first, session._turn(320, 320) as second:
        assert first is not second
    assert session._slots[320, 320].made == 2
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(session.run, [np.zeros((1, 3, 320, 320), np.float32)] * 12))
    assert session._slots[320, 320].made == 2


def test_a_large_network_is_compiled_once_for_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detect.runtime.sessions.cores", lambda: 2)
    monkeypatch.setattr("detect.runtime.sessions._SMALL", 2**20)
    session = OpenVinoSession(find_weights()[0].read_bytes(), source="x", threads=1)
    here, all_threads = seconds_in(session)
    assert here < 0.5 * all_threads
    with session._turn(320, 320) as first, session._turn(320, 320) as second:
        assert first is second
    assert session._slots[320, 320].free.qsize() == 2


def test_what_openvino_answered_stays_when_it_answers_again(square_network: Callable[..., bytes]) -> None:
    session = OpenVinoSession(square_network(), source="x", threads=1)
    batches = np.random.default_rng(3).random((50, 1, 3, 32, 32), np.float32)
    outputs = [session.run(batch)[0] for batch in batches]
    kept = [output.copy() for output in outputs]
    for batch in batches[::-1]:
        session.run(batch)
    assert all(np.array_equal(a, b) for a, b in zip(outputs, kept, strict=True))
    assert len({output.tobytes() for output in kept}) > 1


def test_openvino_serves_several_threads(square_network: Callable[..., bytes]) -> None:
    session = OpenVinoSession(square_network(), source="x", threads=1)
    batches = np.random.default_rng(2).random((24, 1, 3, 32, 48), np.float32)
    one_by_one = [session.run(batch)[0] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda batch: session.run(batch)[0], batches))
    assert all(np.array_equal(a, b) for a, b in zip(one_by_one, together, strict=True))


@pytest.mark.parametrize("kind", ["text", "zeros", "half"])
def test_openvino_refuses_what_is_no_model(constant_network: Callable[..., bytes], kind: str) -> None:
    with pytest.raises(WeightsError, match=r"w\.onnx: not a model that OpenVINO can run"):
        OpenVinoSession(damaged(constant_network(HEAD))[kind], source="w.onnx")


@pytest.mark.parametrize("wrong", [{"imgsz": "100000"}, {"shape": (1, 3, 100_000, 64)}, {"shape": (10**9, 3, 64, 64)}])
def test_openvino_compiles_nothing_that_no_machine_has_room_for(
    constant_network: Callable[..., bytes], wrong: dict[str, Any]
) -> None:
    with pytest.raises(WeightsError, match=r"x: .*4096"):
        OpenVinoSession(constant_network(HEAD, **wrong), source="x")


def test_openvino_refuses_other_inputs_and_fails_in_our_words(constant_network: Callable[..., bytes]) -> None:
    for other in ({"dtype": TensorProto.INT32}, {"shape": ("batch", 3, 64)}):
        with pytest.raises(WeightsError, match="x: expected one float input"):
            OpenVinoSession(constant_network(HEAD, **other), source="x")
    session = OpenVinoSession(constant_network(HEAD, shape=(1, 3, 64, 96)), source="x")
    with pytest.raises(InferenceError, match=r"x: the network failed on \(1, 3, 8, 8\)"):
        session.run(np.zeros((1, 3, 8, 8), np.float32))


def test_engines_are_chosen_by_name_and_named_when_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="engine must be one of auto, onnxruntime, openvino, not 'tensorflow'"):
        load_detector(engine="tensorflow")
    monkeypatch.setitem(sys.modules, "openvino", None)  # as where it is not installed
    with pytest.raises(EngineError, match=r"pip install 'nsfw-censor\[openvino\]'"):
        load_detector(engine="openvino")


def test_openvino_compiles_a_network_of_any_size_for_each_size_and_for_batches_of_any() -> None:
    path, _ = find_weights()
    model = path.read_bytes()
    ours, theirs = OpenVinoSession(model, source="x", threads=1), OnnxRuntimeSession(model, source="x", threads=1)
    rng = np.random.default_rng(0)
    for shape in ((1, 3, 192, 320), (3, 3, 192, 320), (1, 3, 320, 256), (2, 3, 192, 320)):
        batch = rng.random(shape, np.float32)
        for mine, other in zip(ours.run(batch), theirs.run(batch), strict=True):
            assert np.allclose(mine, other, rtol=1e-2, atol=1e-2)
    assert sorted(ours._slots) == [(192, 320), (320, 256), (320, 320)]


def test_several_threads_that_bring_new_sizes_at_once_get_their_own_answers() -> None:
    path, _ = find_weights()
    model = path.read_bytes()
    session = OpenVinoSession(model, source="x", threads=1)
    batches = [np.full((1, 3, rows, 320), rows / 320, np.float32) for rows in (64, 128, 64, 128, 320)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(session.run, batches))
    for batch, answer in zip(batches, answers, strict=True):
        assert np.array_equal(answer[0], session.run(batch)[0])


@needs_bf16
def test_pictures_are_padded_to_few_sizes_where_new_ones_are_dear() -> None:
    path, _ = find_weights()
    session = OpenVinoSession(path.read_bytes(), source="x", threads=1, precision="bf16")
    detector = OnnxDetector(session)
    for rows in range(150, 480, 15):
        detector.detect([np.zeros((rows, 480, 3), np.uint8)])
    assert sorted(session._slots) == [(128, 320), (192, 320), (256, 320), (320, 320)]


FIRST_USE = """
import os, sys, threading
import numpy as np
from detect.load import find_weights
from detect.runtime.sessions import OpenVinoSession
sys.setswitchinterval(1e-6)
session = OpenVinoSession(find_weights()[0].read_bytes(), source="x", threads=1)
start = threading.Barrier(8)
def first():
    start.wait()
    session.run(np.zeros((1, 3, 64, 64), np.float32))
threads = [threading.Thread(target=first, daemon=True) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join(30)
os._exit(any(thread.is_alive() for thread in threads))
"""


def test_threads_that_are_first_to_use_openvino_do_not_wait_for_one_another_for_ever() -> None:
    """One process in four did; in a process of its own, since only the first use can."""
    for _ in range(5):
        subprocess.run([sys.executable, "-c", FIRST_USE], check=True, timeout=60)


SIGNAL_AFTER_TWO = """
import os, signal
from detect.runtime.sessions import OpenVinoSession
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
first, second = (OpenVinoSession({model!r}, source="x") for _ in range(2))
del first
del second
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_signals_arrive_when_sessions_are_gone(constant_network: Callable[..., bytes]) -> None:
    """With a core each, the signal would be delivered to a stack that is no longer there: see `openvino_core`."""
    script = SIGNAL_AFTER_TWO.format(model=constant_network(HEAD))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
