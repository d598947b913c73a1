"""Finds exposed body parts in pictures, hides them, and gives a verdict that can be defended.

from censor import Censor
result = Censor().apply("photo.jpg")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from censor.errors import CensorError
    from censor.pipeline import Censor
    from censor.plan import Plan, PlannedBox, PlannedThing
    from censor.plan_json import load_plan, save_plan
    from censor.policy import Policy, Rule
    from censor.policy_toml import load_policy
    from censor.redact import Redaction
    from censor.results import Censored, Checked
    from censor.verdict import Level, Reason, Verdict
    from detect.errors import DetectError

__all__ = [
    "Censor",
    "CensorError",
    "Censored",
    "Checked",
    "DetectError",
    "Level",
    "Plan",
    "PlannedBox",
    "PlannedThing",
    "Policy",
    "Reason",
    "Redaction",
    "Rule",
    "Verdict",
    "load_plan",
    "load_policy",
    "save_plan",
]

_HOME = {
    "Censor": "censor.pipeline",
    "CensorError": "censor.errors",
    "Censored": "censor.results",
    "Checked": "censor.results",
    "DetectError": "detect.errors",
    "Level": "censor.verdict",
    "Plan": "censor.plan",
    "PlannedBox": "censor.plan",
    "PlannedThing": "censor.plan",
    "Policy": "censor.policy",
    "Reason": "censor.verdict",
    "Redaction": "censor.redact",
    "Rule": "censor.policy",
    "Verdict": "censor.verdict",
    "load_plan": "censor.plan_json",
    "load_policy": "censor.policy_toml",
    "save_plan": "censor.plan_json",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for (PEP 562), so that `censor --help` need not load numpy."""
    if name not in _HOME:
        raise AttributeError(f"module 'censor' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
