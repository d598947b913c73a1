import numpy as np
import pytest
from tiny_classifiers import Reds, classifier_of, reds

from detect.errors import ExplanationError
from detect.explain.activation import activation, spread


def test_a_map_lies_over_the_picture() -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    image[40:56, 72:90, 0] = 255
    heat = activation(classifier_of(reds(imgsz="[64, 96]")), image)
    assert heat.shape == (64, 96)
    assert heat[48, 80] > 0.9
    assert heat[10, 10] == 0


def test_a_cells_value_is_that_of_its_middle() -> None:
    heat = spread(np.array([[0, 1]], np.float32), 3, 6)
    assert np.allclose(heat[0], [0, 0, 1 / 6 * 1, 5 / 6, 1, 1], atol=0.2)
    assert heat[0, 1] == 0  # the middle of the first three
    assert heat[0, 4] == 1


def test_a_classifier_without_maps_is_refused() -> None:
    with pytest.raises(ExplanationError, match="reds: this network has no activation map"):
        activation(Reds(maps=False), np.zeros((8, 8, 3), np.uint8))
