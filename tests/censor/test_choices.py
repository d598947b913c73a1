"""What can be chosen stands in one place: commands, service and documents offer that, and all of it."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from censor.choices import EFFECTS, SHAPES
from censor.cli.hide import hide
from censor.cli.watch import watch
from censor.service.policies import Censoring
from detect.pictures.formats import SUFFIXES

ROOT = Path(__file__).parent.parent.parent
CHOICES = {"replacewith": EFFECTS, "shape": SHAPES}
FORMATS = set(SUFFIXES.values())
DOCUMENTS = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
SOURCES = [each for top in ("censor", "detect") for end in ("py", "html") for each in (ROOT / top).rglob(f"*.{end}")]


@pytest.mark.parametrize("name", CHOICES)
def test_commands_and_service_offer_every_effect_and_shape(name: str) -> None:
    wanted = sorted(CHOICES[name])
    for command in (hide, watch):
        (kind,) = [each.type for each in command.params if each.name == name]
        assert isinstance(kind, click.Choice)
        assert sorted(kind.choices) == wanted
        assert f"`--{name} {'|'.join(kind.choices)}`" in (ROOT / "docs" / "command.md").read_text().replace("\\|", "|")
    assert sorted(offered(name)) == wanted


def offered(name: str) -> list[str]:
    """What a request may name: the page asks the service for it."""
    texts: list[str] = Censoring.model_json_schema()["properties"][name]["anyOf"][0]["enum"]
    return texts


def test_the_service_offers_every_format() -> None:
    assert {each.upper() for each in offered("format")} == FORMATS


def test_who_lists_the_formats_lists_them_all() -> None:
    found = {
        path: re.findall(r"JPEG, PNG, WebP(?:,\s\w+)*(?:\s(?:and|or)\s\w+)?", path.read_text())
        for path in [*DOCUMENTS, *SOURCES]
    }
    assert found[ROOT / "README.md"]
    for path, lists in found.items():
        for listed in lists:
            names = {each.upper() for each in re.findall(r"[A-Z]\w+", listed)}
            assert {"HEIF" if each == "HEIC" else each for each in names} == FORMATS, (path, listed)
