"""An actor with a GPU looks at several stills in one run of a network, and says what it would say of each alone."""

from __future__ import annotations

import functools
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from animations import encoded, red_square, stripes
from fake_classifiers import RedSeer
from fakes import OTHERS, RedFinder
from jobs import MODELS, folder_of, job, picture, planned, worker
from PIL import Image

from censor.cluster.job import Loaded
from censor.cluster.planning import plans, shards_of
from censor.cluster.together import load_together
from censor.cluster.verdicts import committed, read_shard, verdicts_name
from censor.pipeline import Censor
from censor.policy import Policy, Rule
from censor.rules import PictureRule
from detect.classifier.scores import Scores
from detect.detections import Detections, RGBImage

POLICY = Policy(
    name="own",
    rules={"FEMALE_BREAST_EXPOSED": Rule(censor_at=0.5, nsfw_at=0.5, effect="solid")},
    picture=PictureRule(nsfw_at=0.9, hide_at=0.9, heat_at=0.9),
    heat=Rule(effect="solid", shape="box"),
)


def slow_at_first(sizes: list[int], count: int, slow_s: float) -> None:
    """Note a run; the first leaves the pictures beside it the time to come and wait, however busy the machine."""
    sizes.append(count)
    if len(sizes) == 1:
        time.sleep(slow_s)


class Finder(RedFinder):
    """Notes how many pictures each run has; fails on every batch with a picture of 44 rows, and is slow at first."""

    def __init__(self, slow_s: float) -> None:
        super().__init__(others=OTHERS)
        self.sizes: list[int] = []
        self.slow_s = slow_s

    def detect(self, images: Sequence[RGBImage]) -> list[Detections]:
        slow_at_first(self.sizes, len(images), self.slow_s)
        if any(len(image) == 44 for image in images):
            raise RuntimeError("no memory left on the GPU")
        return super().detect(images)


class Seer(RedSeer):
    """Notes it and is slow at first too."""

    def __init__(self, slow_s: float) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.slow_s = slow_s

    def classify(self, images: Sequence[RGBImage], *, heat: bool = False) -> list[Scores]:
        slow_at_first(self.sizes, len(images), self.slow_s)
        return super().classify(images, heat=heat)


def worked_off(source: Path, out: Path, *, cores: int, together: bool) -> tuple[dict[str, Any], Finder, Seer]:
    """Rows by file, and who looked."""
    slow_s = 1.0 if together and cores > 1 else 0.0
    finder, seer = Finder(slow_s), Seer(slow_s)

    def load(_: int) -> Loaded:
        return Loaded(Censor(POLICY, detector=finder, classifiers=[seer]), MODELS)

    work = job(str(source), str(out))
    store, _ = planned(work, str(source), size=20)
    one = worker(work, functools.partial(load_together, load=load) if together else load, cores=cores)
    for shard in (each for plan in plans(store) for each in shards_of(store, plan)):
        one.work_off(shard.shard, shard.part, shard.group)
    rows = [row for each in committed(store) for row in read_shard(store.read(verdicts_name(each)))[0].to_pylist()]
    ours = ("outcome", "verdict", "boxes", "classifiers", "hidden", "error", "output_bytes")
    return {row["file"]: {name: row[name] for name in ours} for row in rows}, finder, seer


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six pictures, one that is no whole file, one at which the network fails, and one that moves."""
    there = folder_of(tmp_path / "in", pictures=6)
    (there / "broken.png").write_bytes(picture(1)[:-40])
    out = io.BytesIO()
    Image.new("RGB", (48, 44)).save(out, "PNG")
    (there / "large.png").write_bytes(out.getvalue())
    (there / "moving.gif").write_bytes(encoded([red_square(10), red_square(14), stripes()], "GIF"))
    return there


def test_what_is_looked_at_together_comes_out_as_alone(tmp_path: Path, source: Path) -> None:
    alone, finder, seer = worked_off(source, tmp_path / "alone", cores=4, together=False)
    assert max(finder.sizes) == 1
    said, finder, seer = worked_off(source, tmp_path / "together", cores=4, together=True)
    assert 1 < max(finder.sizes) <= 4
    assert 1 < max(seer.sizes) <= 4
    assert said == alone
    failed = {Path(file).name: row["error"]["type"] for file, row in said.items() if row["outcome"] == "failed"}
    assert failed == {"broken.png": "DamagedImageError", "large.png": "DetectorError"}
    for output in (tmp_path / "alone").rglob("*.[pg][ni][gf]"):
        assert (tmp_path / "together" / output.relative_to(tmp_path / "alone")).read_bytes() == output.read_bytes()


def test_one_at_a_time_is_never_a_batch(tmp_path: Path, source: Path) -> None:
    alone, *_ = worked_off(source, tmp_path / "alone", cores=1, together=False)
    said, finder, _ = worked_off(source, tmp_path / "together", cores=1, together=True)
    assert max(finder.sizes) == 1
    assert said == alone


def test_what_does_not_judge_is_left_as_it_is() -> None:
    assert load_together(4, load=lambda _: Loaded(None, MODELS)) == Loaded(None, MODELS)
