"""What every reader makes of its source, and how it reads a label, a number, a size and a file."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detect.annotations.fields import is_number, is_size, is_text, shown
from detect.errors import AnnotationsError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the type alone; defusedxml does the reading

__all__ = [
    "Mark",
    "Marked",
    "bounds",
    "ellipse",
    "flag_of",
    "label_of",
    "number_of",
    "read_text",
    "read_xml",
    "size_of",
    "turned",
]

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,9})?\s*", re.ASCII)


@dataclass(frozen=True)
class Mark:
    """One box.

    Attributes:
        label: As the source spells it.
        xyxy: In pixels of a picture of the size that its `Marked` states, or in shares of it where that is None.
        crowd: Whether it is neither to be learnt nor to count, as VOC's ``difficult``.
        turned: Whether it encloses a turned shape, whose empty corners may lie beyond the picture.
    """

    label: str
    xyxy: tuple[float, float, float, float]
    crowd: bool = False
    turned: bool = False


@dataclass(frozen=True)
class Marked:
    """One picture's boxes.

    Attributes:
        source: What to name in an error: the file, and the place within it.
        file_names: What the picture may be called within the image folder, the likeliest first.
        size: Width and height that the source states; None where boxes are shares of the picture.
        marks: The boxes.
        notes: What was left out or taken for something, such as ``left out: scores``; one entry for each time.
    """

    source: str
    file_names: tuple[str, ...]
    size: tuple[int, int] | None
    marks: tuple[Mark, ...]
    notes: tuple[str, ...] = ()


def turned(
    corners: tuple[float, float, float, float], *, about: tuple[float, float], degrees: float
) -> Iterator[tuple[float, float]]:
    """The four corners of a box turned clockwise, as seen with y pointing down."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    for x in corners[0::2]:
        for y in corners[1::2]:
            right, down = x - about[0], y - about[1]
            yield about[0] + right * cos - down * sin, about[1] + right * sin + down * cos


def ellipse(x: float, y: float, rx: float, ry: float, *, degrees: float) -> tuple[float, float, float, float]:
    """The box around an ellipse about (x, y), turned."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    across, down = math.hypot(rx * cos, ry * sin), math.hypot(rx * sin, ry * cos)
    return x - across, y - down, x + across, y + down


def bounds(points: Iterable[tuple[float, float]]) -> tuple[float, float, float, float]:
    """The box around points."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def read_xml(path: Path, *, root: str) -> Element:
    """Read an XML file whose outermost element is `root`.

    By defusedxml, since the standard library expands entities and a few lines of them fill the memory.

    Raises:
        AnnotationsError: The file cannot be read, is no XML, has entities, or begins with another element.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, parse

    try:
        element: Element = parse(path).getroot()
    except OSError as error:
        raise AnnotationsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        raise AnnotationsError(f"{path}: is no XML that can be trusted: {error}") from error
    if element.tag != root:
        raise AnnotationsError(f"{path}: begins with <{element.tag}>; expected <{root}>")
    return element


def read_text(path: Path) -> str:
    """Read a text file in UTF-8.

    Raises:
        AnnotationsError: It cannot be read, or is no such text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationsError(f"{path}: cannot be read: {error}") from error


def label_of(value: object, *, where: str) -> str:
    """A label.

    Raises:
        AnnotationsError: It is blank or no text.
    """
    if not is_text(value):
        raise AnnotationsError(f"{where}: label is {shown(value)}; expected a text that is not empty")
    return value.strip()


def number_of(value: object, *, where: str) -> float:
    """A number, or a text of one as other languages write it too: no underscores, no infinity.

    Raises:
        AnnotationsError: It is none.
    """
    number = value
    if isinstance(value, str):
        number = float(value) if _NUMBER.fullmatch(value) else None
    if not is_number(number):
        raise AnnotationsError(f"{where}: is {shown(value)}; expected a finite number")
    return float(number)


def size_of(value: object, *, where: str) -> int:
    """A width or height in pixels, or a text of one.

    Raises:
        AnnotationsError: It is none.
    """
    number = int(value) if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", value) else value
    if not is_size(number):
        raise AnnotationsError(f"{where}: size is {shown(value)}; expected a whole number of pixels from 1 up")
    return number


def flag_of(value: str | None, *, where: str) -> bool:
    """A yes or no; nothing counts as no.

    Raises:
        AnnotationsError: It is neither.
    """
    word = (value or "").strip().lower()
    if word not in ("", "0", "1", "false", "true", "no", "yes"):
        raise AnnotationsError(f"{where}: is {shown(value)}; expected 0 or 1")
    return word in ("1", "true", "yes")
