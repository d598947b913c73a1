"""What tests of films share: a policy that hides what is red, and a film on which something red moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from film_files import RedSeer, blob, film, frames_of, red_in

from censor import Censor
from censor.policy import Policy
from censor.rules import Rule
from censor.timeline import CensoredAnimation

LABEL = "FEMALE_BREAST_EXPOSED"
PATH = [4 * each for each in range(24)]


def policy(effect: str = "solid") -> Policy:
    rule = Rule(censor_at=0.3, review_at=0.3, nsfw_at=0.6, shape="box", expand=0.0, effect=effect)
    return Policy(name="one", rules={LABEL: rule})


def censored(
    data: bytes, target: Path, seer: Any = None, effect: str = "solid", **options: Any
) -> tuple[CensoredAnimation, bytes]:
    censor = Censor(policy(effect), detector=seer or RedSeer(), classifiers=())
    done = censor.apply_medium(data, target, **options)
    return done, target.read_bytes()


def moving(**options: Any) -> bytes:
    return film([blob(left) for left in PATH], **options)


def left_of(data: bytes) -> list[int]:
    return [int(red_in(each).sum()) for each in frames_of(data)]
