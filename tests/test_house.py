"""The rules of the house that a linter cannot check: who imports whom, what starts fast, what nothing may contain."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from commands import commands_of

from censor.cli import main
from detect.runtime.telemetry import QUIET

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "detect").rglob("*.py"), *(ROOT / "censor").rglob("*.py")])


@functools.cache
def nodes(path: Path) -> list[ast.AST]:
    """All that a file's syntax tree holds: several rules look at each file."""
    return list(ast.walk(ast.parse(path.read_text())))


def imports(path: Path) -> set[str]:
    names = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def modules_after(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{statement}\nprint(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    relative = path.relative_to(ROOT)
    found = imports(path)
    if relative.parts[0] == "detect":
        assert not {name for name in found if name.split(".")[0] == "censor"}
    if relative.parts[:2] not in (("detect", "retinanet"), ("detect", "training")) and not path.name.startswith(
        "torch_"
    ):
        assert not {name for name in found if name.split(".")[0] in ("torch", "torchvision")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_command_prints_or_exits(path: Path) -> None:
    if path.is_relative_to(ROOT / "censor" / "cli") or path == ROOT / "detect" / "__main__.py":
        return
    called = {ast.unparse(node.func) for node in nodes(path) if isinstance(node, ast.Call)}
    assert not called & {"print", "sys.exit", "exit", "quit", "os._exit"}


PROGRAMS = [*SOURCES, *(path for name in ("benchmarks", "examples", "tests") for path in (ROOT / name).rglob("*.py"))]


@pytest.mark.parametrize("path", [*PROGRAMS, *ROOT.glob("*.py")], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_one_subject_and_a_function_one_job(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    assert path.stem not in ("utils", "util", "helpers", "common", "misc")
    assert long_functions(path) <= MAY_BE_LONG.get(str(path.relative_to(ROOT)), set())


MAY_BE_LONG = {
    "train_classifier.py": {"train"},  # one loop, read from top to bottom
    "train_retinanet.py": {"train"},
}


def long_functions(path: Path) -> set[str]:
    return {
        node.name
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or node.lineno) - node.lineno >= 60
    }


def test_long_functions_are_found(tmp_path: Path) -> None:
    lines = "\n    x = 1"
    (tmp_path / "a.py").write_text(f"def short():{59 * lines}\nclass A:\n  async def long(self):{60 * lines}\n")
    assert long_functions(tmp_path / "a.py") == {"long"}


COMMANDS = tuple(ROOT / each for each in ("censor/cli", "detect/cli", "detect/__main__.py"))
BELOW_THE_COMMAND = [path for path in SOURCES if path.is_relative_to(ROOT / "detect")]
BESIDE_THE_COMMAND = [path for path in SOURCES if not path.is_relative_to(ROOT / "censor" / "cli")]


@pytest.mark.parametrize("path", BESIDE_THE_COMMAND, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_knows_nothing_of_the_command_above_it(path: Path) -> None:
    """It takes arguments: flags of `censor` are not its business, nor are its variables that of `detect`."""
    own = any(path.is_relative_to(each) for each in COMMANDS)
    said = [node.value for node in nodes(path) if isinstance(node, ast.Constant)]
    for text in (each for each in said if isinstance(each, str)):
        assert path not in BELOW_THE_COMMAND or not re.search(r"CENSOR_?[A-Z]*\b", text), text
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) if " " in text else set()  # one word is pip's
        assert own or not named & FLAGS, text


def flags(command: click.Command) -> set[str]:
    below = commands_of(command) if isinstance(command, click.Group) else []
    own = {flag for each in command.params for flag in each.opts if flag.startswith("--")}
    return own.union(*map(flags, below))


FLAGS = flags(main)


def test_the_flags_of_the_command_are_known() -> None:
    assert {"--weights", "--max-bytes", "--force", "--originals", "--allowed-hosts"} < FLAGS


@pytest.mark.parametrize("path", [*PROGRAMS, *ROOT.glob("*.py")], ids=lambda path: str(path.relative_to(ROOT)))
def test_what_reports_its_use_is_imported_quietly(path: Path) -> None:
    assert not {name for name in imports(path) if name.partition(".")[0] in {*QUIET, "openvino_telemetry"}}


def test_the_library_needs_neither_torch_nor_the_peer() -> None:
    loaded = modules_after("import censor; censor.Censor(); import detect")
    assert "censor.pipeline" in loaded
    assert not loaded & {"torch", "torchvision", "nudenet", "albumentations", "pycocotools"}


def test_help_loads_nothing_heavy() -> None:
    loaded = modules_after("from censor.cli import main\ntry: main(['hide', '--help'])\nexcept SystemExit: pass")
    assert "censor.cli" in loaded
    assert not loaded & {"numpy", "cv2", "onnxruntime", "PIL", "rich", "censor.pipeline"}


def test_importing_detect_loads_no_runtime() -> None:
    assert not modules_after("import detect") & {"onnxruntime", "openvino", "censor"}


def test_every_public_name_can_be_had() -> None:
    import censor

    assert [getattr(censor, name).__name__ for name in censor.__all__] == censor.__all__
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = censor.Nonsense


def test_the_drawing_of_who_may_import_whom_is_that_of_the_contracts() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text().split("## Who may import whom")[1]
    header, _, *lines = text.split("```text\n")[1].split("\n```")[0].splitlines()
    assert header.split() == ["censor", "detect"]
    right = header.index("detect")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {each["containers"][0]: each["layers"] for each in contracts if each["type"] == "layers"}
    drawn = {"censor": [line[:right].strip() for line in lines], "detect": [line[right:].strip() for line in lines]}
    assert {name: [layer for layer in column if layer] for name, column in drawn.items()} == layers


INVENTED = {"crew", "workroom", "shield", "leash", "leashes", "shunned", "doomed", "bury", "tend", "yard"}
"""Names that a stranger would have to learn, where the field has one: process pool, middleware, deadline, reap."""

BRITISH = re.compile(r"colours?|\w*(normalis|quantis|serialis|initialis|synchronis)\w*|centre")


def identifiers(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute) and ast.unparse(node) != "asyncio.shield":
            yield node.attr


def words(identifier: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)}


@pytest.mark.parametrize("path", [*PROGRAMS, *ROOT.glob("*.py")], ids=lambda path: str(path.relative_to(ROOT)))
def test_names_are_those_of_the_field_in_american_spelling(path: Path) -> None:
    named = {path.stem, path.parent.stem, *identifiers(path)}
    assert not {each for each in named if words(each) & INVENTED}
    assert not {each for each in named if any(BRITISH.fullmatch(word) for word in words(each))}


def test_invented_and_british_names_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("class WorkroomHandle:\n    def _bury(self, myColour): self.normalised = quantise()")
    found = [words(each) for each in identifiers(tmp_path / "a.py")]
    assert sum(bool(each & INVENTED) for each in found) == 2
    assert sum(any(BRITISH.fullmatch(word) for word in each) for each in found) == 3


def test_mypy_sees_the_conftest_of_every_folder() -> None:
    folders = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.glob("tests/*/**/conftest.py")}
    assert folders == imports(ROOT / "tests" / "typed.py") - {"__future__", "typing"}
