"""Which pictures each step of a run sees, and who reads them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

__all__ = ["Batches", "rarity_weights", "worker_options"]


def rarity_weights(present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How often to draw each picture so that rare classes are seen more often; the mean is 1.

    Args:
        present: (N, K): which of K classes each of N pictures shows.

    Returns:
        float64, (N,).

    Source:
        The square root of a class's rarity, the greatest of the picture's classes: repeat factor sampling, Gupta et
        al., LVIS (arXiv:1908.03195), section 4.3, relative to the commonest class. Negatives count as the commonest.
    """
    share = np.maximum(present.mean(axis=0), 1 / max(1, len(present)))
    weights = np.where(present, np.sqrt(share.max() / share), 1.0).max(axis=1)
    return np.asarray(weights / weights.mean(), np.float64)


class Batches(Sampler[list[tuple[int, int]]]):
    """The keys of every batch from one step to the end of the run, for one of several processes.

    The stream of pictures is one permutation after the other, cut into batches without regard to where one ends, so
    that no picture is left out of an epoch. One pass over the stream is one loader's life: workers never restart.
    """

    def __init__(
        self,
        count: int,
        *,
        batch_size: int,
        steps: int,
        seed: int,
        start: int = 0,
        weights: NDArray[np.float64] | None = None,
        parts: int = 1,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        """Describe the stream.

        Args:
            count: Pictures in the set.
            batch_size: Pictures that one step of the optimiser sees, in all processes together.
            steps: Steps of the whole run.
            seed: The order follows from it.
            start: Steps already done.
            weights: Draw with these weights, and with repetition; None for permutations.
            parts: Batches that each step's share is cut into, for gradients that are added up.
            rank: Which process this is.
            processes: How many there are.

        Raises:
            ValueError: The batch cannot be cut into equal shares.
        """
        if batch_size % (parts * processes):
            raise ValueError(f"a batch of {batch_size} cannot be shared by {processes} processes in {parts} parts each")
        self._count = count
        self._batch_size = batch_size
        self._steps = range(start, steps)
        self._seed = seed
        self._weights = weights
        self._parts = parts
        self._rank = rank
        self._processes = processes

    def __len__(self) -> int:
        return len(self._steps) * self._parts

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Keys of a data set: (epoch, position); the parts of a step follow one another."""
        share = self._batch_size // (self._parts * self._processes)
        epoch, order = -1, np.empty(0, np.int64)
        for step in self._steps:
            keys = []
            for place_in_stream in range(step * self._batch_size, (step + 1) * self._batch_size):
                if place_in_stream // self._count != epoch:
                    epoch = place_in_stream // self._count
                    order = self._order(epoch)
                keys.append((epoch, int(order[place_in_stream % self._count])))
            mine = keys[self._rank :: self._processes]
            yield from (mine[part * share : (part + 1) * share] for part in range(self._parts))

    def _order(self, epoch: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self._seed, epoch])
        if self._weights is None:
            return rng.permutation(self._count)
        return rng.choice(self._count, self._count, p=self._weights / self._weights.sum())


def worker_options(workers: int) -> dict[str, Any]:
    """What a `DataLoader` is told of the processes that read pictures.

    They are forked from a process without threads: forked from this one, in the middle of an evaluation, a worker
    inherits the locks of OpenCV's thread pool without the threads that would open them, and waits for ever.
    """
    if workers == 0:
        return {"num_workers": 0}
    start = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    return {"num_workers": workers, "worker_init_fn": _limit_threads, "multiprocessing_context": start}


def _limit_threads(worker: int) -> None:
    """OpenCV's own threads would fight the other workers for the same cores."""
    del worker
    cv2.setNumThreads(1)
