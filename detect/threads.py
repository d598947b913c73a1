"""Working off many things on several threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

__all__ = ["run", "run_grouped"]

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


def run_grouped(
    items: Iterable[T],
    work: Callable[[Sequence[T]], Sequence[R]],
    *,
    threads: int,
    size: int,
    weight: Callable[[T], int] = lambda _: 0,
    heaviest: int = 0,
) -> Iterator[R]:
    """As `run`, but one thread works off several items at once.

    Args:
        items: What is worked on.
        work: Answers a result for each item of a group.
        threads: How many groups are worked on at once.
        size: Items of a group, at most.
        weight: What an item weighs: a group ends with the one that brings it to `heaviest`.
        heaviest: See there; 0 for no such end.
    """
    groups = _groups(items, size, weight, heaviest)
    return chain.from_iterable(run(groups, work, threads=threads))


def _groups(items: Iterable[T], size: int, weight: Callable[[T], int], heaviest: int) -> Iterator[Sequence[T]]:
    group: list[T] = []
    for item in items:
        group.append(item)
        if len(group) == size or 0 < heaviest <= sum(map(weight, group)):
            yield group
            group = []
    if group:
        yield group
