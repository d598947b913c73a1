"""Files of several pages: each judged, hidden in and looked at again as the still that it is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from animations import encoded, red_square, stripes
from fakes import RED, finder
from paged import pages, planted, retagged
from PIL import Image

from censor import Censor
from censor.errors import PlanError, WriteError
from censor.media.medium import Part
from censor.media.pages import open_pages
from censor.pages_report import pages_outcome
from censor.plan_json import format_plan, parse_plan
from censor.records import CensoredPagesRecord, CheckedPagesRecord, CheckedRecord, HiddenOnPageRecord, RedactionRecord
from censor.verdict import Level
from detect.errors import AnimatedImageError, UnsupportedImageError
from detect.pictures.still import Picture
from detect.pictures.tiff_pages import decode_pages

DOCS = Path(__file__).parents[2] / "docs" / "animations.md"
PICTURES = [stripes(40, 50), red_square(0), stripes(), red_square(30)]


def solid(**options: bool) -> Censor:
    policy = Censor("boxes", detector=finder(), classifiers=()).policy.each(effect="solid")
    return Censor(policy, detector=finder(), classifiers=(), **options)


def test_each_page_is_hidden_in_as_a_still_and_no_other_is(tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    done = solid().apply_pages(pages(PICTURES), out)
    written = [each.pixels for each in decode_pages(out.read_bytes(), "out")]
    assert [len(each) for each in done.hidden] == [0, 1, 0, 1]
    assert (done.pages, done.page) == (4, 2)
    for before, after in zip(PICTURES, written, strict=True):
        assert np.array_equal(after, solid().apply(before).image)
        assert not (after == RED).all(axis=2).any()
    record = pages_outcome("scan.tif", done, "out.tif").record
    assert [each["page"] for each in record["hidden"]] == [2, 4]  # type: ignore[typeddict-item]  # it has pages
    assert pages_outcome("a", done, "b").line == "a -> b  (2 regions hidden on 4 pages, nsfw)"


def test_the_gravest_page_is_what_it_is() -> None:
    checked = solid().check_pages(pages(PICTURES))
    assert [each.level for each in checked.verdicts] == [Level.SAFE, Level.NSFW, Level.SAFE, Level.NSFW]
    assert (checked.verdict.level, checked.page, checked.width, checked.height) == (Level.NSFW, 2, 96, 64)
    told = pages_outcome("scan.tif", checked)
    assert told.line.endswith("[page 2 of 4]")
    assert told.record["levels"] == ["safe", "nsfw", "safe", "nsfw"]  # type: ignore[typeddict-item]  # it has pages
    assert solid().check_pages(pages(PICTURES[:1])).page == 1


def test_one_bad_page_means_no_output(tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    with pytest.raises(UnsupportedImageError, match="page 3"):
        solid().apply_pages(retagged(PICTURES, 3, {254: 1}), out)
    with pytest.raises(UnsupportedImageError, match="page 4"):
        solid().apply_pages(retagged(PICTURES, 4, {330: 8}), out)
    assert not list(tmp_path.iterdir())


def test_what_holds_no_pages_is_refused_before_any_is_looked_at(tmp_path: Path) -> None:
    seer = finder()
    censor = Censor("boxes", detector=seer, classifiers=())
    with pytest.raises(WriteError, match="PNG holds no pages"):
        censor.apply_pages(pages(PICTURES), tmp_path / "out.png")
    with pytest.raises(UnsupportedImageError, match="not a TIFF"):
        censor.apply_pages(encoded([stripes(), red_square(0)]), tmp_path / "out.tif")
    with pytest.raises(TypeError, match="not ndarray"):
        censor.check_pages(stripes())
    assert seer.calls == 0
    with pytest.raises(AnimatedImageError):
        censor.apply(pages(PICTURES))


def test_progress_counts_pages(tmp_path: Path) -> None:
    checks: list[tuple[int, int]] = []
    applies: list[tuple[int, int]] = []
    solid().check_pages(pages(PICTURES), progress=lambda done, total: checks.append((done, total)))
    solid().apply_pages(
        pages(PICTURES), tmp_path / "out.tif", progress=lambda done, total: applies.append((done, total))
    )
    assert checks == applies == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_as_many_pages_are_written_as_there_were(tmp_path: Path) -> None:
    medium = open_pages(pages(PICTURES))
    for count in (3, 5):
        with (tmp_path / "out").open("w+b") as out, pytest.raises(WriteError, match=f"not {count}"):
            medium.write([Part(Picture(stripes()))] * count, out)


def test_a_plan_applied_is_what_hiding_gives(tmp_path: Path) -> None:
    data: bytes = pages(PICTURES)
    drawn: dict[str, Any] = {"also": [(5, 5, 20, 20)], "keep": [(30, 5, 45, 15)]}
    censor = solid()
    plan = parse_plan(format_plan(censor.plan(data, **drawn)))
    assert plan.pages == ((50, 40), (96, 64), (96, 64), (96, 64))
    assert [[box.first for box in each.boxes] for each in plan.things] == [[0], [1], [1], [2], [3], [3], [0, 1, 2, 3]]
    assert [each.label for each in plan.things if each.hide].count("ALSO") == 4
    censor.apply_pages(data, tmp_path / "once.tif", **drawn)
    censor.apply_pages(data, tmp_path / "planned.tif", plan=plan)
    assert (tmp_path / "planned.tif").read_bytes() == (tmp_path / "once.tif").read_bytes()


def test_what_a_plan_shows_is_shown_on_its_page_alone(tmp_path: Path) -> None:
    out, data, censor = tmp_path / "out.tif", pages([red_square(0), red_square(0)]), solid()
    plan = censor.plan(data)
    first, second = plan.things
    censor.apply_pages(data, out, plan=replace(plan, things=(replace(first, hide=False), second)))
    shown, hidden = (each.pixels for each in decode_pages(out.read_bytes(), "out"))
    assert np.array_equal(shown, red_square(0))
    assert not (hidden == RED).all(axis=2).any()
    fewer = replace(plan, pages=plan.pages[:1], things=(first,), found=1)
    for wrong in (fewer, replace(plan, pages=(*plan.pages, (10, 10))), replace(fewer, pages=())):
        with pytest.raises(PlanError, match="the plan's pages are not those of the file, which has 2"):
            censor.apply_pages(data, tmp_path / "other.tif", plan=wrong)
    with pytest.raises(PlanError, match="not what the plan is of"):
        censor.apply_pages(pages([stripes(), red_square(0)]), tmp_path / "other.tif", plan=plan)
    with pytest.raises(ValueError, match="also and keep belong in the plan"):
        censor.apply_pages(data, tmp_path / "other.tif", plan=plan, keep=[(1, 1, 2, 2)])


def test_no_marker_comes_through(tmp_path: Path) -> None:
    """In tags of text and of bytes, between pages and behind the last, and in what no directory names."""
    marker = b"Mc7Qz-4711-planted"
    data = planted(PICTURES, marker)
    assert data.count(marker) == 10
    out = tmp_path / "out.tif"
    solid().apply_pages(data, out)
    assert marker not in out.read_bytes()
    with Image.open(out) as image:
        assert image.n_frames == 4  # type: ignore[attr-defined]  # a TIFF has it
        for page in range(4):
            image.seek(page)
            assert not {270, 305, 306, 315, 330, 700, 34665, 65000} & set(image.tag_v2)  # type: ignore[attr-defined]


def test_every_field_of_pages_is_documented_in_its_own_words() -> None:
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", DOCS.read_text().split("\n## Pages")[1], re.MULTILINE))
    of, still = get_type_hints(CheckedPagesRecord, include_extras=True), get_type_hints(CheckedRecord)
    things, usual = get_type_hints(HiddenOnPageRecord, include_extras=True), get_type_hints(RedactionRecord)
    expected = {name: hint for name, hint in of.items() if name not in still}
    expected |= {f"hidden[].{name}": hint for name, hint in things.items() if name not in usual}
    assert set(rows) == set(expected)
    assert all(rows[name] in hint.__metadata__ for name, hint in expected.items())
    censored = set(get_type_hints(CensoredPagesRecord))
    assert set(of) - censored == {"levels"}


def test_records_hold_every_field(tmp_path: Path) -> None:
    checked = pages_outcome("a", solid().check_pages(pages(PICTURES))).record
    done = pages_outcome("a", solid().apply_pages(pages(PICTURES), tmp_path / "out.tif"), "b").record
    assert set(checked) == set(get_type_hints(CheckedPagesRecord))
    assert set(done) == set(get_type_hints(CensoredPagesRecord))
