"""The sheet of a plan: every thing by its number, and nothing uncensored."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from animations import encoded as moving
from fake_classifiers import Nobody, RedSeer, picture
from fakes import Scripted
from numpy.typing import NDArray
from PIL import Image
from planned import LABEL, blobs, censor_of, shown

from censor import Censor, Plan, PlannedBox, PlannedThing
from censor.analysis.plan_sheet import plan_sheet
from censor.errors import PlanError
from censor.media.opening import Encoded
from censor.policy import Policy
from censor.rules import PictureRule, Rule

Encode = Callable[..., bytes]


def pictures(page: str) -> list[NDArray[np.uint8]]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))) for each in found]


def framed(pixels: NDArray[np.uint8], color: tuple[int, int, int]) -> bool:
    return bool((np.abs(pixels.astype(int) - color).max(axis=2) < 70).sum() > 10)


RED_FRAME, GREEN_FRAME = (230, 40, 40), (60, 200, 90)


def changed(plan: Plan, row: int, **values: object) -> Plan:
    things = list(plan.things)
    things[row] = replace(things[row], **values)  # type: ignore[arg-type]  # a thing's own fields
    return replace(plan, things=tuple(things))


def test_what_is_to_be_shown_is_hidden_on_the_sheet(encoded: Encode) -> None:
    pixels = blobs(20, 90)
    data, censor = encoded(pixels, "PNG"), censor_of(effect="solid")
    plan = changed(censor.plan(data), 0, hide=False)
    page = plan_sheet(Encoded(data, "a.png"), plan, censor)
    (small,) = pictures(page)
    assert small.shape == pixels.shape
    for left in (20, 90):
        assert not shown(small, left, pixels)
        assert small[26:34, left + 4 : left + 12, 0].mean() < 90  # 185 as it came
    assert framed(small, RED_FRAME)
    assert framed(small, GREEN_FRAME)
    assert "<td>shown</td>" in page
    assert "<td>hidden</td>" in page
    assert "censored, with frames around 1 FEMALE_BREAST_EXPOSED, 2 FEMALE_BREAST_EXPOSED" in page


def test_each_thing_that_moves_has_its_frames() -> None:
    truth = [blobs(left, 120) for left in (10, 14, 18, 22)]
    data, censor = moving(truth), censor_of()
    added = PlannedThing(boxes=(PlannedBox(first=1, end=2, xyxy=(60, 40, 80, 60)),))
    plan = censor.plan(data)
    page = plan_sheet(Encoded(data, "a.webp"), replace(plan, things=(*plan.things, added)), censor)
    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", page.replace("<wbr>", ""))
    assert titles == ["Things", f"1 {LABEL}", f"2 {LABEL}", "things[2] ALSO"]
    assert page.count("<figcaption>frame 1, 0.10 s</figcaption>") == 1
    assert page.count("<figcaption>frame 0, 0.00 s</figcaption>") == 2
    assert len(pictures(page)) == 3 + 3 + 1
    for small in pictures(page):
        assert not shown(small, 120, truth[0])


def test_what_cannot_be_hidden_is_striped_and_says_why(encoded: Encode) -> None:
    """At each look there is something else."""
    data = encoded(blobs(), "PNG")
    looks = [[(LABEL, 0.9, (left, 10, left + 20, 30))] for left in (10, 40, 70, 100)]
    censor = Censor(censor_of().policy, detector=Scripted((LABEL,), *looks), classifiers=())
    plan = replace(censor_of().plan(data), models=censor.models)
    page = plan_sheet(Encoded(data, "a.png"), plan, censor)
    (small,) = pictures(page)
    assert 110 < small.min() <= small.max() < 160  # nothing but stripes of two grays
    assert "after 3 looks at the output the detector still finds" in page


def test_heat_is_framed_and_another_input_refused(encoded: Encode) -> None:
    heat = Policy(
        name="heat", rules={}, heat=Rule(shape="box", expand=0.0, effect="solid"),
        picture=PictureRule(nsfw_at=0.6, hide_at=0.6, heat_at=0.5),
    )  # fmt: skip
    censor = Censor(heat, detector=Nobody(), classifiers=[RedSeer()])
    data = encoded(picture(), "PNG")
    plan = censor.plan(data)
    page = plan_sheet(Encoded(data, "a.png"), plan, censor)
    assert "NSFW_REGION" in page.replace("<wbr>", "")
    assert "<td>red</td>" in page
    assert framed(pictures(page)[0], RED_FRAME)
    with pytest.raises(PlanError, match="not what the plan is of"):
        plan_sheet(Encoded(encoded(picture(size=136), "PNG"), "b.png"), plan, censor)
