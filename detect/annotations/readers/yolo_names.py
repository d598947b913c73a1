"""What YOLO's class numbers mean: a text of names, or Ultralytics' ``data.yaml``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detect.annotations.fields import is_text, shown
from detect.annotations.readers.marks import read_text
from detect.errors import AnnotationsError

__all__ = ["NAME_FILES", "Names", "find_names", "read_names"]

NAME_FILES = ("classes.txt", "obj.names", "data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
"""Where class names are looked for."""


@dataclass(frozen=True)
class Names:
    """A set's classes.

    Attributes:
        names: The first is that of number 0.
        keypoints: Numbers behind each box, where the set is one of poses; None where nothing says that it is.
        path: The file that they were read from.
    """

    names: tuple[str, ...]
    keypoints: int | None = None
    path: Path | None = field(default=None, compare=False)


def find_names(source: Path) -> Names:
    """The names that lie beside the annotations.

    Raises:
        AnnotationsError: There are none, or two files say different ones.
    """
    found = {name: read_names(source / name) for name in NAME_FILES if (source / name).is_file()}
    if not found:
        raise AnnotationsError(
            f"{source}: holds none of {', '.join(NAME_FILES)}; expected the class names, or a file of them elsewhere"
        )
    if len({item.names for item in found.values()}) > 1:
        raise AnnotationsError(f"{source}: {' and '.join(found)} name other classes; expected one to be chosen")
    return next((item for item in found.values() if item.keypoints is not None), next(iter(found.values())))


def read_names(path: Path) -> Names:
    """Read class names: one a line, or of a ``.yaml`` what Ultralytics' ``names``, ``nc`` and ``kpt_shape`` say.

    Raises:
        AnnotationsError: The file cannot be read, or is no such list.

    Source:
        https://docs.ultralytics.com/datasets/detect/ and /pose/.
    """
    text = read_text(path)
    if path.suffix.lower() in (".yaml", ".yml"):
        return _of_yaml(text, path)
    lines = text.rstrip().splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise AnnotationsError(f"{path}: line {number} is blank; expected a class name, or the numbers would shift")
        if re.match(r"\s*-\s|\s*[\[{\"']|\s*[\w-]+\s*:(\s|$)", line):
            raise AnnotationsError(
                f"{path}: line {number} is {shown(line)}; expected a class name (a YAML file's name ends in .yaml)"
            )
    if not lines:
        raise AnnotationsError(f"{path}: is empty; expected class names, one a line")
    return Names(tuple(line.strip() for line in lines), path=path)


def _of_yaml(text: str, path: Path) -> Names:
    document = _parsed(text, path)
    names = document.get("names") if isinstance(document, dict) else None
    if isinstance(names, dict):
        if sorted(names) != sorted(str(number) for number in range(len(names))):
            raise AnnotationsError(f"{path}: names has the numbers {shown(sorted(names))}; expected 0, 1, 2 and so on")
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(is_text(name) for name in names):
        raise AnnotationsError(f"{path}: names is {shown(names)}; expected a list of texts, or one under each number")
    count = document.get("nc")
    if count is not None and count != str(len(names)):
        raise AnnotationsError(f"{path}: nc is {shown(count)}, and there are {len(names)} names; expected as many")
    shape, keypoints = document.get("kpt_shape"), None
    if shape is not None:
        right = isinstance(shape, list) and len(shape) == 2 and all(re.fullmatch(r"[0-9]{1,4}", str(n)) for n in shape)
        if not right or shape[1] not in ("2", "3") or int(shape[0]) < 1:
            raise AnnotationsError(f"{path}: kpt_shape is {shown(shape)}; expected [number of points, 2 or 3]")
        keypoints = int(shape[0]) * int(shape[1])
    return Names(tuple(name.strip() for name in names), keypoints, path)


def _parsed(text: str, path: Path) -> Any:
    """A YAML document of texts, lists and objects of texts: "no" is a class name, not false."""
    import yaml

    class _Loader(yaml.BaseLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("has an alias")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            found = super().construct_mapping(node, deep=deep)
            if len(found) != len(node.value):
                raise yaml.YAMLError("has a key twice")
            return found

    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # builds nothing but texts, lists and dictionaries
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise AnnotationsError(f"{path}: is no YAML that can be read: {reason}") from error
