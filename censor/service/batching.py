"""Pictures that wait together are detected in one run of the network."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from detect.detections import Detections, Detector, RGBImage
from detect.tiling import DetectorWrapper

__all__ = ["BatchingDetector", "batching"]

_Request = tuple[RGBImage, "Future[Detections]"]


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
        if size < 1 or wait < 0:
            raise ValueError(f"need size >= 1 and wait >= 0, not {size} and {wait}")
        super().__init__(detector)
        self._size, self._wait = size, wait
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="batches", daemon=True)
        self._thread.start()

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        """See `Detector.detect`."""
        if not self._thread.is_alive():
            raise RuntimeError("the batching detector is closed")
        futures: list[Future[Detections]] = [Future() for _ in images]
        for image, future in zip(images, futures, strict=True):
            self._requests.put((image, future))
        return [future.result() for future in futures]

    def close(self) -> None:
        """Run what waits, and end the thread."""
        self._requests.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (first := self._requests.get()) is not None:
            batch, more = self._gather(first)
            self._run(batch)
            if not more:
                return

    def _gather(self, first: _Request) -> tuple[list[_Request], bool]:
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

    def _run(self, batch: list[_Request]) -> None:
        try:
            found = self._detector.detect([image for image, _ in batch])
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to whoever asked
            self._fail(batch, error)
            return
        if not isinstance(found, list) or len(found) != len(batch):
            self._fail(batch, ValueError(f"{len(batch)} images need a list of {len(batch)} answers"))
            return
        for (_, future), each in zip(batch, found, strict=True):
            future.set_result(each)

    def _fail(self, batch: list[_Request], error: Exception) -> None:
        if len(batch) == 1:
            batch[0][1].set_exception(error)
            return
        for request in batch:
            self._run([request])


def batching(detector: Detector, size: int, wait: float) -> tuple[Detector, Callable[[], None]]:
    """A detector that runs so many pictures together, which for one is itself; and how to close it."""
    if size == 1:
        return detector, lambda: None
    batches = BatchingDetector(detector, size=size, wait=wait)
    return batches, batches.close
