"""The whole way on the sample set: train for a minute, measure, export, find the shapes with `load_detector`."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_classifiers import reds
from training_scripts import run_command

from detect import CLASSES, boxes, load_detector
from detect.annotations import load_coco
from detect.pictures.rgb import read_rgb

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "annotations" / "sample"


def commands() -> list[list[str]]:
    """The commands of the guide's first section, as they stand there."""
    guide = (ROOT / "docs" / "training.md").read_text()
    block = re.search(r"## A first run.*?```sh\n(.*?)```", guide, re.DOTALL)
    assert block is not None
    return [shlex.split(line) for line in block[1].replace("\\\n", " ").splitlines()]


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with a small network on the sample set, with what each command of the guide left there."""
    folder = tmp_path_factory.mktemp("sample")
    (folder / "annotations").symlink_to(ROOT / "annotations")
    (folder / "train_retinanet.py").symlink_to(ROOT / "train_retinanet.py")
    for command in commands():
        ended = run_command(command, folder=folder, said=folder / "said")
        assert ended == 0, f"{command}: {(folder / 'said').read_text()}"
    return folder / "runs" / "sample"


def test_it_learns_the_sample_set(sample_run: Path) -> None:
    metrics = json.loads((sample_run / "report" / "metrics.json").read_text())
    assert metrics["ap50"] >= 0.9
    assert [row["name"] for row in metrics["classes"]] == list(CLASSES)


def test_the_exported_detector_finds_the_shapes_where_they_are(sample_run: Path) -> None:
    data = load_coco(SAMPLE / "train.json", SAMPLE / "train")
    detector = load_detector(sample_run / "model.onnx", min_score=0.3)
    assert detector.names == CLASSES
    found = detector.detect([read_rgb(image.path) for image in data.images])
    right = total = 0
    for image, entry in zip(data.images, found, strict=True):
        overlap = boxes.iou(image.xyxy, entry.xyxy) * (image.labels[:, None] == entry.labels[None])
        right += int((overlap.max(axis=1, initial=0) >= 0.6).sum())
        total += len(image.labels)
    assert right >= 0.85 * total


def test_weights_and_export_agree(sample_run: Path) -> None:
    data = load_coco(SAMPLE / "val.json", SAMPLE / "val")
    pictures = [read_rgb(image.path) for image in data.images[:6]]
    one, other = (
        load_detector(sample_run / name, min_score=0.3, precision="f32").detect(pictures)
        for name in ("best.safetensors", "model.onnx")
    )
    for a, b in zip(one, other, strict=True):
        assert len(a) == len(b)
        np.testing.assert_allclose(a.xyxy, b.xyxy, atol=0.05)
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-3)


def test_censor_runs_it_from_end_to_end(sample_run: Path, tmp_path: Path) -> None:
    """Train, export, hide the shapes, verdict NSFW: the whole product with a detector of one's own.

    At .6, since a network that learnt sixty pictures by heart sees shapes in mosaics, too; what the second look still
    finds then has no output.
    """
    out, report = tmp_path / "out", tmp_path / "report.jsonl"
    command = [sys.executable, "-m", "censor"]
    options = ["--weights", str(sample_run / "model.onnx"), "--policy", "boxes", "-t", "0.6"]
    checked = subprocess.run([*command, "check", SAMPLE / "train", *options], capture_output=True, check=False)
    assert checked.returncode == 3, checked.stderr
    subprocess.run([*command, SAMPLE / "train", "-o", out, "--json", report, *options], check=False)
    records = [json.loads(line) for line in report.read_text().splitlines()]
    done = [record for record in records if "error" not in record]
    assert {record["error"]["type"] for record in records if "error" in record} <= {"RecheckError"}
    assert len(done) >= 45
    hidden = [(record, each) for record in done for each in record["hidden"]]
    assert len(hidden) >= 20
    assert sum(record["verdict"]["nsfw"] for record in done) >= 15
    changes = []
    for record, each in hidden:
        before, after = (read_rgb(Path(record[key])).astype(int) for key in ("file", "output"))
        x0, y0, x1, y1 = (max(0, int(edge)) for edge in each["xyxy"])
        changes.append(np.abs(after - before)[y0:y1, x0:x1].mean())
    assert min(changes) > 4  # JPEG alone changes less than 2
    options[1] = str(sample_run / "best.safetensors")  # the same through torch
    assert subprocess.run([*command, "check", "-q", SAMPLE / "train", *options], check=False).returncode == 3


POLICY = """
[all]
censor_at = 0.3
review_at = 0.3
nsfw_at = 0.3
confirm_at = {confirm_at}
effect = "solid"
shape = "box"
{labels}
[picture]
review_at = 0.99
classifiers = ["reds"]
"""


def test_a_policy_with_a_classifier_judges_and_hides_by_the_exported_detector(sample_run: Path, tmp_path: Path) -> None:
    """Trained, exported, named beside a classifier of one's own, and at work in the command."""
    (tmp_path / "reds.onnx").write_bytes(reds())
    data = load_coco(SAMPLE / "train.json", SAMPLE / "train")
    found = load_detector(sample_run / "model.onnx", min_score=0.05, precision="f32")
    image = next(image for image in data.images if (found.detect([read_rgb(image.path)])[0].scores >= 0.6).any())
    red = float(read_rgb(image.path)[..., 0].mean() / 255)
    labels = "\n".join(f"[labels.{label}]" for label in CLASSES)
    networks = ["--weights", sample_run / "model.onnx", "--classifiers", tmp_path / "reds.onnx", "--precision", "f32"]

    def run(verb: str, confirm_at: float, *more: object) -> subprocess.CompletedProcess[str]:
        (tmp_path / "own.toml").write_text(POLICY.format(labels=labels, confirm_at=confirm_at))
        command = [verb, image.path, "--policy", tmp_path / "own.toml", *networks, *more]
        return subprocess.run(
            [sys.executable, "-m", "censor", *map(str, command)], capture_output=True, text=True, check=False
        )

    denied, confirmed = (run("check", at, "--json") for at in (min(red + 0.05, 1), max(red - 0.05, 0)))
    assert (denied.returncode, confirmed.returncode) == (0, 3), (denied.stderr, confirmed.stderr)
    for done, rule in ((denied, "confirm_at"), (confirmed, "nsfw_at")):
        verdict = json.loads(done.stdout)["verdict"]
        assert verdict["models"] == ["model", "reds"]
        assert {reason["rule"] for reason in verdict["reasons"]} == {rule}
    # At .6, as above: at .3 it sees shapes in what is hidden, too.
    done = run("hide", 0.0, "-t", 0.6, "-o", tmp_path / "out.png", "--json", tmp_path / "report.jsonl")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "report.jsonl").read_text())
    assert {each["label"] for each in record["hidden"]} <= set(CLASSES)
    pixels = read_rgb(tmp_path / "out.png")
    for each in record["hidden"]:
        x0, y0, x1, y1 = (round(edge) for edge in each["xyxy"])
        assert not pixels[y0:y1, x0:x1].any()
    assert record["hidden"]
