"""Pictures that wait together are looked at in one run of the network."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from detect.classifier.scores import Classifier, Scores, maps_of
from detect.classifier.tiling import ClassifierWrapper
from detect.detections import Detections, Detector, RGBImage
from detect.tiling import DetectorWrapper

__all__ = ["BatchingClassifier", "BatchingDetector", "batching"]

_Said = TypeVar("_Said")


class _Batches(Generic[_Said]):
    """Runs what several threads ask for as one batch, in a thread of its own.

    A run that fails is repeated picture by picture, so that one picture's failure stays its own.
    """

    def __init__(self, ask: Callable[[list[RGBImage]], list[_Said]], *, size: int, wait: float) -> None:
        if size < 1 or wait < 0:
            raise ValueError(f"need size >= 1 and wait >= 0, not {size} and {wait}")
        self._ask, self._size, self._wait = ask, size, wait
        self._requests: queue.SimpleQueue[tuple[RGBImage, Future[_Said]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="batches", daemon=True)
        self._thread.start()

    def __call__(self, images: Sequence[RGBImage]) -> list[_Said]:
        if not self._thread.is_alive():
            raise RuntimeError("what runs the batches is closed")
        futures: list[Future[_Said]] = [Future() for _ in images]
        for image, future in zip(images, futures, strict=True):
            self._requests.put((image, future))
        return [future.result() for future in futures]

    def close(self) -> None:
        self._requests.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (first := self._requests.get()) is not None:
            batch, more = self._gather(first)
            self._run(batch)
            if not more:
                return

    def _gather(self, first: tuple[RGBImage, Future[_Said]]) -> tuple[list[tuple[RGBImage, Future[_Said]]], bool]:
        """The requests of one run, and whether there may be more after it."""
        batch, end = [first], time.monotonic() + self._wait
        while len(batch) < self._size:
            left = end - time.monotonic()
            try:
                request = self._requests.get(timeout=left) if left > 0 else self._requests.get_nowait()
            except queue.Empty:
                break
            if request is None:
                return batch, False
            batch.append(request)
        return batch, True

    def _run(self, batch: list[tuple[RGBImage, Future[_Said]]]) -> None:
        try:
            found = self._ask([image for image, _ in batch])
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to whoever asked
            self._fail(batch, error)
            return
        if not isinstance(found, list) or len(found) != len(batch):
            self._fail(batch, ValueError(f"{len(batch)} images need a list of {len(batch)} answers"))
            return
        for (_, future), each in zip(batch, found, strict=True):
            future.set_result(each)

    def _fail(self, batch: list[tuple[RGBImage, Future[_Said]]], error: Exception) -> None:
        if len(batch) == 1:
            batch[0][1].set_exception(error)
            return
        for request in batch:
            self._run([request])


class BatchingDetector(DetectorWrapper):
    """A `Detector` around another that runs what several threads ask for as one batch.

    A run that fails is repeated picture by picture, so that one picture's failure stays its own.
    """

    def __init__(self, detector: Detector, *, size: int, wait: float = 0.0) -> None:
        """Wrap a detector and start the thread that runs it.

        Args:
            detector: What runs the batches.
            size: Most pictures in one run.
            wait: Seconds that the first picture waits for others; 0 takes those that wait already.

        Raises:
            ValueError: A number out of its range.
        """
        super().__init__(detector)
        self._batches = _Batches(detector.detect, size=size, wait=wait)

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """See `Detector.detect`."""
        return self._batches(images)

    def close(self) -> None:
        """Run what waits, and end the thread."""
        self._batches.close()


class BatchingClassifier(ClassifierWrapper):
    """A `Classifier` around another, as `BatchingDetector` is; those that want a map run together, and the others."""

    def __init__(self, classifier: Classifier, *, size: int, wait: float = 0.0) -> None:
        """Wrap a classifier; the numbers are those of `BatchingDetector`."""
        super().__init__(classifier)
        self._batches = {
            heat: _Batches(partial(classifier.classify, heat=heat), size=size, wait=wait) for heat in (False, True)
        }
        self._maps = _Batches(partial(maps_of, classifier), size=size, wait=wait)

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        """See `Classifier.classify`."""
        return self._batches[heat](images)

    def maps(self, images: Sequence[RGBImage]) -> list[NDArray[np.float32] | None]:
        """See `HasMaps.maps`."""
        return self._maps(images)

    def close(self) -> None:
        """Run what waits, and end the threads."""
        for each in self._batches.values():
            each.close()
        self._maps.close()


def batching(detector: Detector, size: int, wait: float) -> tuple[Detector, Callable[[], None]]:
    """A detector that runs so many pictures together, which for one is itself; and how to close it."""
    if size == 1:
        return detector, lambda: None
    batches = BatchingDetector(detector, size=size, wait=wait)
    return batches, batches.close
