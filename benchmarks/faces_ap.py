"""How well faces are found: average precision at IoU .4 against the annotations of a COCO file.

    python benchmarks/faces_ap.py FILE FOLDER [--side N ...] [--iou X ...] [--min-score X] [--compare 320n] [--time]

Every category of the file counts as a face; crowds are passed over. Faces are found by CenterFace in the whole picture,
its longer side shrunk to each --side, and of boxes that overlap by more than each --iou the better is kept: by default
as the models are loaded. `--compare 320n` adds what that detector finds of both of its kinds of face. AP is the area
under precision over recall, precision made to fall (all points). `--time` adds processor milliseconds a picture,
decoding left out, on one thread.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from censor.data_folder import models_folder
from censor.errors import CensorError
from detect import boxes
from detect.annotations import load_coco
from detect.annotations.coco import CocoImage
from detect.detections import Detections, Detector, RGBImage
from detect.errors import DetectError, ModelError
from detect.load import start_session
from detect.models.storage import read_model
from detect.pictures.rgb import read_rgb
from detect.runtime.metadata import read_size
from detect.runtime.onnx_detector import OnnxDetector
from detect.runtime.sessions import Session

__all__ = ["Resized", "average_precision", "hits"]

FACES = ("FACE", "FACE_FEMALE", "FACE_MALE")


class Resized:
    """A session whose file says that it wants pictures of another size."""

    def __init__(self, session: Session, side: int) -> None:
        """Wrap a session of a network that takes any size; `side` pixels is the longer side of what it is given."""
        self._session = session
        self.engine, self.precision = session.engine, session.precision
        self.metadata: Mapping[str, str] = {**session.metadata, "imgsz": repr([side, side])}
        self.input_shape, self.step = session.input_shape, session.step

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """See `Session.run`."""
        return self._session.run(batch)


class _HasFaces(Protocol):
    @property
    def xyxy(self) -> NDArray[np.float32]: ...
    @property
    def iscrowd(self) -> NDArray[np.bool_]: ...


def hits(truth: _HasFaces, found: Detections, *, min_iou: float) -> list[tuple[float, bool]]:
    """Score of each face that was found in a picture, and whether it is one that nobody found better before.

    A find that is no face but lies mostly in a crowd is left out, since nobody knows.
    """
    faces, crowds = truth.xyxy[~truth.iscrowd], truth.xyxy[truth.iscrowd]
    overlap = boxes.iou(found.xyxy, faces)
    in_crowd: NDArray[np.bool_] = np.any(boxes.overlap_of_smaller(found.xyxy, crowds) >= 0.5, axis=1)
    taken = np.zeros(len(faces), np.bool_)
    answer = []
    for row in np.argsort(-found.scores, kind="stable").tolist():
        free = np.where(taken, -1, overlap[row])
        best = int(free.argmax()) if free.size else -1
        hit = best >= 0 and bool(free[best] >= min_iou)
        if hit:
            taken[best] = True
        if hit or not in_crowd[row]:
            answer.append((float(found.scores[row]), hit))
    return answer


def average_precision(found: Sequence[tuple[float, bool]], faces: int) -> float:
    """Area under precision over recall of finds in all pictures, precision made to fall with recall.

    Raises:
        ValueError: There is no face to be found.
    """
    if faces < 1:
        raise ValueError("no face to be found")
    ordered = sorted(found, key=lambda each: -each[0])
    right = np.cumsum([hit for _, hit in ordered])
    precision = right / np.arange(1, len(ordered) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    recall = np.concatenate([[0.0], right / faces])
    return float((falling * np.diff(recall)).sum())


def _only_faces(found: Detections) -> Detections:
    labels = [row for row in range(len(found)) if found.label(row) in FACES]
    return found[np.array(labels, np.int64)]


def _line(name: str, detector: Detector, images: Sequence[tuple[CocoImage, RGBImage]], *, timed: bool) -> str:
    found: list[tuple[float, bool]] = []
    seconds = 0.0
    for truth, pixels in images:
        begun = time.process_time()
        (answer,) = detector.detect([pixels])
        seconds += time.process_time() - begun
        found += hits(truth, _only_faces(answer), min_iou=0.4)
    count = sum(int((~truth.iscrowd).sum()) for truth, _ in images)
    took = f", {1000 * seconds / len(images):.1f} ms a picture" if timed else ""
    return f"{name}: AP40 {average_precision(found, count):.3f}, {len(found)} finds for {count} faces{took}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Find, compare, and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("coco", type=Path, metavar="FILE")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--side", type=int, nargs="+", metavar="N", help="longer side of what the network is given")
    parser.add_argument("--iou", type=float, nargs="+", default=[0.45], metavar="X")
    parser.add_argument("--min-score", type=float, default=0.05, metavar="X")
    parser.add_argument("--compare", nargs="+", default=[], choices=["320n"], metavar="NAME")
    parser.add_argument("--time", action="store_true")
    options = parser.parse_args(arguments)
    try:
        folder = models_folder()
        if folder is None:
            raise ModelError("nobody knows where models would be")
        data = load_coco(options.coco, options.folder)
        images = [(image, read_rgb(image.path)) for image in data.images]
        for name in ("centerface", *options.compare):
            session = start_session(read_model(folder, name), name, threads=1, engine="onnxruntime")
            nominal = read_size(session.metadata, name)[0]
            for side in options.side if name == "centerface" and options.side else [nominal]:
                for iou in options.iou:
                    detector = OnnxDetector(
                        Resized(session, side), source=name, min_score=options.min_score, iou_threshold=iou
                    )
                    print(_line(f"{name}, {side} px, IoU {iou:g}", detector, images, timed=options.time))
    except (CensorError, DetectError, ValueError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
