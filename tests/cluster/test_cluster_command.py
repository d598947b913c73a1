"""What the command says and refuses, without a cluster."""

from __future__ import annotations

import importlib.util
import json
import platform
import re
import shlex
import tomllib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from jobs import folder_of, load_red, picture
from labeled_pictures import labeled_folder, look_with, networks
from object_store import ACCESS, punctual_store

from censor.cli import cluster, main
from censor.cluster import running
from censor.cluster.running import Progress
from censor.cluster.shard_worker import ShardWorker
from censor.cluster.stores import open_store
from censor.cluster.verdicts import Tally, committed
from censor.policy_toml import format_policy, load_policy

ROOT = Path(__file__).parent.parent.parent
SHOWN = [
    shlex.split(line)
    for block in re.findall(
        r"^```bash\n(.*?)^```$", (ROOT / "docs" / "cluster.md").read_text(), re.DOTALL | re.MULTILINE
    )
    for line in block.splitlines()
]
"""The command lines of docs/cluster.md."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command, whose networks look for red and whose shards are worked off in a loop."""

    def told(ray: Any, shards: Any, work: Any, load: Any, chosen: Any) -> Any:
        one = ShardWorker(work, load, chosen.cores)
        for each in shards:
            answer = one({name: [value] for name, value in each._asdict().items()})
            yield {name: value[0] for name, value in answer.items()}

    monkeypatch.setattr(running, "_told", told)
    monkeypatch.setattr(running, "_connected", lambda _: nullcontext())
    monkeypatch.setattr(cluster, "load", lambda cores, **_: load_red(cores))

    def call(*arguments: object) -> Result:
        result = CliRunner().invoke(main, ["cluster", *map(str, arguments)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


def test_verdicts_decide_the_exit_code(tmp_path: Path, run: Callable[..., Result]) -> None:
    source = folder_of(tmp_path / "in", pictures=4)
    assert run("check", source, "-o", tmp_path / "verdicts", "--policy", "boxes").exit_code == 3
    assert run("hide", source, "-o", tmp_path / "out", "--policy", "boxes", "-q").output == ""
    (source / "broken.png").write_bytes(picture(1)[:-20])
    done = run("check", source, "-o", tmp_path / "verdicts", "--policy", "boxes")
    assert done.exit_code == 1
    assert done.output.endswith("5 of 5 objects, 2 safe, 0 review, 2 nsfw, 0 with hidden regions, 1 failed\n")
    assert run("check", source, "-o", tmp_path / "verdicts", "--policy", "boxes", "--max-failures", "0").exit_code == 1


def test_summary_and_page_are_written_and_not_overwritten(tmp_path: Path, run: Callable[..., Result]) -> None:
    source = folder_of(tmp_path / "in", pictures=1)
    given = ("hide", source, "-o", tmp_path / "out", "--policy", "boxes", "--price", "0.04",
             "--summary", tmp_path / "s.json", "--page", tmp_path / "p.html")  # fmt: skip
    assert run(*given).exit_code == 0
    assert json.loads((tmp_path / "s.json").read_text())["outcomes"] == {"done": 1}
    assert (tmp_path / "p.html").read_text().startswith("<!doctype html>")
    refused = run(*given)
    assert refused.exit_code == 2
    assert "--summary" in refused.output
    assert run(*given, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("source", "out", "said"),
    [
        ("nothing", "out", "no such file or folder"),
        ("in", "in/out", "neither in the input"),
        ("in", "full", "is not empty"),
        ("s3://no-such-bucket", "out", "no such bucket"),
        ("in", "s3://no-such-bucket/out", "no such bucket"),
        ("in", "nonsense://out", "not known"),
    ],
)
def test_one_line_says_what_is_wrong(
    tmp_path: Path, run: Callable[..., Result], source: str, out: str, said: str, s3: Any
) -> None:
    folder_of(tmp_path / "in", pictures=1)
    folder_of(tmp_path / "full", pictures=1)
    at = [each if "://" in each else str(tmp_path / each) for each in (source, out)]
    done = run("hide", at[0], "-o", at[1], "--policy", "boxes")
    assert done.exit_code == 1
    (line,) = done.output.splitlines()
    assert line.startswith("Error: ")
    assert said in line.lower()


def test_another_policy_wants_another_output(tmp_path: Path, run: Callable[..., Result]) -> None:
    source = folder_of(tmp_path / "in", pictures=1)
    assert run("hide", source, "-o", tmp_path / "out", "--policy", "boxes").exit_code == 0
    done = run("hide", source, "-o", tmp_path / "out", "--policy", "boxes", "--quality", "50")
    assert done.exit_code == 1
    assert "holds outputs of other options" in done.output


def test_labelled_pictures_are_measured_as_the_command_measures_them(
    tmp_path: Path, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, s3: Any
) -> None:
    """By the same numbers, of a picture in a bucket and of one that cannot be read too; and what is known is kept."""
    labeled, place = labeled_folder(tmp_path / "labeled"), s3("in")
    (labeled / "SAFE" / "broken.png").write_bytes(picture(1)[:-20])
    there = sorted(labeled.rglob("*.png"))
    lines = [f"{each},{each.parent.name},g{row // 3},{1 + row % 2}" for row, each in enumerate(there)]
    (tmp_path / "here.csv").write_text("\n".join(["path,label,group,weight", *lines]))
    open_store(place).create("a.png", there[0].read_bytes())
    (tmp_path / "list.csv").write_text(
        (tmp_path / "here.csv").read_text().replace(f"\n{there[0]},", f"\n{place}/a.png,")
    )
    look_with(monkeypatch, networks())
    alone = CliRunner().invoke(main, ["evaluate", str(tmp_path / "here.csv"), "-o", str(tmp_path / "alone"), "-q"])
    given = ("evaluate", tmp_path / "list.csv", "-o", tmp_path / "out", "--report", tmp_path / "report", "--shard", 5)
    done = run(*given, "-q")
    assert (alone.exit_code, done.exit_code) == (1, 1), done.output
    assert "broken.png" in done.output
    one, other = ((tmp_path / each / "scores.csv").read_text() for each in ("alone", "report"))
    assert other == one.replace(str(there[0]), str(tmp_path / place.replace("://", ":/") / "a.png"))
    said = [json.loads((tmp_path / each / "report.json").read_text()) for each in ("alone", "report")]
    assert said[0]["policies"] == said[1]["policies"]
    assert said[0]["judges"] == said[1]["judges"]
    page = (tmp_path / "report" / "report.html").read_text()
    assert "is another file than" not in page
    monkeypatch.setattr(ShardWorker, "work_off", lambda *_: pytest.fail("a picture is looked at again"))
    assert run(*given, "-q").exit_code == 2
    assert run(*given, "-q", "--force").exit_code == 1


@pytest.mark.parametrize("words", [line for line in SHOWN if line[0] != "pip"], ids=" ".join)
def test_what_the_document_shows_works(
    tmp_path: Path, run: Callable[..., Result], s3: Any, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """All but Ray, which tests/cluster/test_on_ray.py has; and networks that look for red, in pictures without."""
    monkeypatch.chdir(tmp_path)
    content = picture(1, red=False)
    for place in (open_store("photos"), open_store("s3://uploads/2026")):
        place.create("a.png", content)
    Path("house.toml").write_text(format_policy(load_policy("boxes")))
    labeled = labeled_folder(Path("labeled"))
    rows = [f"{each},{each.parent.name}" for each in sorted(labeled.rglob("*.png"))]
    Path("labelled.csv").write_text("\n".join(["path,label", *rows]))
    look_with(monkeypatch, networks())
    assert words[:2] == ["censor", "cluster"]
    done = run(*words[2:])
    assert done.exit_code == 0, done.output


def test_what_the_document_installs_is_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installed = [line for line in SHOWN if line[0] == "pip"]
    assert installed
    for *command, what in installed:
        assert command == ["pip", "install"]
        name, asked = re.fullmatch(r"([\w-]+)\[(.+)\]", what).groups()  # type: ignore[union-attr]  # fails as it should
        assert name == "nsfw-censor"
        assert set(asked.split(",")) <= extras.keys()


def test_a_model_that_is_not_on_a_machine_ends_the_job(
    tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_of(tmp_path / "in", pictures=1)

    def told(ray: Any, shards: Any, work: Any, load: Any, chosen: Any) -> Any:
        monkeypatch.setenv("CENSOR_MODELS", str(tmp_path))  # as it is where the actor is
        (shard,) = shards
        answer = ShardWorker(work, load, 1)({name: [value] for name, value in shard._asdict().items()})
        yield {name: value[0] for name, value in answer.items()}

    monkeypatch.setattr(running, "_told", told)
    monkeypatch.setattr(running, "_connected", lambda _: nullcontext())
    given = ["cluster", "hide", str(source), "-o", str(tmp_path / "out"), "--policy", "faces", "-q"]
    done = CliRunner().invoke(main, given)
    assert done.exit_code == 1
    (line,) = done.output.splitlines()
    assert line.startswith(f"Error: on {platform.node()}: other models than where the job was begun: ")
    assert "centerface" in line
    assert not list(committed(open_store(str(tmp_path / "out"))))


def test_a_clock_that_the_store_does_not_take_is_named(
    tmp_path: Path, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one clock that counts: requests are signed with it."""
    with punctual_store() as url:
        for name, value in {**ACCESS, "AWS_ENDPOINT_URL": url}.items():
            monkeypatch.setenv(name, value)
        done = run("check", "s3://pictures/in", "-o", tmp_path / "out", "--policy", "boxes")
    assert done.exit_code == 1
    (line,) = done.output.splitlines()
    assert line.startswith("Error: s3://pictures/in: cannot be listed: ")
    assert "request time" in line


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else find(name, *more))
    done = CliRunner().invoke(main, ["cluster", "hide", str(tmp_path), "-o", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert done.output == "Error: ray is not installed; install it with: pip install 'nsfw-censor[cluster]'\n"


@pytest.mark.parametrize("given", [("hide", "", "-o", "x"), ("hide", "in"), ("hide", "in", "-o", "")])
def test_what_is_no_use(given: tuple[str, ...], run: Callable[..., Result]) -> None:
    assert run(*given).exit_code == 2


def test_a_line_of_progress() -> None:
    tally = Tally(seconds=1800.0)
    tally.outcomes.update({"done": 1190, "failed": 10})
    progress = Progress(pictures=10_000, tally=tally, seconds=60.0)
    said = "1,200 of 10,000, 20.0/s, 10 failed, cost 0.02, 0:07:20 left"
    assert cluster.progress_line(progress, price=0.04) == said
    assert cluster.progress_line(Progress(pictures=3), price=None) == "0 of 3, 0.0/s"
