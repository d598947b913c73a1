"""Which engine runs a file, and in which precision: what is named is taken or refused, what is open is decided."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from onnx import TensorProto, helper, load_from_string
from PIL import Image

import detect
from censor.cli import main
from censor.service.settings import Settings
from detect import EngineError, WeightsError, load_detector
from detect.choices import ENGINES, PRECISIONS, PROVIDERS
from detect.load import _FEW, _MANY, LoadedDetector, _has_bf16, choose
from detect.runtime.sessions import OnnxRuntimeSession, is_quantized
from detect.runtime.telemetry import import_quietly

needs_bf16 = pytest.mark.skipif(not _has_bf16(), reason="the processor has no bfloat16 instructions")
HEAD = np.array([[20, 20], [20, 20], [20, 20], [20, 16], [0.5, 0.75], [0, 0]])


@pytest.fixture
def plain(constant_network: Callable[..., bytes]) -> bytes:
    return constant_network(HEAD, note="this file has no QuantizeLinear")


@pytest.fixture
def quantized(constant_network: Callable[..., bytes]) -> bytes:
    """A network that rounds its answer to whole numbers on the way out."""
    model = load_from_string(constant_network(HEAD))
    model.graph.node[-1].output[0] = "exact"
    model.graph.initializer.append(helper.make_tensor("scale", TensorProto.FLOAT, [], [0.25]))
    model.graph.initializer.append(helper.make_tensor("zero", TensorProto.UINT8, [], [0]))
    model.graph.node.append(helper.make_node("QuantizeLinear", ["exact", "scale", "zero"], ["whole"]))
    model.graph.node.append(helper.make_node("DequantizeLinear", ["whole", "scale", "zero"], ["output0"]))
    return bytes(model.SerializeToString())


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``machine(openvino, bf16)``: what is installed and what the processor can do."""

    def pretend(openvino: bool, bf16: bool) -> None:
        monkeypatch.setattr("detect.load._openvino_is_installed", lambda: openvino)
        monkeypatch.setattr("detect.load._has_bf16", lambda: bf16)

    return pretend


def test_a_quantized_file_is_known_by_its_nodes(plain: bytes, quantized: bytes) -> None:
    assert is_quantized(quantized)
    assert not is_quantized(plain)


@pytest.mark.parametrize(
    ("openvino", "bf16", "expected"),
    [
        (True, True, ("openvino", "bf16")),
        (True, False, ("onnxruntime", "f32")),
        (False, True, ("onnxruntime", "f32")),
    ],
)
def test_openvino_is_chosen_where_it_pays(
    plain: bytes, machine: Callable[..., Any], openvino: bool, bf16: bool, expected: tuple[str, str]
) -> None:
    machine(openvino, bf16)
    assert choose(plain, "x") == expected
    enough = -(-_MANY // len(plain))
    assert choose(plain, "x", pictures=enough) == expected
    assert choose(plain, "x", pictures=enough - 1) == ("onnxruntime", "f32")


def test_a_quantized_file_runs_in_int8(quantized: bytes, machine: Callable[..., Any]) -> None:
    model = load_from_string(quantized)
    model.metadata_props.add(key="quantised", value="checked on onnxruntime and openvino")
    checked = model.SerializeToString()
    machine(True, False)
    assert choose(checked, "x") == ("openvino", "int8")
    assert choose(checked, "x", precision="int8") == ("openvino", "int8")
    assert choose(checked, "x", pictures=1) == ("onnxruntime", "int8")
    assert choose(quantized, "x") == ("onnxruntime", "int8")  # nobody has looked at what it finds on OpenVINO
    machine(False, False)
    assert choose(checked, "x", precision="int8") == ("onnxruntime", "int8")


def test_what_is_named_is_taken_on_every_machine(plain: bytes, quantized: bytes, machine: Callable[..., Any]) -> None:
    for installed in (True, False):
        for bf16 in (True, False):
            machine(installed, bf16)
            assert choose(plain, "x", precision="f32") == ("onnxruntime", "f32")
            assert choose(plain, "x", precision="bf16", pictures=1) == ("openvino", "bf16")
            assert choose(plain, "x", engine="onnxruntime") == ("onnxruntime", "f32")
            assert choose(plain, "x", engine="openvino", pictures=1) == ("openvino", "bf16" if bf16 else "f32")
            assert choose(plain, "x", engine="openvino", precision="f32") == ("openvino", "f32")
            assert choose(quantized, "x", engine="openvino", precision="int8") == ("openvino", "int8")


def test_what_cannot_be_is_refused(plain: bytes, quantized: bytes) -> None:
    with pytest.raises(ValueError, match="onnxruntime computes in f32 or int8; bf16 needs the engine openvino"):
        choose(plain, "x", engine="onnxruntime", precision="bf16")
    with pytest.raises(ValueError, match="precision must be one of auto, f32, bf16, int8, not 'f64'"):
        choose(plain, "x", precision="f64")
    with pytest.raises(WeightsError, match=r"w\.onnx: not quantised, so it cannot run in int8; .*detect quantize"):
        choose(plain, "w.onnx", precision="int8")
    for precision in ("f32", "bf16"):
        with pytest.raises(WeightsError, match=rf"w\.onnx: quantised, so it runs in int8, not in {precision}"):
            choose(quantized, "w.onnx", precision=precision)


def test_a_detector_says_what_runs_it(
    plain: bytes, quantized: bytes, tmp_path: Path, machine: Callable[..., Any]
) -> None:
    machine(True, False)
    (tmp_path / "plain.onnx").write_bytes(plain)
    (tmp_path / "quantised.onnx").write_bytes(quantized)
    image = np.zeros((64, 64, 3), np.uint8)
    for engine in ("onnxruntime", "openvino"):
        exact = load_detector(tmp_path / "plain.onnx", engine=engine, precision="f32")
        rounded = load_detector(tmp_path / "quantised.onnx", engine=engine)
        assert (exact.engine, exact.precision) == (engine, "f32")
        assert (rounded.engine, rounded.precision) == (engine, "int8")
        assert exact.detect([image]) == rounded.detect([image])  # multiples of the scale, all of them


@needs_bf16
def test_bf16_that_openvino_cannot_bring_is_refused(
    plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain.onnx").write_bytes(plain)
    assert load_detector(tmp_path / "plain.onnx", precision="bf16").precision == "bf16"
    monkeypatch.setitem(sys.modules, "openvino", None)  # as where it is not installed
    with pytest.raises(EngineError, match=r"pip install 'nsfw-censor\[openvino\]'"):
        load_detector(tmp_path / "plain.onnx", precision="bf16")


def test_f32_is_what_onnxruntime_computes_bit_for_bit(
    astronaut: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    original = OnnxRuntimeSession.run

    def counted(self: OnnxRuntimeSession, batch: Any) -> Any:
        runs.append(1)
        return original(self, batch)

    monkeypatch.setattr(OnnxRuntimeSession, "run", counted)
    named = load_detector(engine="onnxruntime", precision="f32").detect([astronaut])
    assert load_detector(precision="f32").detect([astronaut]) == named
    assert load_detector(pictures=_FEW + 1).detect([astronaut]) == named
    assert len(runs) == 3


def test_a_few_pictures_get_a_network_that_is_sooner_loaded_and_finds_the_same(
    astronaut: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    original = OnnxRuntimeSession.__init__

    def watched(self: Any, model: bytes, *, brief: bool, **options: Any) -> None:
        asked.append(brief)
        original(self, model, brief=brief, **options)

    monkeypatch.setattr(OnnxRuntimeSession, "__init__", watched)
    (few,), (many,) = (load_detector(pictures=count).detect([astronaut]) for count in (_FEW, _FEW + 1))
    assert asked == [True, False]
    assert len(few) > 0
    np.testing.assert_array_equal(few.labels, many.labels)
    np.testing.assert_allclose(few.scores, many.scores, atol=1e-5)
    np.testing.assert_allclose(few.xyxy, many.xyxy, atol=0.01)


def test_one_picture_is_not_made_to_wait_for_openvino(astronaut: NDArray[np.uint8], tmp_path: Path) -> None:
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    script = f"""
import sys
from censor.cli import main
try:
    main(["check", "-v", {str(tmp_path / "a.png")!r}])
finally:
    print(*sorted(name for name in sys.modules if name in ("onnxruntime", "openvino", "nncf", "torch", "onnx")))
"""
    root = Path(detect.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root, check=False)
    assert done.stdout.splitlines()[-1] == "onnxruntime"
    assert done.stderr.splitlines()
    assert all(": engine onnxruntime, precision f32, threads " in line for line in done.stderr.splitlines())


def test_the_command_passes_its_options_on(
    astronaut: NDArray[np.uint8], tmp_path: Path, plain: bytes, quantized: bytes
) -> None:
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    (tmp_path / "plain.onnx").write_bytes(plain)
    (tmp_path / "quantised.onnx").write_bytes(quantized)

    def run(*options: Any) -> Result:
        return CliRunner().invoke(main, ["check", "--policy", "boxes", "-v", str(tmp_path / "a.png"), *options])

    result = run("--engine", "openvino", "--precision", "f32", "--weights", str(tmp_path / "plain.onnx"))
    assert result.stderr.startswith("plain: engine openvino, precision f32, threads ")
    result = run("--weights", str(tmp_path / "quantised.onnx"))
    assert result.stderr.startswith("quantised: engine onnxruntime, precision int8, threads ")
    result = run("--engine", "onnxruntime", "--precision", "bf16")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    result = run("--precision", "int8")
    assert (result.exit_code, "not quantised" in result.stderr) == (1, True)


def test_tiles_count_as_pictures(
    astronaut: NDArray[np.uint8], tmp_path: Path, plain: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    (tmp_path / "plain.onnx").write_bytes(plain)
    told = []
    original = load_detector

    def load(*arguments: Any, pictures: int, **named: Any) -> LoadedDetector:
        told.append(pictures)
        return original(*arguments, pictures=pictures, **named)

    monkeypatch.setattr("detect.installed.load_detector", load)
    for more in ([], ["--tile"]):
        arguments = ["check", "--policy", "boxes", "--weights", str(tmp_path / "plain.onnx"), *more]
        CliRunner().invoke(main, [*arguments, str(tmp_path / "a.png")])
    assert told == [1, 20]


@pytest.mark.parametrize("provider", ["cuda", "tensorrt", "coreml", "directml"])
def test_a_provider_that_is_not_installed_is_refused(
    plain: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["AzureExecutionProvider"])
    (tmp_path / "w.onnx").write_bytes(plain)
    with pytest.raises(EngineError, match=r"w\.onnx: the installed onnxruntime has no .*; it has Azure"):
        load_detector(tmp_path / "w.onnx", provider=provider)


def test_a_provider_that_does_not_start_is_refused(
    plain: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """onnxruntime runs on the processor instead, without a word that a program could read."""
    onnxruntime = import_quietly("onnxruntime")

    original = onnxruntime.InferenceSession

    def fall_back(model: bytes, options: Any, providers: list[tuple[str, dict[str, str]]]) -> Any:
        assert providers == [("CUDAExecutionProvider", {"use_tf32": "0"})]
        return original(model, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr("onnxruntime.InferenceSession", fall_back)
    (tmp_path / "w.onnx").write_bytes(plain)
    with pytest.raises(EngineError, match="could not start CUDAExecutionProvider and would run on CPUExecution"):
        load_detector(tmp_path / "w.onnx", provider="cuda")


def test_providers_that_started_are_told_from_those_that_round(
    plain: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = import_quietly("onnxruntime")

    original = onnxruntime.InferenceSession

    def start(model: bytes, options: Any, providers: list[str]) -> Any:
        session = original(model, options, providers=["CPUExecutionProvider"])
        monkeypatch.setattr(session, "get_providers", lambda: providers)
        return session

    names = {"coreml": "CoreMLExecutionProvider", "directml": "DmlExecutionProvider"}
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: list(names.values()))
    monkeypatch.setattr("onnxruntime.InferenceSession", start)
    (tmp_path / "w.onnx").write_bytes(plain)
    found = {name: load_detector(tmp_path / "w.onnx", provider=name) for name in names}
    assert {name: (each.engine, each.precision) for name, each in found.items()} == {
        "coreml": ("onnxruntime", "mixed"), "directml": ("onnxruntime", "f32"),
    }  # fmt: skip
    assert len(found["directml"].detect([np.zeros((64, 64, 3), np.uint8)])[0]) == 1


def test_what_a_provider_cannot_be_asked_for(plain: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.onnx").write_bytes(plain)
    with pytest.raises(ValueError, match="the provider cuda is onnxruntime's, not openvino's"):
        load_detector(tmp_path / "w.onnx", provider="cuda", engine="openvino")
    with pytest.raises(ValueError, match="coreml rounds as it sees fit: f32 cannot be promised"):
        load_detector(tmp_path / "w.onnx", provider="coreml", precision="f32")
    with pytest.raises(ValueError, match="bf16 needs the engine openvino"):
        load_detector(tmp_path / "w.onnx", provider="cuda", precision="bf16")
    for load in (load_detector, lambda path, provider: OnnxRuntimeSession(plain, source="x", provider=provider)):
        with pytest.raises(ValueError, match=r"provider must be one of cpu, cuda, .*, not 'tpu'"):
            load(tmp_path / "w.onnx", provider="tpu")


def test_safetensors_run_on_torch_alone(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    wrong: tuple[dict[str, Any], ...] = ({"engine": "openvino"}, {"precision": "int8"}, {"provider": "tensorrt"})
    for named in wrong:
        with pytest.raises(WeightsError, match=r"w\.safetensors: safetensors weights run on torch in .*, not on .* in"):
            load_detector(tmp_path / "w.safetensors", **named)
    with pytest.raises(ValueError, match=r"provider must be one of cpu, cuda, .*, not 'tpu'"):
        load_detector(tmp_path / "w.safetensors", provider="tpu")


def test_the_service_takes_every_engine_precision_and_provider() -> None:
    fields = Settings.model_fields
    for name, values in (("engine", ENGINES), ("precision", PRECISIONS), ("provider", tuple(PROVIDERS))):
        assert get_args(fields[name].annotation) == values
