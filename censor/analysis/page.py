"""A report as one HTML file that needs nothing else: no script, no font, no picture from anywhere.

Its own policy (`Content-Security-Policy`) forbids it to fetch anything, so that opening it tells nobody. A page with a
`Map` has a script, the one that moves it, and no other may run in it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

__all__ = ["Block", "Figure", "Gallery", "Map", "MapPoint", "Paragraph", "Section", "Table", "render_page"]

_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
_SVG = b"<svg"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A few sentences.

    Attributes:
        text: Plain text.
        emphasis: Whether a reader must not miss it.
    """

    text: str
    emphasis: bool = False

    kind = "paragraph"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; a row's first cell says what the row is of.

    Attributes:
        header: One word or two for each column.
        rows: As many cells each.
        caption: What the table says; may be empty.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    kind = "table"

    def __post_init__(self) -> None:
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"each row needs {len(self.header)} cells, one for each of: {', '.join(self.header)}")


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with what is to be said of it.

    Attributes:
        image: PNG, JPEG, WebP or SVG, encoded.
        alt: What it shows, for those who do not see it.
        caption: What stands under it; may be empty.
    """

    image: bytes
    alt: str
    caption: str = ""

    kind = "figure"

    @property
    def source(self) -> str:
        """The picture as a ``data:`` URL.

        Raises:
            ValueError: It is no picture of these kinds.
        """
        kind = "image/svg+xml" if self.image.lstrip().startswith(_SVG) else None
        kind = kind or next((mime for start, mime in _KINDS.items() if self.image.startswith(start)), None)
        if kind is None:
            raise ValueError(f"figure {self.alt!r}: expected PNG, JPEG, WebP or SVG, not {self.image[:8]!r}")
        return f"data:{kind};base64,{base64.b64encode(self.image).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class Gallery:
    """Small pictures side by side, as many in a row as there is room for.

    Attributes:
        figures: The pictures.
        large: Whether they are to be looked at closely: on a desk four in a row, on a phone two.
    """

    figures: Sequence[Figure]
    large: bool = False

    kind = "gallery"


@dataclass(frozen=True, slots=True)
class MapPoint:
    """A small picture at its place.

    Attributes:
        figure: What is shown; its caption is said of it when it is chosen.
        x: From 0, left, to 1, right.
        y: From 0, top, to 1, bottom.
        score: In [0, 1]: the colour of its frame, from blue to red.
        count: How many pictures it stands for.
    """

    figure: Figure
    x: float
    y: float
    score: float = 0.0
    count: int = 1


@dataclass(frozen=True, slots=True)
class Map:
    """Small pictures on a plane that can be moved and looked at closer; without scripts it is all there, and still.

    Attributes:
        points: What lies on it.
        caption: What it shows.
    """

    points: Sequence[MapPoint]
    caption: str

    kind = "map"


Block = Paragraph | Table | Figure | Gallery | Map


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a heading."""

    title: str
    blocks: Sequence[Block]


def render_page(title: str, sections: Sequence[Section], *, lead: str = "") -> str:
    r"""Lay out a report.

    Args:
        title: Its heading.
        sections: In the order they stand in.
        lead: What stands under the heading; may be empty.

    Returns:
        HTML that reads on a phone and on a desk, light or dark as the reader's system is, and prints. Whatever is said
        in it is text: names of files cannot add markup, and bytes of theirs that are no text read
        ``\udcff`` and the like.

    Raises:
        ValueError: A figure is no picture of a kind that browsers show.
    """
    import jinja2
    import markupsafe

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["breakable"] = lambda text: markupsafe.escape(text).replace("_", markupsafe.Markup("_<wbr>"))
    template = environment.from_string(files(__package__).joinpath("page.html").read_text("utf-8"))
    script = ""
    if any(block.kind == "map" for section in sections for block in section.blocks):
        script = files(__package__).joinpath("map.js").read_text("utf-8")
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    text = template.render(title=title, sections=sections, lead=lead, script=script, script_hash=allowed)
    return text.encode("utf-8", "backslashreplace").decode()
