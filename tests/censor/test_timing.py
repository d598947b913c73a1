"""How long each stage takes."""

from __future__ import annotations

import pytest

from censor.timing import timed


def test_a_stage_that_comes_again_counts_on(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1.0, 2.0, 10.0, 10.5, 20.0, 24.0])
    monkeypatch.setattr("censor.timing.time.perf_counter", lambda: next(clock))
    seconds: dict[str, float] = {}
    for stage in ("detect", "detect", "hide"):
        with timed(seconds, stage):
            pass
    assert seconds == {"detect": 1.5, "hide": 4.0}
