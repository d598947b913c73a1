"""What a model file says of itself, read by several threads."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from detect.runtime.metadata import read_names


@pytest.fixture
def threads_cross() -> Iterator[None]:
    """Threads change often, and Python code runs whenever objects are made, as finalizers do."""

    def collected(phase: str, info: dict[str, int]) -> None:
        sum(range(50))

    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(5, 5, 5)
    gc.callbacks.append(collected)
    yield
    gc.callbacks.remove(collected)
    gc.set_threshold(*threshold)
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("threads_cross")
def test_models_that_load_at_once_read_what_they_say_of_themselves() -> None:
    metadata = {"names": repr({each: f"label {each}" for each in range(30)})}
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda _: tuple(read_names(metadata, "a.onnx")), range(400)))
    assert len(read) == 400
    assert len(set(read)) == 1
