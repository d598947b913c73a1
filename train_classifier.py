"""Train a classifier of whole pictures; read from top to bottom: options, a few pieces, one loop.

See docs/training-classifiers.md.
"""

from __future__ import annotations

import dataclasses
import math
import re
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from detect.annotations.classes import ClassSet, check_readable, read_classes
from detect.classifier.fit import RESIZES
from detect.errors import AnnotationsError, DetectError
from detect.training.batches import Batches, rarity_weights, worker_options
from detect.training.checkpoint import check_resumed, load_state, restore, save_state
from detect.training.classifier.architectures import ARCHITECTURES
from detect.training.classifier.checkpoint import STRIDE, Description, Input, read_pretrained, save_weights
from detect.training.classifier.dataset import Augment, ClassPictures
from detect.training.classifier.evaluation import for_people, measure, predict_classes
from detect.training.classifier.recipes import RECIPES
from detect.training.ema import Ema
from detect.training.optimization import build_optimizer, learning_rate, set_learning_rate
from detect.training.options import STATE, option, read_options
from detect.training.processes import Processes, count_processes, reason, started_processes, stopping_on_sigterm
from detect.training.runlog import RunLog, peak_memory


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The options of a run; saved with its weights."""

    train: str = option("classes/train", "pictures to learn from: a folder of class folders, or a CSV file")
    val: str = option("classes/val", "pictures to be measured by, the same way")
    out: str = option("runs/classifier", "folder for weights, state, log and TensorBoard")
    name: str = option("auto", "what policies and reports call it; auto: as --out")
    nsfw: str = option("nsfw", "class that means NSFW, or several with commas between them")
    recipe: str = option("plain", "where the other options begin", tuple(RECIPES))
    architecture: str = option("resnet18", "which network", tuple(ARCHITECTURES))
    backbone_weights: str = option("none", "a file of trained weights, or none")
    frozen_norm: str = option("auto", "keep statistics of BatchNorm; auto: with trained weights", ("auto", "yes", "no"))
    size: int = option(224, f"side of the input in pixels, a multiple of {STRIDE}")
    resize: str = option("squash", "how pictures of other shapes are fitted", RESIZES)
    dropout: float = option(0.0, "share of the last features that each step leaves out")
    label_smoothing: float = option(0.0, "share of each label that is spread over all")
    epochs: int = option(30, "passes over the training pictures")
    batch_size: int = option(32, "pictures a step of the optimiser, in all processes together")
    accumulate: int = option(1, "parts each process cuts its share of a batch into, to save memory")
    optimizer: str = option("adamw", "which optimiser", ("adamw", "sgd"))
    lr: float = option(5e-4, "highest learning rate")
    last_factor: float = option(1.0, "learning rate of the last layer over that of the others")
    weight_decay: float = option(0.05, "of weights, not of biases and norms; L2 for sgd")
    momentum: float = option(0.9, "of sgd")
    warmup: int = option(20, "steps until the highest learning rate")
    clip: float = option(10.0, "longest gradient; 0 for any")
    ema: float = option(0.998, "share of the average that stays at each step; 0 for none")
    augment: str = option("flip", "how pictures are varied", get_args(Augment))
    balance: bool = option(False, "draw pictures of rare classes more often")
    precision: str = option("auto", "auto: bf16 on CUDA, else fp32", ("auto", "bf16", "fp32"))
    compile: bool = option(False, "torch.compile")
    channels_last: str = option("auto", "memory layout; auto: on CUDA alone", ("auto", "yes", "no"))
    workers: int = option(2, "processes that read pictures, for each process that trains")
    device: str = option("auto", "auto: CUDA if there is one", ("auto", "cpu", "cuda"))
    seed: int = option(0, "everything random follows from it")
    eval_every: int = option(1, "epochs between evaluations")
    save_every: int = option(1, "epochs between saved states")
    log_every: int = option(10, "steps between lines")


def parse(arguments: Sequence[str] | None) -> tuple[Config, bool]:
    """Options from the command line; with --resume, those not given come from the saved state."""
    options = read_options(Config, arguments, description=__doc__)
    parser, named = options.parser, options.given.get("recipe", Config.recipe)
    if "recipe" in options.given and options.saved.get("recipe", named) != named:
        parser.error(f"--recipe {named} is where a run begins; this one began with {options.saved['recipe']}")
    config = options.config(**RECIPES[named])
    if config.size % STRIDE or config.size < STRIDE:
        parser.error(f"--size must be a multiple of {STRIDE}, not {config.size}")
    if config.batch_size % (share := config.accumulate * count_processes()):
        parser.error(f"--batch-size {config.batch_size} cannot be shared by {share} parts, processes counted in")
    if not 0 <= config.dropout < 1:
        parser.error(f"--dropout must lie in [0, 1), not {config.dropout}")
    if config.frozen_norm == "yes" and config.backbone_weights == "none":
        parser.error("--frozen-norm needs --backbone-weights: from scratch its statistics are the identity for ever")
    return config, options.resumed


def read_data(config: Config) -> tuple[ClassSet, ClassSet, tuple[str, ...]]:
    """Pictures to learn from and to be measured by, all of them looked at, and which of their classes mean NSFW."""
    data = read_classes(Path(config.train))
    val = read_classes(Path(config.val), names=data.names)
    nsfw = tuple(name.strip() for name in config.nsfw.split(","))
    if not set(nsfw) < set(data.names):
        names = ", ".join(data.names)
        raise AnnotationsError(f"{config.train}: --nsfw must name some of the classes {names}, not {config.nsfw!r}")
    for each in (data, val):
        check_readable(each)
    return data, val, nsfw


def describe(config: Config, names: Sequence[str], nsfw: Sequence[str], given: Input) -> Description:
    """What the weights will say of themselves."""
    called = config.name if config.name != "auto" else Path(config.out).resolve().name
    return Description(
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", called).strip("-._")[:64] or "classifier",
        names=names,
        nsfw=nsfw,
        architecture=config.architecture,
        size=config.size,
        resize=config.resize,
        input=given,
        dropout=config.dropout,
        config=dataclasses.asdict(config),
    )


def train(config: Config, resumed: bool, *, stopping: list[int], processes: Processes) -> int:
    """Train until the end or until `stopping` is not empty; returns the exit code."""
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    state_file, device = out / STATE, processes.device

    # Data.
    data, val, nsfw = read_data(config)
    steps = max(1, round(config.epochs * len(data) / config.batch_size))

    # Network: every process builds the same one, from the same seed.
    torch.manual_seed(config.seed)
    begins_trained = config.backbone_weights != "none"
    tensors, metadata, progress = load_state(state_file) if resumed else ({}, {}, {})
    pretrained, digest = None, data.digest()
    if resumed:
        check_resumed(progress, names=data.names, pictures=digest, nsfw=nsfw, state=state_file)
    elif begins_trained:
        pretrained = read_pretrained(Path(config.backbone_weights), config.architecture)
    given = Input(**progress["input"]) if resumed else pretrained.input if pretrained else None
    description = describe(config, data.names, nsfw, given or Input.of(config.architecture))
    try:
        model = description.build()
    except ValueError as error:
        raise DetectError(f"--size {config.size}: {error}") from error
    model.frozen = config.frozen_norm == "yes" or (config.frozen_norm == "auto" and begins_trained)
    if pretrained:
        pretrained.load(model, data.names)
    layout = processes.prepare(model, channels_last=config.channels_last)
    if processes.count > 1 and device.type == "cuda" and not model.frozen:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    ema = Ema(model, decay=config.ema)
    optimizer = build_optimizer(
        model, kind=config.optimizer, lr=config.lr, weight_decay=config.weight_decay, momentum=config.momentum,
        last=model.fc, last_factor=config.last_factor,
    )  # fmt: skip
    rate = partial(learning_rate, steps=steps, highest=config.lr, warmup=config.warmup)
    step, best = 0, math.inf
    if resumed:
        restore(tensors, metadata, model=model, ema=ema.model, optimizer=optimizer)
        step, best = progress["step"], progress["best"]
    network = processes.share(model)
    if config.compile:
        network = torch.compile(network)
    bf16 = processes.uses_bf16(config.precision)

    # Pictures: one loader for what is left of the run, so that its workers never stop between epochs.
    present = torch.eye(len(data.names), dtype=torch.bool).numpy()[[picture.label for picture in data.pictures]]
    batches = Batches(
        len(data),
        batch_size=config.batch_size,
        steps=steps,
        seed=config.seed,
        start=step,
        weights=rarity_weights(present) if config.balance else None,
        parts=config.accumulate,
        rank=processes.rank,
        processes=processes.count,
    )
    augment: Any = config.augment
    loader = DataLoader(
        ClassPictures(data, size=config.size, resize=config.resize, augment=augment, seed=config.seed),
        batch_sampler=batches,
        pin_memory=device.type == "cuda",
        **worker_options(config.workers),
    )
    feed = iter(loader)
    log = RunLog(out, start=step) if processes.rank == 0 else None
    waiting: list[Tensor] = []  # what nobody has looked at yet, and so nobody has waited for
    clock = time.perf_counter()
    model.train()
    while step < steps:
        # One step: gradients of every part, clipped, applied, averaged.
        set_learning_rate(optimizer, rate(step))
        total = torch.zeros(2, device=device)
        for part in range(config.accumulate):
            pixels, labels = (values.to(device, non_blocking=True) for values in next(feed))
            images = description.input.normalized(pixels).to(memory_format=layout)
            final = processes.count == 1 or part == config.accumulate - 1
            with nullcontext() if final else network.no_sync():
                with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                    logits = network(images)
                loss = functional.cross_entropy(logits.float(), labels, label_smoothing=config.label_smoothing)
                (loss / config.accumulate).backward()  # type: ignore[no-untyped-call]
            right = (logits.detach().argmax(dim=1) == labels).float().mean()
            total += torch.stack([loss.detach(), right]) / config.accumulate
        gradient = nn.utils.clip_grad_norm_(model.parameters(), config.clip or math.inf)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        ema.update(model, step=step)
        waiting.append(torch.stack([*total, gradient]))
        step += 1

        # What is due now; nothing below is needed at most steps.
        epoch, epoch_before = (s * config.batch_size / len(data) for s in (step, step - 1))
        saves, evaluates = (
            step == steps or epoch // every > epoch_before // every for every in (config.save_every, config.eval_every)
        )
        if not (step % config.log_every == 0 or saves or evaluates or (stopping and processes.count == 1)):
            continue
        table, stopped = processes.look(waiting, is_stopping=bool(stopping))
        figures, first = ("loss", "accuracy", "gradient"), step - len(table)
        rows = [{"step": first + at} | dict(zip(figures, row, strict=True)) for at, row in enumerate(table)]
        for row in rows:
            if not all(math.isfinite(value) for value in row.values()):
                raise FloatingPointError(f"the loss is not finite: {row}; the last good state is in {state_file}")
        pace = len(rows) * config.batch_size / (time.perf_counter() - clock)
        waiting.clear()
        if log:
            for row in rows:
                row |= {"lr": rate(int(row["step"])), "images_per_s": round(pace, 2)}
            log.losses(rows)
            parts = " ".join(f"{name} {value:.4f}" for name, value in rows[-1].items() if name != "step")
            left = timedelta(seconds=round((steps - step) * config.batch_size / pace))
            print(f"step {step}/{steps} epoch {epoch:.2f} {parts} {pace:.1f} images/s {left} left", flush=True)
        if evaluates:
            share = (processes.rank, processes.count)
            mine = predict_classes(ema.model, val, description=description, workers=config.workers, share=share)
            found = processes.gather(mine, len(val))
            result = measure(val, found, nsfw)
            metrics = {"step": step, "epoch": round(epoch, 3), "memory_mib": round(peak_memory(device))} | result
            described = dataclasses.replace(description, metrics=metrics)
            if log:
                log.evaluation(step, metrics, *for_people(val, found, described))
                save_weights(out / "last.safetensors", ema.model, described)
                if result["loss"] < best:
                    save_weights(out / "best.safetensors", ema.model, described)
                parts = " ".join(f"{name} {value:.4f}" for name, value in result.items())
                print(f"step {step} validation: {parts}", flush=True)
            best = min(best, result["loss"])
        if log and (saves or stopped):
            done = {
                "step": step, "best": best, "names": data.names, "nsfw": nsfw, "pictures": digest,
                "input": dataclasses.asdict(description.input), "config": dataclasses.asdict(config),
            }  # fmt: skip
            save_state(state_file, model=model, ema=ema.model, optimizer=optimizer, progress=done)
        if stopped and step < steps:
            print(f"stopped by a signal after step {step}; go on with --resume", file=sys.stderr)
            return 128 + signal.SIGTERM
        clock = time.perf_counter()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line says; returns the exit code."""
    try:
        config, resumed = parse(arguments)
        with started_processes(config.device) as processes, stopping_on_sigterm() as stopping:
            return train(config, resumed, stopping=stopping, processes=processes)
    except (DetectError, FloatingPointError) as error:
        print(reason(error), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
