"""Operations a second of products of large matrices: what the machine can do, in each precision."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Any

import numpy as np
import torch
from retinanet_rounds import Work, alternate

from detect.runtime.sessions import cores, openvino_core
from detect.runtime.telemetry import import_quietly


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
    openvino, ops = import_quietly("openvino"), import_quietly("openvino.opset13")
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
    request = openvino_core("a matrix product").compile_model(model, "CPU", options).create_infer_request()
    return lambda: request.infer([a], share_inputs=True, share_outputs=True)


def device_matrix_rates(device: str, rounds: int, side: int) -> dict[str, dict[str, float]]:
    """As `matrix_rates`, in torch on a device."""
    rates = {}
    for name, kind in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        a = torch.randn(side, side, device=device, dtype=kind)
        works: dict[str, Work] = {"product": partial(torch.matmul, a, a)}
        rates[name] = {"torch": 2 * side**3 / min(alternate(works, rounds=rounds, device=device)["product"])}
    return rates
