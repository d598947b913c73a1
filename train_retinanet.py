"""Train a RetinaNet on COCO boxes; read from top to bottom: options, a few pieces, one loop. See docs/training.md."""

from __future__ import annotations

import dataclasses
import math
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from detect.annotations import CocoDataset, load_coco
from detect.detections import Detections, RGBImage
from detect.errors import DetectError
from detect.evaluation.coco import Evaluation, evaluate
from detect.evaluation.plots import draw_curves, draw_worst
from detect.retinanet.backbones import Norm, colors_of, resolve_norm, synchronized
from detect.retinanet.checkpoint import Description, save_weights
from detect.retinanet.dataset import Augment, PictureSet, collate, image_weights, padded_rows
from detect.retinanet.inference import predict_dataset
from detect.retinanet.losses import BoxLoss
from detect.retinanet.model import RetinaNet, load_backbone
from detect.runtime.retinanet import AnchorGrid
from detect.training.batches import Batches, worker_options
from detect.training.checkpoint import check_resumed, load_state, restore, save_state
from detect.training.ema import Ema
from detect.training.normalization import normalize
from detect.training.optimization import build_optimizer, learning_rate, set_learning_rate
from detect.training.options import STATE, option, read_options
from detect.training.processes import Processes, count_processes, reason, started_processes, stopping_on_sigterm
from detect.training.runlog import RunLog, peak_memory


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The options of a run; saved with its weights. The defaults: the sample set, eight minutes on two cores."""

    train: str = option("annotations/sample/train.json", "COCO file to learn from")
    train_images: str = option("annotations/sample/train", "folder of its pictures")
    val: str = option("annotations/sample/val.json", "COCO file to be measured by")
    val_images: str = option("annotations/sample/val", "folder of its pictures")
    out: str = option("runs/retinanet", "folder for weights, state, log and TensorBoard")
    backbone: str = option("resnet18", "which network: torchvision's name, or timm/ and timm's")
    backbone_weights: str = option(
        "none", "imagenet (downloaded by torchvision), a file, also of train_classifier.py, or none"
    )
    norm: str = option(
        "auto",
        "of the backbone; auto: frozen if pretrained, else batch, or own",
        ("auto", *get_args(Norm)),
    )
    head_norm: bool = option(True, "group normalisation in the heads")
    channels: int = option(256, "of the pyramid and the heads, a multiple of 32 from 64 on")
    box_loss: str = option("l1", "loss of the boxes", get_args(BoxLoss))
    smallest_anchor: int = option(32, "side of the smallest anchor in pixels of the input")
    size: int = option(192, "side of the input in pixels, a multiple of 32")
    epochs: int = option(40, "passes over the training pictures")
    batch_size: int = option(8, "pictures a step of the optimiser, in all processes together")
    accumulate: int = option(1, "parts each process cuts its share of a batch into, to save memory")
    optimizer: str = option("adamw", "which optimiser", ("adamw", "sgd"))
    lr: float = option(5e-4, "highest learning rate; about 5e-4 for adamw, .01 a batch of 16 for sgd")
    weight_decay: float = option(0.05, "of weights, not of biases and norms; about .05 for adamw, 1e-4 for sgd")
    momentum: float = option(0.9, "of sgd")
    warmup: int = option(50, "steps until the highest learning rate")
    clip: float = option(10.0, "longest gradient; 0 for any")
    ema: float = option(0.998, "share of the average that stays at each step; 0 for none")
    augment: str = option("full", "how pictures are varied", get_args(Augment))
    balance: bool = option(False, "draw pictures of rare classes more often")
    precision: str = option("auto", "auto: bf16 on CUDA, else fp32", ("auto", "bf16", "fp32"))
    compile: bool = option(False, "torch.compile")
    channels_last: str = option("auto", "memory layout; auto: on CUDA alone", ("auto", "yes", "no"))
    workers: int = option(2, "processes that read pictures, for each process that trains")
    device: str = option("auto", "auto: CUDA if there is one", ("auto", "cpu", "cuda"))
    seed: int = option(0, "everything random follows from it")
    eval_every: int = option(5, "epochs between evaluations")
    save_every: int = option(1, "epochs between saved states")
    log_every: int = option(10, "steps between lines")


def parse(arguments: Sequence[str] | None) -> tuple[Config, bool]:
    """Options from the command line; with --resume, those not given come from the saved state."""
    options = read_options(Config, arguments, description=__doc__)
    config, parser = options.config(), options.parser
    if config.size % 32 or config.channels % 32 or config.channels < 64:
        parser.error(f"--size and --channels must be multiples of 32, not {config.size} and {config.channels}")
    if config.batch_size % (share := config.accumulate * count_processes()):
        parser.error(f"--batch-size {config.batch_size} cannot be shared by {share} parts, processes counted in")
    if config.norm == "frozen" and config.backbone_weights == "none":
        parser.error("--norm frozen needs --backbone-weights: from scratch its statistics are the identity for ever")
    try:
        resolve_norm(config.backbone, config.norm, is_pretrained=config.backbone_weights != "none")
    except ValueError as error:
        parser.error(f"--backbone {error}")
    return config, options.resumed


def describe(config: Config, names: Sequence[str]) -> Description:
    """What the weights will say of themselves."""
    mean, std = colors_of(config.backbone)
    return Description(
        names=names,
        size=config.size,
        backbone=config.backbone,
        norm=resolve_norm(config.backbone, config.norm, is_pretrained=config.backbone_weights != "none"),
        head_norm=config.head_norm,
        channels=config.channels,
        box_loss=config.box_loss,  # type: ignore[arg-type]  # argparse has checked the choice
        grid=AnchorGrid.standard(config.smallest_anchor),
        mean=mean,
        std=std,
        config=dataclasses.asdict(config),
    )


def evaluate_together(
    model: RetinaNet, data: CocoDataset, description: Description, config: Config, processes: Processes
) -> tuple[Evaluation, list[Detections]]:
    """Every process looks at its share of the pictures; all of them get the result."""
    share = (processes.rank, processes.count)
    mine = predict_dataset(model, data, description=description, batch_size=8, workers=config.workers, share=share)
    found = processes.gather(mine, len(data))
    return evaluate(data, found), found


def for_people(
    result: Evaluation, data: CocoDataset, found: Sequence[Detections]
) -> tuple[dict[str, float], dict[str, RGBImage]]:
    """What TensorBoard shows of an evaluation: figures, and pictures of it."""
    scalars = {f"val/{name}": float(getattr(result, name)) for name in ("ap", "ap50", "ap75", "ar")}
    scalars |= {f"val_ap50/{row.name}": row.ap50 for row in result.classes if row.boxes}
    worst = draw_worst(data, found, min_score=0.3)
    return scalars, {"val/precision_recall": draw_curves(result), "val/worst": worst}


def train(config: Config, resumed: bool, *, stopping: list[int], processes: Processes) -> int:
    """Train until the end or until `stopping` is not empty; returns the exit code."""
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    state_file, device = out / STATE, processes.device

    # Data.
    data = load_coco(config.train, config.train_images)
    val = load_coco(config.val, config.val_images, names=data.names)
    steps = max(1, round(config.epochs * len(data) / config.batch_size))

    # Network: every process builds the same one, from the same seed.
    torch.manual_seed(config.seed)
    description = describe(config, data.names)
    model = description.build()
    if config.backbone_weights != "none" and not resumed:
        load_backbone(model, config.backbone_weights, backbone=description.backbone)
    layout = processes.prepare(model, channels_last=config.channels_last)
    if processes.count > 1 and device.type == "cuda":
        model = synchronized(model)
    ema = Ema(model, decay=config.ema)
    optimizer = build_optimizer(
        model, kind=config.optimizer, lr=config.lr, weight_decay=config.weight_decay, momentum=config.momentum
    )
    rate = partial(learning_rate, steps=steps, highest=config.lr, warmup=config.warmup)
    step, best = 0, -1.0
    if resumed:
        tensors, metadata, progress = load_state(state_file)
        check_resumed(progress, names=data.names, state=state_file)
        restore(tensors, metadata, model=model, ema=ema.model, optimizer=optimizer)
        step, best = progress["step"], progress["best"]
    network, losses_of = processes.share(model), model.losses
    if config.compile:
        network, losses_of = torch.compile(network), torch.compile(losses_of)
    bf16 = processes.uses_bf16(config.precision)

    # Pictures: one loader for what is left of the run, so that its workers never stop between epochs.
    batches = Batches(
        len(data),
        batch_size=config.batch_size,
        steps=steps,
        seed=config.seed,
        start=step,
        weights=image_weights(data) if config.balance else None,
        parts=config.accumulate,
        rank=processes.rank,
        processes=processes.count,
    )
    loader = DataLoader(
        PictureSet(data, size=config.size, augment=config.augment, seed=config.seed),  # type: ignore[arg-type]
        batch_sampler=batches,
        collate_fn=partial(collate, rows=padded_rows(data)),
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
        sums = torch.zeros(2, device=device)
        for part in range(config.accumulate):
            batch = next(feed)
            pixels, boxes, labels = (values.to(device, non_blocking=True) for values in batch[:3])
            images = normalize(pixels.to(memory_format=layout), description.mean, description.std)
            final = processes.count == 1 or part == config.accumulate - 1
            with nullcontext() if final else network.no_sync():
                with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                    outputs = network(images)
                losses = losses_of(outputs, model.anchors(images), boxes, labels)
                loss = torch.stack([losses["classification"], losses["bbox_regression"]]) / config.accumulate
                loss.sum().backward()  # type: ignore[no-untyped-call]
            sums += loss.detach()
        gradient = nn.utils.clip_grad_norm_(model.parameters(), config.clip or math.inf)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        ema.update(model, step=step)
        waiting.append(torch.stack([*sums, gradient]))
        step += 1

        # What is due now; nothing below is needed at most steps.
        epoch, epoch_before = (s * config.batch_size / len(data) for s in (step, step - 1))
        saves, evaluates = (
            step == steps or epoch // every > epoch_before // every for every in (config.save_every, config.eval_every)
        )
        if not (step % config.log_every == 0 or saves or evaluates or (stopping and processes.count == 1)):
            continue
        table, stopped = processes.look(waiting, is_stopping=bool(stopping))
        figures, first = ("classification", "bbox_regression", "gradient"), step - len(table)
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
            result, found = evaluate_together(ema.model, val, description, config, processes)
            at = {"step": step, "epoch": round(epoch, 3), "memory_mib": round(peak_memory(device))}
            metrics = at | result.summary()
            described = dataclasses.replace(description, metrics=metrics, thresholds=result.thresholds())
            if log:
                log.evaluation(step, metrics, *for_people(result, val, found))
                save_weights(out / "last.safetensors", ema.model, described)
                if result.ap > best:
                    save_weights(out / "best.safetensors", ema.model, described)
                print(
                    f"step {step} AP {result.ap:.4f} AP50 {result.ap50:.4f} best AP {max(best, result.ap):.4f}",
                    flush=True,
                )
            best = max(best, result.ap)
        if log and (saves or stopped):
            done = {"step": step, "best": best, "names": data.names, "config": dataclasses.asdict(config)}
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
