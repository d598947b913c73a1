"""Finds exposed body parts in pictures, hides them, and gives a verdict that can be defended.

from censor import Censor
result = Censor().apply("photo.jpg")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from censor.errors import CensorError
    from censor.pipeline import Censor, Censored, Checked, Hidden
    from censor.policy import Policy, Rule
    from censor.verdict import Level, Reason, Verdict

__all__ = ["Censor", "CensorError", "Censored", "Checked", "Hidden", "Level", "Policy", "Reason", "Rule", "Verdict"]

_HOME = {
    "Censor": "censor.pipeline",
    "CensorError": "censor.errors",
    "Censored": "censor.pipeline",
    "Checked": "censor.pipeline",
    "Hidden": "censor.pipeline",
    "Level": "censor.verdict",
    "Policy": "censor.policy",
    "Reason": "censor.verdict",
    "Rule": "censor.policy",
    "Verdict": "censor.verdict",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for (PEP 562), so that `censor --help` need not load numpy."""
    if name not in _HOME:
        raise AttributeError(f"module 'censor' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
