"""Working off many things on several threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["run"]

T = TypeVar("T")
R = TypeVar("R")


def run(items: Iterable[T], work: Callable[[T], R], *, threads: int) -> Iterator[R]:
    """Work items off on `threads` threads; results come in the order of the items.

    No more than twice as many items as threads are begun ahead of the result that is waited for, so memory does not
    grow with their number. When the caller stops early, what has begun is finished and nothing else is begun.
    """
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="censor") as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
