"""Maps against known truth: is the hottest tenth of a map where a strong patch was pasted?

    python benchmarks/explain_truth.py --models DIR --out benchmarks/results/explain_truth.json

Each composite is a crop of a harmless photograph that a package ships, with one patch at a random place. For the face
detector the patch is a face (NASA's portrait of Eileen Collins). For classifiers it is noise, optimised until the
network takes a picture with it for NSFW: no picture of anything. A patch takes 4 to 8 hundredths of the picture, so
that all of it fits into the hottest tenth. It counts as covered if at least half of its pixels are there; how much of
it is there on average, and in how many three quarters or nine tenths, is reported too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import skimage.io
import sklearn.datasets
import torch
from numpy.typing import NDArray

from detect.detections import RGBImage
from detect.explain.activation import activation
from detect.explain.drise import drise, strongest
from detect.explain.faithfulness import hottest_share
from detect.explain.occlusion import occlusion
from detect.explain.target import Heatmap, classifier_score
from detect.installed import LoadedClassifier, load_classifiers, load_detectors

SIDE = 224
"""Of composites, in pixels."""

PATCH = (46, 62)
"""A patch's least and greatest side, in pixels: 4.2 to 7.7 % of the picture."""

FACE = np.s_[60:200, 155:295]
"""Where the face is in the portrait."""


@dataclass(frozen=True)
class Composite:
    """A picture and the place of its patch: top, left, bottom, right."""

    image: RGBImage
    box: tuple[int, int, int, int]


def photographs() -> list[RGBImage]:
    """Harmless photographs that scikit-image and scikit-learn ship, without a face in them."""
    shipped = Path(skimage.data.__file__).parent
    found = [skimage.data.coffee(), skimage.data.chelsea(), skimage.data.rocket()]
    found += [skimage.io.imread(shipped / f"{name}.png") for name in ("motorcycle_left", "brick", "grass", "gravel")]
    found += [sklearn.datasets.load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    return [np.asarray(np.stack([each] * 3, -1) if each.ndim == 2 else each[..., :3], np.uint8) for each in found]


def composites(count: int, patch: RGBImage, *, seed: int) -> Iterator[Composite]:
    """Crops of the photographs in turns, each with the patch in some size at some place."""
    rng, sources = np.random.default_rng(seed), photographs()
    for number in range(count):
        source = sources[number % len(sources)]
        height, width = source.shape[:2]
        side = int(rng.integers(SIDE, min(height, width) + 1))
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        image = cv2.resize(source[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        size = int(rng.integers(PATCH[0], PATCH[1] + 1))
        y, x = (int(rng.integers(8, SIDE - size - 7)) for _ in range(2))
        image[y : y + size, x : x + size] = cv2.resize(patch, (size, size), interpolation=cv2.INTER_AREA)
        yield Composite(np.asarray(image, np.uint8), (y, x, y + size, x + size))


def covered(heat: Heatmap, box: tuple[int, int, int, int]) -> float:
    """How much of a patch lies in the hottest tenth of a map."""
    return float(hottest_share(heat, 0.1)[box[0] : box[2], box[1] : box[3]].mean())


def measure(name: str, pictures: list[Composite], heat_of: Callable[[Composite], Heatmap | None]) -> dict[str, object]:
    """One method on all composites; where it has no map, none of the patch is covered."""
    start, shares = time.process_time(), []
    for each in pictures:
        heat = heat_of(each)
        shares.append(0.0 if heat is None else covered(heat, each.box))
        print(f"{name}: {len(shares)}/{len(pictures)}  {shares[-1]:.2f}", file=sys.stderr)
    found = np.array(shares)
    return {
        "method": name,
        "composites": len(shares),
        "covered": int((found >= 0.5).sum()),
        "covered_three_quarters": int((found >= 0.75).sum()),
        "covered_all_but_a_tenth": int((found >= 0.9).sum()),
        "mean_share": round(float(found.mean()), 3),
        "seconds_of_processor_a_picture": round((time.process_time() - start) / len(shares), 2),
    }


def faces(models: Path, count: int, masks: int, seed: int) -> dict[str, object]:
    """D-RISE for the strongest face that the detector finds."""
    detector = load_detectors(["FACE"], folder=models, engine="onnxruntime", precision="f32", threads=1)

    def heat_of(each: Composite) -> Heatmap | None:
        box = strongest(detector.detect([each.image])[0], "FACE")
        if not len(box):
            return None
        *_, found = drise(each.image, detector, box, masks=masks, cells=8, seed=seed)
        return found.heat

    patch = np.ascontiguousarray(skimage.data.astronaut()[FACE])
    return measure(f"drise centerface, {masks} masks", [*composites(count, patch, seed=seed)], heat_of)


def classifiers(
    models: Path, name: str, count: int, stride: int, seed: int, parts: Sequence[str]
) -> Iterator[dict[str, object]]:
    """Occlusion both ways, activation maps, deconvnet and guided backpropagation of one classifier."""
    from detect.explain.torch_backward import Rule, backward
    from detect.explain.torch_graph import load_graph
    from detect.explain.torch_patch import strong_patch
    from detect.models.storage import read_model

    (classifier,) = load_classifiers([name], folder=models, engine="onnxruntime", precision="f32", threads=1)
    graph = load_graph(read_model(models, name), source=name)
    backgrounds = [each.image for each in composites(16, np.full((64, 64, 3), 128, np.uint8), seed=seed + 1)]
    patch = strong_patch(graph, backgrounds, side=PATCH[1], steps=150, seed=seed)
    pictures = [*composites(count, patch, seed=seed)]
    yield {"method": f"patch {name}", "mean_score": mean_score(classifier, pictures), "without": mean_score(
        classifier, [*composites(count, np.full((64, 64, 3), 128, np.uint8), seed=seed)])}  # fmt: skip
    if "maps" in parts:
        yield measure(f"activation {name}", pictures, lambda each: activation(classifier, each.image))
    for rule in (Rule.DECONVNET, Rule.GUIDED) if "maps" in parts else ():

        def heat_of(each: Composite, rule: Rule = rule) -> Heatmap:
            return backward(graph, each.image, rule=rule).smoothed(SIDE // 16)

        yield measure(f"{rule.value} {name}", pictures, heat_of)
    if "occlusion" not in parts:
        return
    score = classifier_score(classifier)
    both: dict[int, NDArray[np.float32]] = {}

    def hidden(each: Composite) -> Heatmap:
        *_, found = occlusion(each.image, score, window=64, stride=stride)
        both[id(each)] = found.shown
        return found.hidden

    yield measure(f"occlusion (b), a window hidden, {name}", pictures, hidden)
    yield measure(f"occlusion (a), a window shown, {name}", pictures, lambda each: both[id(each)])


def mean_score(classifier: LoadedClassifier, pictures: list[Composite]) -> float:
    """What the classifier says of composites."""
    return round(float(np.mean([classifier.classify([each.image])[0].probability for each in pictures])), 3)


def main() -> None:
    """Run it, and write a row for each method."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--models", type=Path, required=True, help="folder of models, as `censor models add` fills it")
    parser.add_argument("--out", type=Path, help="JSON file for the rows")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--masks", type=int, default=96)
    parser.add_argument("--stride", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1996)
    parser.add_argument(
        "--part", choices=("maps", "occlusion"), action="append", help="of what is done for classifiers"
    )
    parser.add_argument("--only", choices=("faces", "open_nsfw", "image-safety-s"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    if given.only in (None, "faces"):
        rows.append(faces(given.models, given.count, given.masks, given.seed))
    for name in ("open_nsfw", "image-safety-s"):
        if given.only in (None, name):
            rows += classifiers(
                given.models, name, given.count, given.stride, given.seed, given.part or ("maps", "occlusion")
            )
    text = json.dumps({"seed": given.seed, "stride": given.stride, "rows": rows}, indent=1)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
