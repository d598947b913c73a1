from __future__ import annotations

import numpy as np

from detect.pictures.alpha import over


def test_over() -> None:
    pixels = np.array([[[200, 100, 0, 51], [9, 9, 9, 0], [9, 9, 9, 255]]], np.uint8)
    assert over(pixels, 255).tolist() == [[[244, 224, 204], [255, 255, 255], [9, 9, 9]]]
    assert over(pixels, 0).tolist() == [[[40, 20, 0], [0, 0, 0], [9, 9, 9]]]
