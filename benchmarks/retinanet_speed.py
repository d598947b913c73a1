"""How fast our RetinaNet runs beside torchvision's own, at the same input on the same machine.

On a processor: torchvision's RetinaNet, eager, float32, called whole as its documents say (normalisation, network,
decoding, suppression), beside `detector.detect` on a picture of the same size (fitting, network, decoding, suppression)
on onnxruntime and OpenVINO in f32, bf16 and int8, and on torch in bf16. With a GPU (--device cuda): both at batch 1 and
32, from pictures in memory to boxes in memory, ours in f32, bf16, and bf16 compiled, and training steps of both.

Rounds alternate between all of them, and what is compared are medians. Random weights unless --weights names an
exported model; with --annotations and --images its COCO AP is measured at each precision. The fraction of the best
matrix product says how much of what the machine can do is used: the network's operations a second over those of the
best large matrix product that any installed library reaches on the same cores in the same precision.

    python benchmarks/retinanet_speed.py --out DIR
    python benchmarks/retinanet_speed.py --out DIR --device cuda
    python benchmarks/retinanet_speed.py --out DIR --weights model.onnx --images DIR --annotations test.json

Writes results.json, results.md and results.png.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matrix_rates import matrix_rates
from PIL import Image
from retinanet_cards import build_reference
from retinanet_cuda import on_cuda
from retinanet_rounds import Work, alternate, describe, forward_flops, picture_of, random_weights, rows_of

from detect import DetectError, load_detector
from detect.annotations import load_coco
from detect.annotations.pictures import list_pictures
from detect.evaluation.coco import evaluate
from detect.load import choose
from detect.models.quantize import quantize
from detect.pictures.rgb import read_rgb
from detect.retinanet.detector import TorchDetector
from detect.retinanet.export import export_onnx
from detect.runtime.sessions import OnnxRuntimeSession, cores, openvino_core
from detect.runtime.telemetry import import_quietly

TARGETS = {"ours bf16, OpenVINO": 3.0, "ours int8, OpenVINO": 5.5}
"""Times torchvision's speed on a processor."""


def on_cpu(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that runs on a processor."""
    torch.set_num_threads(options.threads)
    about = describe(options)
    torch_file = random_weights(options.out, about)
    files = prepare(options, torch_file)
    size = options.size
    picture = picture_of(size)
    reference = build_reference(len(about.names), backbone=options.backbone, size=size).eval()
    given = torch.from_numpy(picture).permute(2, 0, 1).float() / 255

    def whole_reference() -> object:
        with torch.inference_mode():
            return reference([given])

    rounded = TorchDetector(torch_file, device="cpu", precision="bf16")
    works: dict[str, Work] = {
        "torchvision f32, eager": whole_reference,
        "ours bf16, torch": lambda: rounded.detect([picture]),
    }
    for name, file, engine, precision in (
        ("ours f32, onnxruntime", "f32", "onnxruntime", "f32"),
        ("ours f32, OpenVINO", "f32", "openvino", "f32"),
        ("ours bf16, OpenVINO", "f32", "openvino", "bf16"),
        ("ours int8, onnxruntime", "int8", "onnxruntime", "int8"),
        ("ours int8, OpenVINO", "int8", "openvino", "int8"),
    ):
        try:
            detector = load_detector(files[file], engine=engine, precision=precision, threads=options.threads)
        except DetectError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            continue
        works[name] = lambda detector=detector: detector.detect([picture])
    taken = alternate(works, rounds=options.rounds, device="cpu")
    rates = matrix_rates(options.matrix, options.threads, options.rounds)
    rows = rows_of(taken, "torchvision f32, eager", forward_flops(about.build().eval(), size), rates)
    missed = [row["name"] for row in rows if row["times"] < TARGETS.get(row["name"], 0)]
    profiles = {}
    for precision in ("bf16", "int8"):
        if options.profile or f"ours {precision}, OpenVINO" in missed:
            file = files["int8" if precision == "int8" else "f32"]
            profiles[precision] = profile(file, picture, precision, options.threads)
    return {"rows": rows, "matrix": rates, "missed": missed, "profiles": profiles, "ap": accuracy(options, files)}


def prepare(options: argparse.Namespace, torch_file: Path) -> dict[str, Path]:
    """The exported network and its quantised sister."""
    files = {"f32": options.weights or options.out / "model.onnx", "int8": options.int8 or options.out / "int8.onnx"}
    if not files["f32"].exists():
        export_onnx(torch_file, files["f32"])
    if not files["int8"].exists():
        pictures = list_pictures(options.images)[: options.calibrate] if options.images else []
        if not pictures:
            Image.fromarray(picture_of(options.size)).save(options.out / "picture.png")
            pictures = [options.out / "picture.png"]
        content = files["f32"].read_bytes()
        files["int8"].write_bytes(quantize(content, pictures, source=str(files["f32"])))
    return files


def accuracy(options: argparse.Namespace, files: dict[str, Path]) -> dict[str, float]:
    """COCO AP by precision, where there is something to measure with."""
    if options.annotations is None or options.images is None:
        return {}
    data, found = load_coco(options.annotations, options.images), {}
    for precision, file in (("f32", files["f32"]), ("bf16", files["f32"]), ("int8", files["int8"])):
        try:
            detector = load_detector(file, min_score=0.01, precision=precision)
        except DetectError as error:
            print(f"AP in {precision}: left out: {error}", file=sys.stderr)
            continue
        answers = [detector.detect([read_rgb(image.path)])[0] for image in data.images]
        found[precision] = evaluate(data, answers).ap
    return found


def profile(file: Path, picture: np.ndarray[Any, np.dtype[np.uint8]], precision: str, threads: int) -> dict[str, float]:
    """Milliseconds by kind of layer and by what OpenVINO ran for it."""
    from detect.runtime.onnx_detector import OnnxDetector

    content = file.read_bytes()
    choose(content, str(file), precision=precision)  # refuses what the file is not
    batch = OnnxDetector(OnnxRuntimeSession(content, source=str(file)), source=str(file)).prepare(picture)
    core = openvino_core(str(file))
    # As `OpenVinoSession` does it: what int8 leaves out is in bf16 where the processor has that.
    bf16 = precision == "bf16" or "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32", "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False, "PERF_COUNT": True,
    }  # fmt: skip
    network = core.read_model(content)
    network.reshape(list(batch.shape))
    request = core.compile_model(network, "CPU", options).create_infer_request()
    for _ in range(3):
        request.infer([batch], share_inputs=True)
    counts: Counter[str] = Counter()
    for layer in request.get_profiling_info():
        counts[f"{layer.node_type} {layer.exec_type}"] += layer.real_time.total_seconds() * 1e3
    return {name: round(spent, 2) for name, spent in counts.most_common(12)}


def report(options: argparse.Namespace, result: dict[str, Any]) -> None:
    """JSON for programs, a table and a plot for people."""
    cuda = options.device == "cuda" and not options.rehearse
    name = torch.cuda.get_device_name() if cuda else f"{platform.machine()} CPU, {options.threads} threads"
    settings = {key: getattr(options, key) for key in ("backbone", "size", "rounds", "threads", "device")}
    (options.out / "results.json").write_text(
        json.dumps({"machine": name, "torch": torch.__version__, "settings": settings, **result}, indent=1) + "\n"
    )
    run = f"medians of {options.rounds} alternating rounds"
    lines = [
        f"RetinaNet {options.backbone} at {options.size} px on {name}, torch {torch.__version__}, {run}:", "",
        "| | ms | times torchvision | of the best matrix product |", "|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {row['name']} | {row['ms']:.1f} | {row['times']:.2f} | {row['of_matrix_rate']:.0%} |"
        for row in result["rows"]
    ]
    for precision, libraries in result["matrix"].items():
        said = ", ".join(f"{library} {rate / 1e9:,.0f}" for library, rate in libraries.items())
        lines += ["", f"Matrix product in {precision}, billions of operations a second: {said or 'none'}."]
    if result["ap"]:
        lines += ["", "AP: " + ", ".join(f"{name} {ap:.4f}" for name, ap in result["ap"].items()) + "."]
    for missed in result["missed"]:
        lines += ["", f"{missed}: below the target of {TARGETS[missed]} times."]
    for precision, layers in result["profiles"].items():
        lines += ["", f"Milliseconds by kind of layer, OpenVINO in {precision}:", ""]
        lines += [f"    {spent:8.2f}  {layer}" for layer, spent in layers.items()]
    (options.out / "results.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    agg, drawing = import_quietly("matplotlib.backends.backend_agg"), import_quietly("matplotlib.figure")
    figure = drawing.Figure(figsize=(8, 0.6 + 0.4 * len(result["rows"])), dpi=110, layout="constrained")
    agg.FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shown = result["rows"][::-1]
    bars = axes.barh([row["name"] for row in shown], [row["times"] for row in shown])
    axes.bar_label(bars, [f"{row['times']:.2f}x, {row['ms']:.0f} ms" for row in shown], padding=3)
    axes.margins(x=0.2)
    axes.set(xlabel="times the speed of torchvision's, eager, float32", title=name)
    figure.savefig(options.out / "results.png")


def main() -> None:
    """Measure on the processor or the GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--backbone", default="resnet101", choices=("resnet18", "resnet50", "resnet101"))
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=cores(), help="of every engine")
    parser.add_argument("--matrix", type=int, default=2048, help="side of the matrices on a processor")
    parser.add_argument("--weights", type=Path, help="exported ONNX file; random weights without it")
    parser.add_argument("--int8", type=Path, help="the same, quantised; made with --images where it is not there")
    parser.add_argument("--images", type=Path, help="pictures to calibrate on and to measure AP on")
    parser.add_argument("--calibrate", type=int, default=300, help="pictures at most")
    parser.add_argument("--annotations", type=Path, help="COCO file of --images: measure AP at each precision")
    parser.add_argument("--profile", action="store_true", help="say where the time goes even if targets are met")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32], help="on a GPU")
    parser.add_argument("--train-batch", type=int, default=16, help="on a GPU")
    parser.add_argument("--rehearse", action="store_true", help="run the GPU's part on the processor, not compiled")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    report(options, on_cuda(options) if options.device == "cuda" else on_cpu(options))


if __name__ == "__main__":
    main()
