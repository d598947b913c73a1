"""Nothing of a thumbnail is uncensored, nothing is asked that is known, and what is not shown says why."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fakes import OTHERS, RED, RedFinder, finder
from labeled_pictures import FACTS
from numpy.typing import NDArray
from PIL import Image
from tiny_classifiers import Reds

from censor import Censor
from censor.analysis.collection import Collection, unlabeled
from censor.analysis.looking import look_at
from censor.analysis.page import Figure
from censor.analysis.thumbnails import Thumbnails, Wanted, censored_thumbnail, thumbnail_censor
from censor.finding import Networks
from detect.classifier.scores import Scores
from detect.detections import Detections, RGBImage
from detect.evaluation.score_cache import ScoreCache


class Blues(Reds):
    """Takes pictures for NSFW that have little of the first channel: white hides from it."""

    def classify(self, images: Sequence[NDArray[np.uint8]], *, heat: bool = False) -> list[Scores]:
        return super().classify([255 - image for image in images], heat=heat)


def stripes(*, red: bool = True, value: int = 255) -> NDArray[np.uint8]:
    """(480, 640, 3): stripes of eight pixels, and perhaps a red square on them."""
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[:, np.arange(640) % 16 < 8] = value
    if red:
        pixels[100:200, 300:400] = RED
    return pixels


def censor() -> Censor:
    return Censor("strict", detector=finder(), classifiers=())


def decoded(figure: Figure) -> RGBImage:
    return np.asarray(Image.open(io.BytesIO(figure.image)).convert("RGB"))


def is_striped(figure: Figure, part: tuple[slice, ...] = np.s_[:, :]) -> bool:
    pixels = decoded(figure)[part]
    return bool(100 < pixels.min() < 130 and 140 < pixels.max() < 170)


def wanted(folder: Path, networks: Networks, *pictures: NDArray[np.uint8]) -> dict[int, Wanted]:
    """Pictures that were looked at."""
    folder.mkdir(exist_ok=True)
    for row, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"{row}.png")
    found = Collection.of(look_at(unlabeled(sorted(folder.iterdir())), networks, FACTS))
    return {row: found.wanted(row, f"picture {row}") for row in range(len(pictures))}


def test_what_is_found_is_hidden_and_the_rest_is_seen() -> None:
    small = censored_thumbnail(stripes(), censor(), side=160)
    assert small.refused is None
    assert small.pixels.shape == (120, 160, 3)
    assert small.pixels[30:45, 80:95].min() > 225  # solid white
    assert np.ptp(small.pixels[:, :60]) > 200  # stripes
    shown = np.asarray(Image.open(io.BytesIO(small.encode())))
    assert np.abs(shown.astype(int) - small.pixels).mean() < 5


def test_a_small_picture_is_not_made_larger() -> None:
    assert censored_thumbnail(stripes()[:30, :40], censor()).pixels.shape == (30, 40, 3)


def test_what_cannot_be_censored_is_striped_and_says_why() -> None:
    shown = censored_thumbnail(b"no picture", censor(), side=80)
    assert shown.pixels.shape == (60, 80, 3)
    assert set(np.unique(shown.pixels)) == {120, 150}
    assert shown.refused is not None
    assert "picture" in shown.refused


def test_what_was_found_is_hidden_and_where_nothing_is_no_network_is_asked(tmp_path: Path) -> None:
    networks = Networks(detector=finder())
    pictures = wanted(tmp_path / "p", networks, stripes(red=False), stripes())
    looking = finder()
    figures = Thumbnails(censor=thumbnail_censor(Networks(detector=looking)), key="k").figures(pictures)
    assert looking.calls == 1  # the second look at what was painted
    assert np.ptp(decoded(figures[0])[:, :90]) > 200
    assert is_striped(figures[1], np.s_[42:70, 118:142])
    assert [each.caption for each in figures.values()] == ["picture 0", "picture 1"]
    assert [each.alt for each in figures.values()] == ["0.png, censored", "1.png, censored"]


def test_what_was_found_lies_where_it_was_in_a_picture_that_was_reduced_in_decoding(tmp_path: Path) -> None:
    class Coarse(Blues):
        def spare_factor(self, height: int, width: int) -> float:
            return 5.0

    class Modest(RedFinder):
        def spare_factor(self, height: int, width: int) -> float:
            return 5.0

        def _find(self, image: RGBImage) -> Detections:
            near = np.abs(image.astype(int) - RED).max(axis=2) < 20  # as JPEG gives it back
            return super()._find(np.where(near[..., None], np.array(RED, np.uint8), image))

    networks = Networks(detector=Modest(others=OTHERS), classifiers=(Coarse(),))
    pixels = np.full((480, 640, 3), 255, np.uint8)
    pixels[320:400, 480:600] = RED
    (tmp_path / "p").mkdir()
    Image.fromarray(pixels).save(tmp_path / "p" / "0.jpg", quality=95, subsampling=0)
    found = Collection.of(look_at(unlabeled([tmp_path / "p" / "0.jpg"]), networks, FACTS))
    (box,) = found.seen[0].evidence.boxes.xyxy
    assert box == pytest.approx([480, 320, 600, 400], abs=8)
    assert networks.reduction(480, 640) == 4
    shown = decoded(Thumbnails(censor=thumbnail_censor(networks), key="k").figures({0: found.wanted(0, "")})[0])
    assert shown.shape == (120, 160, 3)
    assert 100 < shown.min() < 130  # stripes
    assert np.ptp(shown.astype(int), axis=2).max() < 12  # and nothing red


def test_what_a_classifier_suspects_is_hidden_from_edge_to_edge_unless_a_person_says_it_is_harmless(
    tmp_path: Path,
) -> None:
    networks = Networks(detector=finder(), classifiers=(Blues(),))
    pictures = wanted(tmp_path / "p", networks, stripes(red=False, value=60))
    thumbnails = Thumbnails(censor=thumbnail_censor(networks), key="k")
    (figure,) = thumbnails.figures(pictures).values()
    assert is_striped(figure)
    assert (figure.alt, figure.caption) == ("0.png, hidden", "picture 0; hidden: reds 0.88")
    each = pictures[0]
    told = Wanted(path=each.path, content=each.content, seen=each.seen, caption="c", harmless=True)
    assert thumbnails.figures({0: told})[0].alt == "0.png, censored"  # all of it hidden for its heat
    told = Wanted(path=each.path, content=each.content, seen=each.seen, caption="c", hidden="hidden: so", harmless=True)
    assert thumbnails.figures({0: told})[0].caption == "c; hidden: so"


def test_networks_that_cannot_serve_the_strict_policy_show_nothing(tmp_path: Path) -> None:
    foreign = Networks(detector=RedFinder("CAT"))
    pictures = wanted(tmp_path / "p", foreign, stripes())
    assert thumbnail_censor(foreign) is None
    (figure,) = Thumbnails(censor=None, key="k").figures(pictures).values()
    assert is_striped(figure)
    assert "cannot serve the strict policy" in figure.caption


def test_a_file_that_was_changed_or_is_gone_is_not_shown(tmp_path: Path) -> None:
    networks = Networks(detector=finder())
    pictures = wanted(tmp_path / "p", networks, stripes(red=False), stripes(red=False))
    Image.fromarray(stripes()).save(tmp_path / "p" / "0.png")
    (tmp_path / "p" / "1.png").unlink()
    figures = Thumbnails(censor=thumbnail_censor(networks), key="k").figures(pictures)
    assert all(is_striped(each) for each in figures.values())
    assert "is another file than the one that was looked at" in figures[0].caption
    assert "1.png: cannot be read" in figures[1].caption


def test_thumbnails_are_kept_and_so_is_why_one_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = Networks(detector=finder(), classifiers=(Reds(),))  # white is red, too: hiding makes it worse
    pictures = wanted(tmp_path / "p", networks, stripes(red=False, value=60), stripes(value=190))
    with ScoreCache(tmp_path / "c") as cache:
        thumbnails = Thumbnails(censor=thumbnail_censor(networks), key="k", cache=cache)
        first = thumbnails.figures(pictures)
        assert not is_striped(first[0])
        assert is_striped(first[1])
        assert first[1].caption.startswith("picture 1; still looks NSFW after hiding")
        monkeypatch.setattr(Censor, "apply_known", None)
        assert thumbnails.figures(pictures) == first
        with pytest.raises(TypeError):
            Thumbnails(censor=thumbnails.censor, key="another", cache=cache).figures(pictures)
