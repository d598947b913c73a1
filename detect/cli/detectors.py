"""The commands about detectors: arguments in, text and files out. `evaluate` needs no torch for an ONNX file."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detect.annotations import CocoDataset, load_coco
from detect.annotations.pictures import list_pictures
from detect.atomic import write_whole
from detect.choices import ENGINES, PRECISIONS
from detect.detections import Detections, Detector
from detect.errors import DetectError
from detect.evaluation.coco import Evaluation, confusion
from detect.evaluation.coco import evaluate as measure
from detect.evaluation.plots import draw_confusion, draw_curves, draw_worst
from detect.load import load_detector
from detect.pictures.rgb import read_rgb
from detect.runtime.onnx_detector import read_weights

__all__ = ["evaluate", "export", "quantize"]

_LOWEST = 0.01
"""Curves start at this score."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--images", "images_dir", type=click.Path(path_type=Path, file_okay=False), required=True,
              help="Folder of the pictures.")  # fmt: skip
@click.option("--weights", type=click.Path(path_type=Path, dir_okay=False),
              help="ONNX or safetensors file; the installed default where none is named.")  # fmt: skip
@click.option("--engine", type=click.Choice(ENGINES), default="auto", show_default=True, help="What runs the network.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True,
              help="What it computes in.")  # fmt: skip
@click.option("--score", type=click.FloatRange(0, 1), default=0.3, show_default=True,
              help="Boxes below this count neither as confusion nor in the contact sheet.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for metrics.json, curves.png, confusion.png and worst.jpg.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the measures as JSON.")
def evaluate(
    file: Path,
    images_dir: Path,
    weights: Path | None,
    engine: str,
    precision: str,
    score: float,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure a detector against the COCO file FILE: AP, AP50 and AR of each label, confusion, worst pictures."""
    data = load_coco(file, images_dir)
    detector = load_detector(weights, min_score=_LOWEST, engine=engine, precision=precision, pictures=len(data))
    found = _detect_all(detector, data)
    result, table = measure(data, found), confusion(data, found, min_score=score)
    ran = {"engine": detector.engine, "precision": detector.precision}
    summary = (
        ran | result.summary() | {"confusion": {"names": list(data.names), "score": score, "table": table.tolist()}}
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "metrics.json").write_text(json.dumps(summary, indent=1) + "\n")
        Image.fromarray(draw_curves(result)).save(out / "curves.png")
        Image.fromarray(draw_confusion(table, data.names)).save(out / "confusion.png")
        Image.fromarray(draw_worst(data, found, min_score=score)).save(out / "worst.jpg", quality=88)
    click.echo(json.dumps(summary, indent=1) if as_json else _text(result, table, score))


@click.command()
@click.argument("weights", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--images", "images_dir", type=click.Path(path_type=Path, file_okay=False),
              help="Pictures on which both networks must agree; noise where no folder is named.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), default=8, show_default=True, help="At most this many pictures.")
@click.option("--overwrite", is_flag=True, help="Replace TARGET if it exists.")
def export(weights: Path, target: Path, images_dir: Path | None, limit: int, overwrite: bool) -> None:
    """Turn the safetensors file WEIGHTS into the ONNX file TARGET, which needs no torch to run."""
    from detect.retinanet.export import export_onnx
    from detect.training.checkpoint import read_tensors
    from detect.training.classifier.export import export_classifier

    if target.exists() and not overwrite:
        raise DetectError(f"{target}: exists; add --overwrite to replace it")
    pictures = list_pictures(images_dir)[:limit] if images_dir else []
    is_classifier = read_tensors(weights)[1].get("task") == "classify"
    worst = (export_classifier if is_classifier else export_onnx)(weights, target, pictures=pictures)
    what = f"{len(pictures)} pictures" if pictures else "noise"
    click.echo(f"{target}: agrees with {weights} to {worst:.1e} on {what}")


@click.command()
@click.argument("model", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--images", "images_dir", type=click.Path(path_type=Path, file_okay=False), required=True,
              help="Pictures to calibrate on, like those that the network will see.")  # fmt: skip
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="ONNX file to write.")
@click.option("--annotations", type=click.Path(path_type=Path, dir_okay=False),
              help="COCO file of pictures in the folder: measure a detector's AP before and after.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), default=300, show_default=True,
              help="Calibrate on at most this many pictures.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
def quantize(model: Path, images_dir: Path, out: Path, annotations: Path | None, limit: int, overwrite: bool) -> None:
    """Turn the ONNX file MODEL into one that computes in eight-bit whole numbers: smaller, faster, less exact."""
    from detect.models.deviation import FAR, compare_classifiers
    from detect.models.quantize import is_classifier, quantize

    if out.exists() and not overwrite:
        raise DetectError(f"{out}: exists; add --overwrite to replace it")
    exact = read_weights(model)
    classifies = is_classifier(exact, source=str(model))
    if annotations and classifies:
        raise DetectError(f"{model}: a classifier, and {annotations} has boxes: it is compared with itself alone")
    data = load_coco(annotations, images_dir) if annotations else None
    pictures = list_pictures(images_dir)
    pictures = pictures[:: max(1, len(pictures) // limit)][:limit]  # from all over the folder
    content = quantize(exact, pictures, source=str(model))
    try:
        write_whole(out, content, overwrite=overwrite)
    except OSError as error:
        raise DetectError(f"{out}: cannot be written: {error.strerror or error}") from error
    click.echo(f"{out}: calibrated on {len(pictures)} pictures; {len(content) / model.stat().st_size:.0%} of the size")
    for each in compare_classifiers(exact, content, pictures, source=str(model)) if classifies else ():
        click.echo(
            f"P(NSFW) on {each.engine}: off by {each.median:.4f} in the middle, {each.nine_in_ten:.3f} or less in nine "
            f"pictures of ten, {each.largest:.3f} at most; by more than {FAR:g} in {each.moved:.1%}"
        )
    if data is None:
        return
    for path, precision in ((model, "f32"), (out, "int8")):
        detector = load_detector(path, min_score=_LOWEST, precision=precision)
        result = measure(data, _detect_all(detector, data))
        click.echo(
            f"{path}: AP {result.ap:.4f}  AP50 {result.ap50:.4f}  AR {result.ar:.4f} "
            f"({detector.engine}, {detector.precision})"
        )


def _detect_all(detector: Detector, data: CocoDataset, batch_size: int = 8) -> list[Detections]:
    found: list[Detections] = []
    for start in range(0, len(data), batch_size):
        found += detector.detect([read_rgb(image.path) for image in data.images[start : start + batch_size]])
    return found


def _text(result: Evaluation, table: NDArray[np.int64], score: float) -> str:
    wide = max(len(row.name) for row in result.classes)
    lines = [f"AP {result.ap:.3f}  AP50 {result.ap50:.3f}  AP75 {result.ap75:.3f}  AR {result.ar:.3f}", ""]
    lines.append(f"{'label':{wide}}  boxes     AP   AP50     AR  best F1 at  precision  recall  recall .9 at")
    lines += [
        f"{row.name:{wide}} {row.boxes:6d} {row.ap:6.3f} {row.ap50:6.3f} {row.ar:6.3f} "
        f"{row.threshold:11.3f} {row.precision:10.3f} {row.recall:7.3f} {row.threshold_recall90:13.3f}"
        for row in result.classes
    ]
    right, missed = int(np.trace(table[:-1, :-1])), int(table[:-1, -1].sum())
    mistaken, surplus = int(table[:-1, :-1].sum()) - right, int(table[-1].sum())
    lines += ["", f"at score {score}: {right} right, {mistaken} mislabelled, {missed} missed, {surplus} of nothing"]
    return "\n".join(lines)
