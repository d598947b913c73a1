"""What a mosaic shows of a thing that moves: what it showed first.

A grid of cells under which a thing moves, or which moves over it, takes other means in each frame, and many of them
tell together what one does not: there are programs that put a film's mosaics together again. So the means of a thing
are those of its first frame for as long as it is followed, laid over wherever it goes.
"""

from __future__ import annotations

from collections.abc import Container, Hashable

import cv2
import numpy as np

from censor.cells import CellMeans, Pixels

__all__ = ["Anchors"]


class Anchors:
    """The means that each thing is shown by."""

    def __init__(self) -> None:
        self._colors: dict[Hashable, Pixels] = {}
        self._fresh: set[Hashable] = set()

    def hold(self, thing: Hashable, means: CellMeans) -> CellMeans:
        """The cells of this frame in the colours of the thing's first.

        Args:
            thing: Which it is.
            means: Its cells in this frame; their colours count if it has not been seen before.
        """
        if thing not in self._colors:
            self._colors[thing] = means.colors
            self._fresh.add(thing)
        first = self._colors[thing]
        rows, columns = means.colors.shape[:2]
        if first.shape[:2] == (rows, columns):
            return means._replace(colors=first)
        grown = cv2.resize(first, (columns, rows), interpolation=cv2.INTER_NEAREST)
        return means._replace(colors=np.asarray(grown, np.uint8).reshape(rows, columns, 3))

    def settle(self, shown: Container[Hashable]) -> None:
        """End a frame: what was held in it for the first time, and is shown after all in no colours, has shown none.

        Args:
            shown: The things that means are shown of in this frame.
        """
        for thing in self._fresh:
            if thing not in shown:
                del self._colors[thing]
        self._fresh.clear()
