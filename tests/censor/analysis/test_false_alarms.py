import json
from pathlib import Path

import numpy as np
import pytest
from fakes import RED, RedFinder, finder
from PIL import Image
from tiny_classifiers import Reds, reds

from censor import Censor
from censor.analysis.explained_networks import ExplainedNetwork, load_networks
from censor.analysis.false_alarms import explain_false_alarms
from censor.analysis.units import explain_unit
from censor.gather import gather
from detect.errors import ExplanationError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five reddish pictures, of which two have green in their hottest patch, and one that is black."""
    (tmp_path / "in").mkdir()
    for number in range(6):
        pixels = np.zeros((64, 96, 3), np.uint8)
        if number < 5:
            pixels[..., 0] = 140
            pixels[10:50, 20:60] = (255, 0, 0) if number < 3 else (255, 255, 0)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{number}.png")
    return tmp_path / "in"


def test_patches_that_look_alike_stand_together(folder: Path, tmp_path: Path) -> None:
    network = ExplainedNetwork(name="reds", classifier=Reds())
    done = explain_false_alarms(gather([folder]).items, [network], at=0.3, censor=None, out=tmp_path / "out")
    assert (done.explained, done.failed) == (6, ())
    groups = json.loads((tmp_path / "out" / "numbers.json").read_text())["reds"]
    assert [[Path(each["file"]).stem for each in group] for group in groups] == [["0", "1", "2"], ["3", "4"]]
    top, left, bottom, right = groups[0][0]["box"]
    assert 8 <= top < bottom <= 52
    assert 16 <= left < right <= 64
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "5 of 6 pictures score 0.3 or more." in page
    assert "reds: group 2, 2 alike" in page


def test_where_nothing_alarms_the_page_says_so(folder: Path, tmp_path: Path) -> None:
    network = ExplainedNetwork(name="reds", classifier=Reds(maps=False))
    explain_false_alarms(gather([folder]).items, [network], at=0.99, censor=None, out=tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "0 of 6 pictures score 0.99 or more. The highest score is 0.67: ask from there on to see why." in page


def test_patches_that_do_not_look_alike_are_not_called_so(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, color in enumerate(((255, 0, 0), (255, 255, 0), (255, 0, 255), (255, 255, 250))):
        Image.new("RGB", (64, 64), color).save(tmp_path / "in" / f"{number}.png")
    network = ExplainedNetwork(name="reds", classifier=Reds())
    explain_false_alarms(gather([tmp_path / "in"]).items, [network], at=0.3, censor=None, out=tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "reds: 4 like no other" in page
    assert "alike" not in page.partition("Below are the patches")[2].partition("reds:")[2]


def test_patches_are_shown_censored(tmp_path: Path) -> None:
    pixels = np.full((64, 96, 3), 200, np.uint8)
    pixels[10:50, 20:60] = RED
    Image.fromarray(pixels).save(tmp_path / "a.png")
    network = ExplainedNetwork(name="reds", classifier=Reds())
    pages = []
    for censor in (Censor("strict", detector=finder(), classifiers=()), None):
        out = tmp_path / f"out-{censor is None}"
        explain_false_alarms(gather([tmp_path / "a.png"]).items, [network], at=0, censor=censor, out=out)
        pages.append((out / "index.html").read_text("utf-8"))
    assert pages[0] != pages[1]


def test_who_is_no_classifier_alarms_nobody(folder: Path, tmp_path: Path) -> None:
    network = ExplainedNetwork(name="finder", detector=RedFinder())
    with pytest.raises(ExplanationError, match="false alarms are a classifier's"):
        explain_false_alarms(gather([folder]).items, [network], at=0.3, censor=None, out=tmp_path / "out")
    with pytest.raises(ExplanationError, match="finder: layers are those of a classifier's ONNX file or of"):
        explain_unit(gather([folder]).items, network, layer="1", unit=0, censor=None, out=tmp_path / "out")


def test_a_network_with_other_operators_has_no_units(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "reds.onnx").write_bytes(reds())
    (network,) = load_networks([str(tmp_path / "reds.onnx")], folder=None)
    with pytest.raises(ExplanationError, match="operators that are not read in torch: Gather, ReduceMean"):
        explain_unit(gather([folder]).items, network, layer="1", unit=0, censor=None, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
