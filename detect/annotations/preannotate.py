"""A COCO file's boxes as labelling tools take them in: Label Studio's tasks with predictions, CVAT's XML."""

from __future__ import annotations

import json
import re
from collections import Counter
from operator import itemgetter
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from detect.annotations.document import Document
from detect.annotations.fields import shown
from detect.errors import AnnotationsError
from detect.labels import canonical

__all__ = ["TOOLS", "cvat_labels", "cvat_xml", "labelstudio_interface", "labelstudio_tasks", "preannotate"]

TOOLS = ("labelstudio", "cvat")
"""What `preannotate` writes for."""

_NO_FRAME = 1_000_000_000
"""Where CVAT does not know a picture's name it takes the frame of its number, and so that must be nobody's."""


def preannotate(tool: str, document: Document, *, prefix: str) -> tuple[bytes, bytes, Counter[str]]:
    """Write a COCO document for a labelling tool.

    Args:
        tool: One of `TOOLS`.
        document: A COCO document without problems. The order of its images is that of the tasks.
        prefix: What precedes the names of pictures where the tool finds them.

    Returns:
        The file to import, what tells the tool the labels, and how often something was left out.

    Raises:
        AnnotationsError: A name that the tool's format cannot say.
        ValueError: `tool` is none of `TOOLS`.
    """
    if tool not in TOOLS:
        raise ValueError(f"tool must be one of {', '.join(TOOLS)}, not {tool!r}")
    names = [canonical(category["name"]) for category in _by_id(document)]
    left_out: Counter[str] = Counter(
        "left out: crowds" for annotation in document["annotations"] if annotation.get("iscrowd")
    )
    if tool == "cvat":
        return cvat_xml(document, prefix=prefix), cvat_labels(names), left_out
    tasks = json.dumps(labelstudio_tasks(document, prefix=prefix), ensure_ascii=False, indent=1, allow_nan=False)
    return f"{tasks}\n".encode(), labelstudio_interface(names), left_out


def labelstudio_tasks(document: Document, *, prefix: str) -> list[dict[str, Any]]:
    """Label Studio's tasks with predictions, one for each image, negatives included.

    The data of a task are the picture's address and, where the document has them, disagreement and its reason; the
    score of its prediction is 1 - disagreement, since the Data Manager brings the lowest first.

    Args:
        document: See `preannotate`.
        prefix: What precedes the names of pictures, which are percent-encoded: ``/data/local-files/?d=`` and a folder.

    Source:
        https://labelstud.io/guide/predictions: coordinates are percentages of the upright picture's sides.
    """
    names = {category["id"]: canonical(category["name"]) for category in document["categories"]}
    tasks = []
    for image, rows in _with_boxes(document):
        data: dict[str, Any] = {"image": prefix + quote(image["file_name"])}
        prediction: dict[str, Any] = {"model_version": "detect autolabel", "result": []}
        if "disagreement" in image:
            data |= {key: image[key] for key in ("disagreement", "reason") if key in image}
            prediction["score"] = round(1 - image["disagreement"], 4)
        for annotation in rows:
            x, y, width, height = annotation["bbox"]
            across, down = 100 / image["width"], 100 / image["height"]
            place = {"x": x * across, "y": y * down, "width": width * across, "height": height * down, "rotation": 0}
            region = {
                "id": str(annotation["id"]),
                "type": "rectanglelabels",
                "from_name": "label",
                "to_name": "image",
                "original_width": image["width"],
                "original_height": image["height"],
                "image_rotation": 0,
                "value": place | {"rectanglelabels": [names[annotation["category_id"]]]},
            }
            prediction["result"].append(region | {key: annotation[key] for key in ("score",) if key in annotation})
        tasks.append({"data": data, "predictions": [prediction]})
    return tasks


def labelstudio_interface(names: list[str]) -> bytes:
    """Label Studio's labelling interface for boxes of these labels, whose names the predictions refer to."""
    labels = "\n".join(f"    <Label value={_attribute(name)}/>" for name in names)
    return (
        '<View>\n  <Image name="image" value="$image" zoom="true" rotateControl="false"/>\n'
        f'  <RectangleLabels name="label" toName="image">\n{labels}\n  </RectangleLabels>\n</View>\n'
    ).encode()


def cvat_xml(document: Document, *, prefix: str) -> bytes:
    """A COCO document as "CVAT for images 1.1".

    Args:
        document: See `preannotate`.
        prefix: A folder, with its slash, that precedes the names of pictures in the task; most often none.

    Raises:
        AnnotationsError: A name has a character that XML cannot say.

    Source:
        https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/: edges are in pixels, the last one behind the
        box.
    """
    names = {category["id"]: canonical(category["name"]) for category in document["categories"]}
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>"]
    labels = [f"<label><name>{_text(name)}</name><attributes></attributes></label>" for name in names.values()]
    lines.append(f"  <meta><task><labels>{''.join(labels)}</labels></task></meta>")
    for number, (image, rows) in enumerate(_with_boxes(document), _NO_FRAME):
        name, size = _attribute(prefix + image["file_name"]), f'width="{image["width"]}" height="{image["height"]}"'
        lines.append(f'  <image id="{number}" name={name} {size}>')
        for annotation in rows:
            x, y, width, height = annotation["bbox"]
            edges = zip(("xtl", "ytl", "xbr", "ybr"), (x, y, x + width, y + height), strict=True)
            place = " ".join(f'{edge}="{value:.3f}"' for edge, value in edges)
            label = _attribute(names[annotation["category_id"]])
            lines.append(f'    <box label={label} source="auto" occluded="0" {place} z_order="0"></box>')
        lines.append("  </image>")
    return "\n".join([*lines, "</annotations>", ""]).encode()


def cvat_labels(names: list[str]) -> bytes:
    """What CVAT's constructor of labels takes under "Raw"."""
    return (json.dumps([{"name": name, "attributes": []} for name in names], ensure_ascii=False) + "\n").encode()


def _by_id(document: Document) -> list[dict[str, Any]]:
    return sorted(document["categories"], key=itemgetter("id"))


def _with_boxes(document: Document) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each image with its annotations, but for crowds, which are no things."""
    mine: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        if not annotation.get("iscrowd"):
            mine[annotation["image_id"]].append(annotation)
    return [(image, mine[image["id"]]) for image in document["images"]]


def _attribute(text: str) -> str:
    """A text as an attribute's value in XML, quotes included."""
    return quoteattr(_sayable(text))


def _text(text: str) -> str:
    """A text between XML's tags."""
    return escape(_sayable(text))


def _sayable(text: str) -> str:
    """Refuse what no XML can say (XML 1.0, 2.2)."""
    if re.search("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text):
        raise AnnotationsError(f"{shown(text)} has a character that XML cannot say; rename it")
    return text
