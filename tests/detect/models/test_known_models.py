"""The real models, as `make` has fetched them: the catalogue says of each what its file says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from detect.models.catalogue import KNOWN, find
from detect.models.storage import read_model
from detect.runtime.metadata import read_literal, read_names, read_size, read_stride
from detect.runtime.sessions import OnnxRuntimeSession, OpenVinoSession


@pytest.fixture(scope="module")
def session(models_folder):
    """``session(name)``: a real network in onnxruntime."""

    def load(name: str) -> OnnxRuntimeSession:
        return OnnxRuntimeSession(read_model(models_folder, name), source=name, threads=1)

    return load


def fed(session, picture, side):
    """A picture squashed to a square, as the metadata of a network wants it."""
    pixels = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    pixels = pixels[..., ::-1] if session.metadata.get("color") == "BGR" else pixels
    mean = read_literal(session.metadata, "mean", "x") if "mean" in session.metadata else (0, 0, 0)
    return np.ascontiguousarray((pixels - np.array(mean, np.float32)).transpose(2, 0, 1)[None])


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_the_catalogue_says_what_the_file_says(known, session):
    loaded = session(known.name)
    said = loaded.metadata
    assert read_names(said, "x") == known.names
    assert read_size(said, "x") == known.size
    assert {"name": known.name, "license": known.license, "source": known.source}.items() <= said.items()
    assert said["task"] == ("classify" if known.kind == "classifier" else "detect")
    sides = known.size if known.stride is None else (None, None)
    assert loaded.input_shape == (None, 3, *sides)
    if known.stride is not None:
        assert read_stride(said, "x") == known.stride
    if known.kind == "classifier":
        assert tuple(read_literal(said, "nsfw", "x")) == known.nsfw


@pytest.mark.parametrize(
    ("name", "side", "cells"), [("open_nsfw", 224, 7), ("open_nsfw", 320, 10), ("image-safety-s", 224, 7)]
)
def test_a_classifier_says_of_a_portrait_that_it_is_harmless_and_of_each_cell_how_much(
    name, side, cells, session, astronaut
):
    loaded = session(name)
    scores, heat = loaded.run(np.concatenate([fed(loaded, astronaut, side), fed(loaded, astronaut[:, ::-1], side)]))
    nsfw = [find(name).names.index(label) for label in find(name).nsfw]
    assert scores.shape == (2, len(find(name).names))
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert scores[:, nsfw].sum(axis=1).max() < 0.2
    assert heat.shape == (2, cells, cells)
    assert 0 <= heat.min() < heat.max() <= 1


def test_a_classifier_of_two_labels_has_logits_whose_mean_is_the_scores_logit(session, astronaut):
    loaded = session("open_nsfw")
    scores, heat = loaded.run(fed(loaded, astronaut, 320))
    cells = np.log(heat[0]) - np.log1p(-heat[0])
    assert cells.mean() == pytest.approx(np.log(scores[0, 1] / scores[0, 0]), abs=1e-3)


def test_centerface_finds_the_face_at_any_multiple_of_its_stride(session, astronaut):
    loaded = session("centerface")
    for side in (320, 512):
        heatmap, scale, offset, landmarks = loaded.run(fed(loaded, astronaut, side))
        assert [output.shape[1] for output in (heatmap, scale, offset, landmarks)] == [1, 2, 2, 10]
        row, column = np.unravel_index(heatmap[0, 0].argmax(), heatmap.shape[2:])
        assert heatmap.max() > 0.5
        assert 90 < 4 * row / side * 512 < 170
        assert 190 < 4 * column / side * 512 < 260


@pytest.mark.parametrize("known", [known for known in KNOWN if known.name != "320n"], ids=lambda known: known.name)
def test_both_engines_answer_alike(known, session, models_folder, astronaut):
    given = fed(session(known.name), astronaut, known.size[0])
    other = OpenVinoSession(read_model(models_folder, known.name), source=known.name, threads=1, precision="f32")
    for one, two in zip(session(known.name).run(given), other.run(given), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)
