"""How fast our RetinaNet runs beside torchvision's own, at the same input on the same machine.

On a processor: torchvision's RetinaNet, eager, float32, called whole as its documents say (normalisation, network,
decoding, suppression), beside `detector.detect` on a picture of the same size (fitting, network, decoding, suppression)
on onnxruntime and OpenVINO in f32, bf16 and int8, and beside our network in torch, bf16, channels last. With a GPU
(--device cuda): both at batch 1 and 32, ours in bf16, channels last and compiled, and training steps of both.

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
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from retinanet_cards import build_reference
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from detect import DetectError, load_detector
from detect.annotations import load_coco
from detect.annotations.pictures import list_pictures, read_rgb
from detect.labels import CLASSES
from detect.load import choose
from detect.quantize import quantise
from detect.retinanet.checkpoint import Description, save_weights
from detect.retinanet.dataset import normalise
from detect.retinanet.evaluate import evaluate
from detect.retinanet.export import export_onnx
from detect.retinanet.model import RetinaNet
from detect.runtime.retinanet import AnchorGrid
from detect.runtime.sessions import cores

TARGETS = {"ours bf16, OpenVINO": 3.0, "ours int8, OpenVINO": 5.5}
"""Times torchvision's speed on a processor."""

Work = Callable[[], object]


def describe(options: argparse.Namespace) -> Description:
    """What `train_retinanet.py` would train by default, at the size asked for."""
    return Description(
        names=CLASSES, size=options.size, backbone=options.backbone, norm="batch", head_norm=True, channels=256,
        box_loss="l1", grid=AnchorGrid.standard(),
    )  # fmt: skip


def picture_of(size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A seeded picture with structure at every scale: pure noise would be like no photograph."""
    rng = np.random.default_rng(0)
    whole = np.zeros((size, size, 3), np.float32)
    for cells in (4, 16, 64, 256):
        part = rng.integers(0, 256, (cells, cells, 3), np.uint8)
        whole += np.asarray(Image.fromarray(part).resize((size, size), Image.Resampling.BILINEAR), np.float32) / 4
    return whole.astype(np.uint8)


def alternate(works: dict[str, Work], *, rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds of every work in every round; the first round warms up and does not count."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            if device == "cuda":
                torch.cuda.synchronize()
            start = time.perf_counter()
            work()
            if device == "cuda":
                torch.cuda.synchronize()
            if number:
                taken[name].append(time.perf_counter() - start)
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    return taken


def forward_flops(model: RetinaNet, size: int) -> int:
    """Multiplications and additions of one picture."""
    device = next(model.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, size, size, device=device))
    return int(counter.get_total_flops())


# --- matrix products -------------------------------------------------------------------------------------------------


def matrix_rates(side: int, threads: int, rounds: int) -> dict[str, dict[str, float]]:
    """Operations a second of a product of two square matrices, by precision and library; what fails is left out."""
    works: dict[str, dict[str, Work]] = {"f32": {}, "bf16": {}, "int8": {}}
    a = np.random.default_rng(0).standard_normal((side, side), np.float32)
    plain = torch.from_numpy(a)
    rounded, whole = plain.bfloat16(), torch.from_numpy(np.clip(a * 30, -127, 127).astype(np.int8))
    works["f32"] = {"torch": lambda: plain @ plain}
    works["bf16"] = {"torch": lambda: rounded @ rounded}
    works["int8"] = {"torch": lambda: torch._int_mm(whole, whole)}  # noqa: SLF001  # torch has no public one
    if threads == cores():  # its library was told when numpy was imported
        works["f32"]["numpy"] = lambda: a @ a
    for precision, libraries in works.items():
        try:
            libraries["OpenVINO"] = openvino_product(a, precision, threads)
        except (ImportError, RuntimeError) as error:
            print(f"no OpenVINO matrix product in {precision}: {error}", file=sys.stderr)
    rates: dict[str, dict[str, float]] = {precision: {} for precision in works}
    for precision, libraries in works.items():
        for name, work in libraries.items():
            try:
                work()
            except RuntimeError as error:
                print(f"no {name} matrix product in {precision}: {error}", file=sys.stderr)
                continue
            taken = []
            for _ in range(rounds):
                start = time.perf_counter()
                work()
                taken.append(time.perf_counter() - start)
            rates[precision][name] = 2 * side**3 / min(taken)
    return rates


def openvino_product(a: np.ndarray[Any, np.dtype[np.float32]], precision: str, threads: int) -> Work:
    """One matrix, known beforehand as a layer's weights are, times another."""
    import openvino
    from openvino import opset13 as ops

    given = ops.parameter(list(a.shape), np.float32)
    left, right = given, ops.constant(a)
    if precision == "int8":
        low, high = np.float32(-4), np.float32(4)
        left, right = (ops.fake_quantize(each, low, high, low, high, 255) for each in (left, right))
    model = openvino.Model([ops.matmul(left, right, False, False)], [given])
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32", "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False,
    }  # fmt: skip
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    return lambda: request.infer([a], share_inputs=True, share_outputs=True)


def device_matrix_rates(device: str, rounds: int, side: int) -> dict[str, dict[str, float]]:
    """As `matrix_rates`, in torch on a device."""
    rates = {}
    for name, kind in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        a = torch.randn(side, side, device=device, dtype=kind)
        works: dict[str, Work] = {"product": lambda a=a: a @ a}
        rates[name] = {"torch": 2 * side**3 / min(alternate(works, rounds=rounds, device=device)["product"])}
    return rates


# --- on a processor --------------------------------------------------------------------------------------------------


def on_cpu(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that runs on a processor."""
    torch.set_num_threads(options.threads)
    about = describe(options)
    files, model = prepare(options, about)
    size = options.size
    picture = picture_of(size)
    reference = build_reference(len(about.names), backbone=options.backbone, size=size).eval()
    given = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
    last = model.eval().to(memory_format=torch.channels_last)

    def whole_reference() -> object:
        with torch.inference_mode():
            return reference([given])

    def torch_bf16() -> object:
        images = normalise(torch.from_numpy(picture).permute(2, 0, 1)[None], about.mean, about.std)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            return last.predict(images.to(memory_format=torch.channels_last))

    works: dict[str, Work] = {"torchvision f32, eager": whole_reference, "ours bf16, torch": torch_bf16}
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
    rows = rows_of(taken, "torchvision f32, eager", forward_flops(model, size), rates)
    missed = [row["name"] for row in rows if row["times"] < TARGETS.get(row["name"], 0)]
    profiles = {}
    for precision in ("bf16", "int8"):
        if options.profile or f"ours {precision}, OpenVINO" in missed:
            file = files["int8" if precision == "int8" else "f32"]
            profiles[precision] = profile(file, picture, precision, options.threads)
    return {"rows": rows, "matrix": rates, "missed": missed, "profiles": profiles, "ap": accuracy(options, files)}


def prepare(options: argparse.Namespace, about: Description) -> tuple[dict[str, Path], RetinaNet]:
    """The exported network, its quantised sister, and the network in torch (random where a file was named)."""
    torch.manual_seed(0)
    model = about.build()
    files = {"f32": options.weights or options.out / "model.onnx", "int8": options.int8 or options.out / "int8.onnx"}
    if not files["f32"].exists():
        nn.init.normal_(model.head.classification_head.cls_logits.weight, std=0.01)
        save_weights(options.out / "model.safetensors", model, about)
        export_onnx(options.out / "model.safetensors", files["f32"])
    if not files["int8"].exists():
        pictures = list_pictures(options.images)[: options.calibrate] if options.images else []
        if not pictures:
            Image.fromarray(picture_of(options.size)).save(options.out / "picture.png")
            pictures = [options.out / "picture.png"]
        content = files["f32"].read_bytes()
        files["int8"].write_bytes(quantise(content, pictures, source=str(files["f32"])))
    return files, model


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
    import openvino

    from detect.runtime.onnx_detector import OnnxDetector
    from detect.runtime.sessions import OnnxRuntimeSession

    content = file.read_bytes()
    choose(content, str(file), precision=precision)  # refuses what the file is not
    batch = OnnxDetector(OnnxRuntimeSession(content, source=str(file)), source=str(file)).prepare(picture)
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32", "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False, "PERF_COUNT": True,
    }  # fmt: skip
    core = openvino.Core()
    request = core.compile_model(core.read_model(content), "CPU", options).create_infer_request()
    for _ in range(3):
        request.infer([batch], share_inputs=True)
    counts: Counter[str] = Counter()
    for layer in request.get_profiling_info():
        counts[f"{layer.node_type} {layer.exec_type}"] += layer.real_time.total_seconds() * 1e3
    return {name: round(spent, 2) for name, spent in counts.most_common(12)}


# --- on a GPU --------------------------------------------------------------------------------------------------------


def on_cuda(options: argparse.Namespace) -> dict[str, Any]:
    """Inference at each batch size, and training steps; pictures lie on the device already."""
    about, size, device = describe(options), options.size, "cpu" if options.rehearse else "cuda"
    torch.manual_seed(0)
    reference = build_reference(len(about.names), backbone=options.backbone, size=size).to(device)
    model = about.build().to(device).to(memory_format=torch.channels_last)
    flops = forward_flops(model, size)
    rates = device_matrix_rates(device, options.rounds, 256 if options.rehearse else 8192)
    rows = []
    for batch in options.batches:
        taken = alternate(cuda_inference(reference, model, about, size, batch), rounds=options.rounds, device=device)
        rows += rows_of(taken, "torchvision f32, eager", flops * batch, rates, suffix=f", batch {batch}")
    works = cuda_training(reference, model, about, size, options.train_batch)
    taken = alternate(works, rounds=options.rounds, device=device)
    suffix = f", training, batch {options.train_batch}"
    rows += rows_of(taken, "torchvision f32, eager", 3 * flops * options.train_batch, rates, suffix=suffix)
    return {"rows": rows, "matrix": rates, "missed": [], "profiles": {}, "ap": {}}


def cuda_inference(
    reference: nn.Module, model: RetinaNet, about: Description, size: int, batch: int
) -> dict[str, Work]:
    """The whole call of torchvision, and ours: bytes in, boxes out."""
    device = next(model.parameters()).device
    one = torch.from_numpy(picture_of(size)).permute(2, 0, 1).to(device)
    floats, images = [one.float() / 255] * batch, one[None].repeat(batch, 1, 1, 1)
    reference.eval()
    compiled = compiled_for_inference(model)

    def theirs(bf16: bool) -> object:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return reference(floats)

    def ours() -> object:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            given = normalise(images, about.mean, about.std).contiguous(memory_format=torch.channels_last)
            return compiled.predict(given)

    return {
        "torchvision f32, eager": lambda: theirs(False),
        "torchvision bf16, eager": lambda: theirs(True),
        "ours bf16, compiled": ours,
    }


def compiled_for_inference(model: RetinaNet) -> RetinaNet:
    """The same network whose `forward` is compiled into CUDA graphs; decoding stays as it is."""
    model.eval()
    if next(model.parameters()).device.type != "cuda":
        return model
    model.forward = torch.compile(type(model).forward.__get__(model), mode="reduce-overhead")  # type: ignore[method-assign]
    return model


def cuda_training(reference: nn.Module, model: RetinaNet, about: Description, size: int, batch: int) -> dict[str, Work]:
    """One step of each: forward, losses, backward, SGD; the same boxes, five a picture."""
    device, rng = next(model.parameters()).device, torch.Generator().manual_seed(0)
    corner = torch.rand(batch, 5, 2, generator=rng) * size * 0.7
    boxes = torch.cat([corner, corner + size * 0.1 + torch.rand(batch, 5, 2, generator=rng) * size * 0.2], 2).to(device)
    labels = torch.randint(0, len(about.names), (batch, 5), generator=rng).to(device)
    one = torch.from_numpy(picture_of(size)).permute(2, 0, 1).to(device)
    images, floats = one[None].repeat(batch, 1, 1, 1), [one.float() / 255] * batch
    targets = [{"boxes": each, "labels": label} for each, label in zip(boxes, labels, strict=True)]
    reference.train()
    model.train()
    model.__dict__.pop("forward", None)  # what was compiled for inference
    network, losses_of = model, model.losses
    if device.type == "cuda":
        network, losses_of = torch.compile(network), torch.compile(losses_of)
    steps = {which: torch.optim.SGD(which.parameters(), lr=1e-6, momentum=0.9) for which in (reference, model)}

    def learn(which: nn.Module, losses: dict[str, Tensor]) -> None:
        steps[which].zero_grad()
        sum(losses.values(), torch.zeros((), device=device)).backward()
        steps[which].step()

    def theirs(bf16: bool) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            losses = reference(floats, targets)
        learn(reference, losses)

    def ours() -> None:
        given = normalise(images, about.mean, about.std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            outputs = network(given)
        learn(model, losses_of(outputs, model.anchors(given), boxes, labels))

    return {
        "torchvision f32, eager": lambda: theirs(False),
        "torchvision bf16, eager": lambda: theirs(True),
        "ours bf16, compiled": ours,
    }


# --- what is said of it ----------------------------------------------------------------------------------------------


def rows_of(
    taken: dict[str, list[float]], baseline: str, flops: int, rates: dict[str, dict[str, float]], *, suffix: str = ""
) -> list[dict[str, Any]]:
    """Medians, how many times the baseline, and the share of the best matrix product in the same precision."""
    base, rows = statistics.median(taken[baseline]), []
    for name, seconds in taken.items():
        precision = next(each for each in ("f32", "bf16", "int8") if each in name)
        best = max(rates.get(precision, {}).values(), default=float("nan"))
        median = statistics.median(seconds)
        rows.append(
            {
                "name": name + suffix, "ms": round(median * 1e3, 2), "fastest_ms": round(min(seconds) * 1e3, 2),
                "times": round(base / median, 2), "of_matrix_rate": round(flops / median / best, 3),
            }
        )  # fmt: skip
    return rows


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
    figure = Figure(figsize=(8, 0.6 + 0.4 * len(result["rows"])), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
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
