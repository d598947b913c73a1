import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import RED, RedFinder, finder
from numpy.typing import NDArray
from PIL import Image
from tiny_classifiers import Reds, reds

from censor import Censor
from censor.analysis.explain import explain_pictures
from censor.analysis.explained_networks import ExplainedNetwork, load_networks
from censor.analysis.explained_pictures import Limits
from censor.analysis.explaining import Asked
from censor.analysis.units import explain_unit
from censor.gather import gather
from detect.classifier.scores import Scores
from detect.errors import ExplanationError, ModelError
from detect.pictures.rgb import read_rgb
from detect.retinanet.checkpoint import Description, save_weights
from detect.runtime.retinanet import AnchorGrid


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
    assert page.count("<figure>") == 1 + 1 + 2 + 4 + 2  # the legend, the picture, both ways, steps of 1996, curves
    assert "1 picture." in page
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


class Watching(Reds):
    """Looks, whenever it is asked, at the page that stands then."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self._page, self.leads = page, set[str]()

    def classify(self, images: Sequence[NDArray[np.uint8]], *, heat: bool = False) -> list[Scores]:
        text = self._page.read_text("utf-8") if self._page.exists() else ""
        self.leads.add(text.partition('<p class="lead">')[2].partition("</p>")[0])
        return super().classify(images, heat=heat)


def test_a_first_page_stands_while_maps_become_finer(tmp_path: Path, photo_file: Path) -> None:
    out = tmp_path / "out"
    watching, parts = Watching(out / "index.html"), list[float]()
    done = explain_pictures(
        gather([photo_file]).items, [ExplainedNetwork(name="reds", classifier=watching)],
        Asked(methods=("occlusion",), stride=8), censor=hiding(), out=out, advance=parts.append,
    )  # fmt: skip
    assert done.explained == 1
    assert "Still at work: 0 of 1 picture finished. Load this page again to see more." in watching.leads
    page = (out / "index.html").read_text("utf-8")
    assert '<p class="lead">1 picture.</p>' in page
    assert "first pass" not in page
    assert sum(parts) == pytest.approx(1)
    assert len(parts) > 3
    assert min(parts) >= 0


def test_where_everything_fails_in_the_end_no_page_stays(tmp_path: Path, photo_file: Path) -> None:
    network, out = ExplainedNetwork(name="finder", detector=RedFinder()), tmp_path / "out"
    Image.new("RGB", (64, 64)).save(photo_file)
    asked = Asked(methods=("occlusion", "drise"), label="FEMALE_BREAST_EXPOSED")
    done = explain_pictures(gather([photo_file]).items, [network], asked, censor=hiding(), out=out)
    assert "finder: finds no FEMALE_BREAST_EXPOSED here that could be explained" in str(done.failed[0][1])
    assert not out.exists()


def test_pictures_over_a_cap_are_refused(tmp_path: Path, photo_file: Path) -> None:
    network = ExplainedNetwork(name="reds", classifier=Reds())
    for limits, said in ((Limits(max_pixels=100), "pixels"), (Limits(max_bytes=100), "bytes")):
        done = explain_pictures(
            gather([photo_file]).items, [network], Asked(), censor=None, out=tmp_path / "out", limits=limits
        )
        assert said in str(done.failed[0][1])


def test_who_names_no_method_gets_what_there_is(tmp_path: Path, photo_file: Path) -> None:
    """A classifier without a map, or asked for another label, is none that nothing can be said of."""
    (tmp_path / "flat.onnx").write_bytes(reds(heat=False))
    networks = load_networks([str(tmp_path / "flat.onnx")], folder=None)
    for asked in (Asked(), Asked(label="sfw")):
        out = tmp_path / f"out-{asked.label}"
        assert explain_pictures(gather([photo_file]).items, networks, asked, censor=None, out=out).explained == 1
    done = explain_pictures(
        gather([photo_file]).items, networks, Asked(methods=("activation",)), censor=None, out=tmp_path / "out"
    )
    assert "this network has no activation map" in str(done.failed[0][1])


def test_methods_that_are_not_for_a_network_are_refused_before_anything_is_done(
    tmp_path: Path, photo_file: Path
) -> None:
    finds, says = (
        ExplainedNetwork(name="finder", detector=RedFinder()), ExplainedNetwork(name="reds", classifier=Reds()),
    )  # fmt: skip
    items = gather([photo_file]).items
    for network, method, said in (
        (finds, "guided", "finder: has no map of guided, only of occlusion, drise"),
        (says, "drise", "reds: has no map of drise, only of occlusion"),
    ):
        with pytest.raises(ExplanationError, match=said):
            explain_pictures(items, [network], Asked(methods=(method,)), censor=None, out=tmp_path / "out")
    asked = Asked(methods=("drise", "occlusion"), masks=16)
    assert explain_pictures(items, [finds, says], asked, censor=None, out=tmp_path / "out").explained == 1


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """torch's threads would stand in one another's way in a network so small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RetinaNet that has learnt nothing, whose scores vary."""
    torch.manual_seed(2)
    about = Description(
        names=("FACE",), size=64, backbone="resnet18", norm="batch", head_norm=True, channels=64, box_loss="l1",
        grid=AnchorGrid.standard(16),
    )  # fmt: skip
    model = about.build()
    torch.nn.init.normal_(model.head.classification_head.cls_logits.weight, std=0.08)
    torch.nn.init.zeros_(model.head.classification_head.cls_logits.bias)
    path = tmp_path_factory.mktemp("weights") / "faces.safetensors"
    save_weights(path, model, about)
    return path


def test_a_retinanet_is_explained_by_signals_sent_back_and_held_against_disorder(
    tmp_path: Path, photo_file: Path, weights: Path
) -> None:
    networks = load_networks([str(weights)], folder=None)
    asked = Asked(methods=("guided", "drise"), masks=4)
    items = gather([photo_file]).items
    done = explain_pictures(items, networks, asked, censor=hiding(), out=tmp_path / "out")
    assert done.failed == ()
    (record,) = json.loads((tmp_path / "out" / "numbers.json").read_text("utf-8"))
    assert [each["method"] for each in record["maps"]] == ["guided", "drise"]
    assert all(each["target"] == "FACE" and each["belief"]["shuffled"] is not None for each in record["maps"])
    maps = np.load(tmp_path / "out" / "maps" / "001-a-b.npz")
    assert maps["faces-guided"].shape == (8, 8)
    unit = explain_unit(items, networks[0], layer="2", unit=3, censor=hiding(), out=tmp_path / "unit")
    assert unit.explained == 1
    assert "What excites unit 3 of backbone.body.layer1.0.relu" in (tmp_path / "unit" / "index.html").read_text("utf-8")


def test_a_detector_in_disorder_has_other_maps_for_its_boxes(tmp_path: Path, weights: Path) -> None:
    (network,) = load_networks([str(weights)], folder=None)
    mixed = network.shuffled()
    assert mixed is not None
    assert mixed.detector is not None
    assert network.detector is not None
    assert mixed.detector.names == network.detector.names == ("FACE",)
    (found,) = mixed.detector.detect([red_square()])
    assert len(found) == 100  # whatever their scores
