"""What the documents say is run, or compared with the code."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import onnx
import pytest
from commands import commands_of
from numpy.typing import NDArray
from PIL import Image

from censor.cli import main
from censor.policy import Policy, Rule
from censor.policy_toml import PRESETS, parse_policy
from detect.labels import CLASSES
from detect.models.catalogue import KNOWN
from detect.runtime.metadata import read_literal, read_names, read_size

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, astronaut: NDArray[np.uint8]) -> Path:
    """A folder as in the README's examples."""
    (tmp_path / "photos").mkdir()
    for name in ("photo.jpg", "upload.jpg", "photos/one.jpg"):
        Image.fromarray(astronaut).save(tmp_path / name, quality=95)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    return tmp_path


@pytest.mark.parametrize(
    "block", [block for block in blocks(README, "console") if "$ pip" not in block and "serve" not in block]
)
def test_the_readmes_commands_do_what_it_says(here: Path, block: str) -> None:
    command, expected = "", ""
    for line in [*block.splitlines(), "$ true"]:
        if not line.startswith("$ "):
            expected += line + "\n"
            continue
        if command:
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            if expected:
                assert done.stdout == expected
            (here / "photo.censored.jpg").unlink(missing_ok=True)
        command, expected = line[2:], ""


def test_the_readmes_snippet_runs(here: Path) -> None:
    (snippet,) = blocks(README, "python")
    assert len([line for line in snippet.splitlines() if line.strip()]) <= 10
    done = subprocess.run([sys.executable, "-c", snippet], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("FACE 0.91 (")
    last = done.stdout.splitlines()[-1]
    assert last.startswith("safe 0.0")
    assert last.endswith("('320n', 'open_nsfw', 'image-safety-s')")
    assert (here / "published.jpg").exists()


def test_the_readme_names_the_six_classes_and_the_policies() -> None:
    for name in (*CLASSES, *(f"`{name}`" for name in PRESETS)):
        assert name in README


def options(command: click.Command) -> Iterator[str]:
    if isinstance(command, click.Group):
        for below in commands_of(command):
            yield from options(below)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield from parameter.opts


def test_every_option_is_documented() -> None:
    pages = ("command.md", "collection.md", "cluster.md", "plan.md")
    text = "".join((ROOT / "docs" / name).read_text() for name in pages)
    found = set(options(main))
    assert {"--output", "--threshold", "--boxes", "--json", "--force"} < found
    assert not {option for option in found if f"`{option}" not in text and f"[{option}" not in text}


def test_the_documented_script_lets_pass_what_is_safe_only(here: Path) -> None:
    (line,) = [line for line in (ROOT / "docs" / "command.md").read_text().splitlines() if "if censor check" in line]
    script = f"publish() {{ echo published $1; }}; {line.strip()}"
    assert subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout == b"published upload.jpg\n"
    (here / "upload.jpg").write_bytes((here / "upload.jpg").read_bytes()[:-900])
    assert subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout == b""


def test_the_documented_policy_is_valid_and_every_key_explained() -> None:
    text = (ROOT / "docs" / "policies.md").read_text()
    (example,) = blocks(text, "toml")
    policy = parse_policy(example)
    assert policy.rules["FACE_FEMALE"].nsfw_at is None
    assert policy.rules["BUTTOCKS_EXPOSED"].nsfw_at == 0.6
    for key in (*Rule.__dataclass_fields__, *Policy.__dataclass_fields__):
        assert key in ("rules", "base") or key in text


MODELS = (ROOT / "docs" / "models.md").read_text()


def test_the_documented_models_are_those_that_are_known() -> None:
    rows = [line for line in MODELS.splitlines() if line.startswith("| `") and "==" in line]
    for row, known in zip(rows, KNOWN, strict=True):
        name, kind, says, size, license_, source = (cell.strip().strip("`") for cell in row.strip("|").split("|"))
        assert (name, license_, source) == (known.name, known.license, known.source)
        assert kind.startswith(known.kind)
        assert size == f"{known.bytes / 1e6:.1f}"
        assert f"{len(known.names)} labels" in says or re.findall(r"`(\w+)`", f"`{says}`") == list(known.names)


def test_every_key_of_a_models_metadata_is_documented(models_folder: Path) -> None:
    documented = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (.*?) \|", MODELS, re.MULTILINE))))
    for known in KNOWN:
        model = onnx.load(models_folder / f"{known.name}.onnx")
        ultralytics = {"description", "author", "date", "version", "docs", "batch"}
        assert {prop.key for prop in model.metadata_props} - ultralytics - {"sha256"} <= documented


def test_the_documented_way_to_describe_a_model_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given, answer = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 3]) for name in ("images", "scores")
    )
    node = onnx.helper.make_node("Softmax", ["images"], ["scores"])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "mine", [given], [answer])), "mine.onnx")
    (snippet,) = blocks(MODELS, "python")
    exec(snippet, {})  # noqa: S102  # what the document shows
    said = {prop.key: prop.value for prop in onnx.load("mine.onnx").metadata_props}
    assert read_names(said, "mine.onnx") == ("harmless", "nude", "gore")
    assert read_size(said, "mine.onnx") == (224, 224)
    assert [len(read_literal(said, key, "mine.onnx")) for key in ("nsfw", "mean")] == [1, 3]  # type: ignore[arg-type]


def test_the_demo_says_where_before_and_after_are(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py", tmp_path], capture_output=True, text=True, check=True
    )
    before, after = re.findall(r"(?:before|after): +(\S+)", done.stdout)
    difference = np.asarray(Image.open(before)).astype(int) - np.asarray(Image.open(after))
    assert np.abs(difference[100:160, 190:250]).mean() > 10
    assert np.abs(difference[300:]).mean() < 3


def test_commands_shown_in_documents_parse(here: Path) -> None:
    """`censor policy …` as listed at the end of docs/command.md, with the placeholders filled in."""
    text = (ROOT / "docs" / "command.md").read_text().split("## `censor labels` and `censor policy`")[1]
    lines = [line.strip() for line in text.splitlines() if line.startswith("    censor ")]
    assert len(lines) == 5
    for line in lines:
        filled = re.sub(r"\[.*?\]", "", line).replace("FILE|PRESET", "strict").replace("TARGET", "own.toml")
        done = subprocess.run([sys.executable, "-m", *shlex.split(filled)], capture_output=True, check=False)
        assert done.returncode == 0, filled


def test_the_step_of_a_ci_lets_pass_what_is_safe_only(here: Path) -> None:
    (line,) = [line[2:] for line in blocks((ROOT / "docs" / "ci.md").read_text(), "console")[0].splitlines()]
    assert subprocess.run(["bash", "-c", line], check=False).returncode == 0
    whole = (here / "photos" / "one.jpg").read_bytes()
    (here / "photos" / "cut.jpg").write_bytes(whole[:-900])
    assert subprocess.run(["bash", "-c", line], check=False, capture_output=True).returncode == 1


def test_the_changed_pictures_of_a_ci_are_checked(here: Path) -> None:
    (script,) = blocks((ROOT / "docs" / "ci.md").read_text(), "bash")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    (here / "upload.jpg").unlink()
    for command in (["init", "-q"], ["add", "photo.jpg"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    subprocess.run(["git", "update-ref", "refs/remotes/origin/main", "HEAD"], check=True)
    for command in (["add", "photos"], ["commit", "-qm", "two"]):
        subprocess.run([*git, *command], check=True)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "safe    0.04  photos/one.jpg\n"


def test_the_page_about_uploads_publishes_what_is_safe_only(here: Path) -> None:
    snippet = blocks((ROOT / "docs" / "uploads.md").read_text(), "python")[1]
    scope: dict[str, object] = {}
    exec(snippet, scope)  # noqa: S102  # it is ours, and what is to be tried
    publish = scope["publish"]
    assert callable(publish)
    published = publish((here / "photo.jpg").read_bytes())
    assert isinstance(published, bytes)
    assert published[:3] == b"\xff\xd8\xff"
    assert publish((here / "photo.jpg").read_bytes()[:-900]) is None


def test_the_site_builds_and_nothing_on_it_comes_from_elsewhere(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "index.html").read_text()
    assert not re.findall(r'(?:src|href)="(?:https?:)?//(?!squidfunk)[^"]*\.(?:js|css|woff2?)"', page)
    for name in ("command", "uploads", "ci", "limits", "reference/censor"):
        assert (tmp_path / name / "index.html").exists()
