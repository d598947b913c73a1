"""Version, changelog and tag say the same; what is published says what it is."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
NAME = tomllib.loads(PYPROJECT)["project"]["name"]

spec = importlib.util.spec_from_file_location("check_release", ROOT / ".github" / "check_release.py")
assert spec is not None
assert spec.loader is not None
check_release = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_release)


def project(version: str = "1.2.3", url: str = "https://example.org") -> str:
    return f'[project]\nversion = "{version}"\nurls = {{Repository = "{url}"}}\n'


LOG = "# Changelog\n\n## Unreleased\n\n## 1.2.3 (2026-01-31)\n\n## 1.2.2 (2026-01-01)\n"


def test_this_version_and_this_changelog_agree() -> None:
    assert check_release.faults(PYPROJECT, CHANGELOG) == []


@pytest.mark.parametrize(
    ("pyproject", "changelog", "tag", "fault"),
    [
        (project("1.2.4"), LOG, None, "version 1.2.4, the newest heading in CHANGELOG.md 1.2.3"),
        (project(), LOG, "v1.2.4", "the tag is v1.2.4"),
        (project(), LOG.replace("## Unreleased\n", ""), None, "the first heading"),
        (project(), LOG.replace("(2026-01-31)", ""), None, "heading is like"),
        (project(), LOG.replace("(2026-01-31)\n", "(2026-01-31)\n### Fixed\n### Fixed\n"), None, "a section twice"),
        (project(), "# Changelog\n\n## Unreleased\n", None, "the newest heading in CHANGELOG.md None"),
        (project(url="https://repository.invalid/x"), LOG, "v1.2.3", "names no real address"),
    ],
)
def test_what_does_not_agree_is_not_released(pyproject: str, changelog: str, tag: str | None, fault: str) -> None:
    (found,) = [each for each in check_release.faults(pyproject, changelog, tag) if fault in each]
    assert found


def test_what_agrees_is_released() -> None:
    assert check_release.faults(project(), LOG, "v1.2.3") == []


def test_every_extra_is_described() -> None:
    extras = set(tomllib.loads(PYPROJECT)["project"]["optional-dependencies"])
    rows = re.findall(r"^\| `([a-z]+)` \|", (ROOT / "docs" / "install.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(extras)


def test_every_line_that_installs_us_names_our_distribution_and_extras_that_it_has() -> None:
    extras = set(tomllib.loads(PYPROJECT)["project"]["optional-dependencies"])
    files = [*ROOT.glob("*.md"), *ROOT.glob("Dockerfile"), *(ROOT / "docs").rglob("*.md")]
    files += [each for name in ("censor", "detect", "examples", "benchmarks") for each in (ROOT / name).rglob("*.py")]
    texts = [path.read_text() for path in files]
    named = [each for text in texts for each in re.findall(r"([\w.-]*(?:censor|\.))\[([a-z,]+)\]", text)]
    assert len(named) > 15
    for name, wanted in named:
        assert name in (NAME, "."), name
        assert set(wanted.split(",")) <= extras, wanted
    assert not [text for text in texts if re.search(r"(pip|uv|pipx) (install|add) [\"']?censor\b", text)]


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_workflows_and_templates_can_be_read(path: Path) -> None:
    assert yaml.safe_load(path.read_text())


def test_the_tests_run_on_every_python_that_is_named() -> None:
    classifiers = tomllib.loads(PYPROJECT)["project"]["classifiers"]
    named = [each.rsplit(" ", 1)[1] for each in classifiers if re.search(r"3\.\d+$", each)]
    matrix = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())["jobs"]["tests"]["strategy"]
    assert matrix["matrix"]["python"] == named
