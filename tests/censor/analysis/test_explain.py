import json
from pathlib import Path

import numpy as np
import pytest
from fakes import RED, RedFinder, finder
from numpy.typing import NDArray
from PIL import Image
from tiny_classifiers import Reds, reds

from censor import Censor
from censor.analysis.explain import explain_pictures, made_folder
from censor.analysis.explained_networks import ExplainedNetwork, load_networks
from censor.analysis.explaining import Asked, Belief, ExplainedMap, belief_in_words
from censor.errors import OutputExistsError
from censor.gather import gather
from detect.errors import ExplanationError, ModelError
from detect.pictures.rgb import read_rgb


def red_square() -> NDArray[np.uint8]:
    pixels = np.random.default_rng(1).integers(0, 90, (120, 160, 3)).astype(np.uint8)
    pixels[30:70, 90:130] = RED
    pixels[30:70:2, 90:130:2] = (0, 0, 255)
    return pixels


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    Image.fromarray(red_square()).save(tmp_path / "a & b.png")
    return tmp_path / "a & b.png"


def hiding() -> Censor:
    return Censor("strict", detector=finder(), classifiers=())


def test_page_numbers_and_maps_are_written(tmp_path: Path, photo_file: Path) -> None:
    network = ExplainedNetwork(name="reds", classifier=Reds())
    done = explain_pictures(
        gather([photo_file]).items, [network], Asked(methods=("occlusion", "skin1996")), censor=hiding(),
        out=tmp_path / "out",
    )  # fmt: skip
    assert (done.explained, done.failed) == (1, ())
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "a &amp; b.png" in page
    assert "reds: occlusion: a window hidden" in page
    assert page.count("<figure>") == 1 + 1 + 2 + 4  # the legend, the picture, both ways, four steps of 1996
    (record,) = json.loads((tmp_path / "out" / "numbers.json").read_text("utf-8"))
    assert record["maps"][0]["score"] == pytest.approx(float(red_square()[..., 0].mean() / 255), abs=1e-4)
    assert record["maps"][0]["belief"]["shuffled"] is None
    maps = np.load(tmp_path / "out" / "maps" / "001-a-b.npz")
    hot = maps["reds-occlusion-a-window-hidden"]
    assert hot.shape == (120, 160)
    assert hot[50, 110] == hot.max()
    assert {each["map"] for each in record["maps"]} | {"skin1996-skin", "skin1996-grown"} == set(maps)
    assert read_rgb(tmp_path / "out" / "maps" / "001-a-b.reds-occlusion-a-window-shown.png").shape == (120, 160, 3)


def test_nothing_uncensored_is_written_unless_asked(tmp_path: Path, photo_file: Path) -> None:
    """Stripes of red and blue are hidden: no picture may have them there, and no map may be finer than 8 cells."""
    network = ExplainedNetwork(name="reds", classifier=Reds())
    for censor, wanted in ((hiding(), False), (None, True)):
        out = tmp_path / f"out-{wanted}"
        asked = Asked(methods=("occlusion", "skin1996"), uncensored=censor is None)
        explain_pictures(gather([photo_file]).items, [network], asked, censor=censor, out=out)
        for path in (out / "maps").glob("*.png"):
            blue = read_rgb(path).astype(int)[30:70, 90:130, 2]
            assert bool(np.abs(np.diff(blue, axis=0)).mean() > 20) == wanted, path
        sides = {max(np.load(each)["skin1996-skin"].shape) for each in (out / "maps").glob("*.npz")}
        assert (sides == {8}) != wanted


def test_small_windows_would_show_the_picture(tmp_path: Path, photo_file: Path) -> None:
    network, items = ExplainedNetwork(name="reds", classifier=Reds()), gather([photo_file]).items
    done = explain_pictures(items, [network], Asked(window=19), censor=hiding(), out=tmp_path / "out")
    ((path, error),) = done.failed
    assert path == photo_file
    assert "windows of 19 pixels show more of the picture than its censored copy does; at least 20" in str(error)
    assert not (tmp_path / "out").exists()
    assert [each.name for each in tmp_path.iterdir()] == [photo_file.name]


def test_one_that_fails_leaves_the_others_be(tmp_path: Path, photo_file: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0nothing")
    Image.fromarray(red_square()[:30, :30]).save(tmp_path / "small.png")
    network = ExplainedNetwork(name="reds", classifier=Reds())
    asked = Asked(methods=("occlusion",), window=40)
    items = gather([tmp_path / "broken.jpg", tmp_path / "small.png", photo_file]).items
    done = explain_pictures(items, [network], asked, censor=hiding(), out=tmp_path / "out")
    assert done.explained == 1
    assert [path.name for path, _ in done.failed] == ["broken.jpg", "small.png"]
    assert "a picture of 30 x 30 pixels is smaller than a window of 40" in str(done.failed[1][1])


def test_a_detectors_strongest_box_is_explained(tmp_path: Path, photo_file: Path) -> None:
    network = ExplainedNetwork(name="finder", detector=RedFinder())
    asked = Asked(methods=("occlusion", "drise"), masks=32)
    explain_pictures(gather([photo_file]).items, [network], asked, censor=None, out=tmp_path / "out")
    (record,) = json.loads((tmp_path / "out" / "numbers.json").read_text("utf-8"))
    assert [each["method"] for each in record["maps"]] == [
        "occlusion: a window hidden", "occlusion: a window shown", "drise",
    ]  # fmt: skip
    assert {each["target"] for each in record["maps"]} == {"FEMALE_BREAST_EXPOSED"}


def test_maps_are_held_against_weights_in_disorder(tmp_path: Path, photo_file: Path) -> None:
    (tmp_path / "reds.onnx").write_bytes(reds())
    (network,) = load_networks([str(tmp_path / "reds.onnx")], folder=None)
    asked = Asked(methods=("activation",))
    explain_pictures(gather([photo_file]).items, [network], asked, censor=None, out=tmp_path / "out")
    (record,) = json.loads((tmp_path / "out" / "numbers.json").read_text("utf-8"))
    (found,) = record["maps"]
    assert found["belief"]["shuffled"] == pytest.approx(1)  # a network without weights has none to put in disorder
    assert "Do not believe it" in found["words"]


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((0.1, 0.8, 0.3, 0.4, 0.1), "points at what the network goes by. With the weights in disorder the map is a"),
        ((0.1, 0.3, 0.3, 0.4, 0.4), "alone does not raise it sooner. With the weights in disorder the map is p"),
        ((0.4, 0.8, 0.3, 0.4, -0.9), "hiding it does not lower it sooner. With the weights in disorder the map is n"),
        ((0.4, 0.3, 0.3, 0.4, None), "do not believe this map. Whether it depends"),
    ],
)  # fmt: skip
def test_whether_a_map_can_be_believed_is_said_in_words(numbers: tuple[float, ...], said: str) -> None:
    belief = Belief(
        deletion=numbers[0], insertion=numbers[1], random_deletion=numbers[2], random_insertion=numbers[3],
        shuffled=numbers[4],
    )  # fmt: skip
    each = ExplainedMap(
        by="a", method="drise", target="b", score=0.9, heat=np.zeros((1, 1), np.float32), belief=belief
    )  # fmt: skip
    assert said in belief_in_words(each)


def test_models_that_are_not_known_are_refused_and_skin1996_is_taken_by_name_only(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"unknown model 'nonsense': neither a file nor one of 320n, .*, skin1996"):
        load_networks(["nonsense"], folder=None)
    (network,) = load_networks(["skin1996", "skin1996"], folder=tmp_path)
    assert network.shuffled() is None


def test_a_map_of_one_label_is_not_that_of_another(tmp_path: Path, photo_file: Path) -> None:
    (tmp_path / "reds.onnx").write_bytes(reds())
    (network,) = load_networks([str(tmp_path / "reds.onnx")], folder=None)
    done = explain_pictures(
        gather([photo_file]).items, [network], Asked(methods=("activation",), label="sfw"), censor=None,
        out=tmp_path / "out",
    )  # fmt: skip
    assert isinstance(done.failed[0][1], ExplanationError)
    assert "its activation map is of NSFW, not of 'sfw'" in str(done.failed[0][1])


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    with made_folder(tmp_path / "below" / "out") as folder:
        (folder / "a").write_text("a")
        assert not (tmp_path / "below" / "out").exists()
    assert (tmp_path / "below" / "out" / "a").read_text() == "a"
    with pytest.raises(OutputExistsError, match="exists already"), made_folder(tmp_path / "below" / "out"):
        pass
    with pytest.raises(RuntimeError), made_folder(tmp_path / "other"):
        raise RuntimeError
    assert sorted(each.name for each in tmp_path.iterdir()) == ["below"]
