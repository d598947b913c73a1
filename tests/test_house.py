"""The rules of the house that a linter cannot check: who imports whom, what starts fast, what nothing may contain."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import click
import pytest
from commands import commands_of

from censor.cli import main
from detect.runtime.telemetry import QUIET

ROOT = Path(__file__).parent.parent
LIBRARY = [ROOT / "censor", ROOT / "detect"]
PROGRAMS = [*LIBRARY, *(ROOT / name for name in ("benchmarks", "examples", "tests"))]

BODY = "\n    x = 1"

Nodes = Sequence[ast.AST]
Rule = Callable[[Path, Nodes], Iterable[str]]
"""Gives what is wrong with a file, of which it gets the path below the repository, and all nodes of the syntax tree."""


def nodes_of(path: Path) -> Nodes:
    return list(ast.walk(ast.parse(path.read_text())))


def imports(nodes: Nodes) -> set[str]:
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def imports_point_down(path: Path, nodes: Nodes) -> Iterable[str]:
    found = imports(nodes)
    if path.parts[0] == "detect":
        yield from (name for name in found if name.split(".")[0] == "censor")
    if path.parts[:2] not in (("detect", "retinanet"), ("detect", "training")) and not path.name.startswith("torch_"):
        yield from (name for name in found if name.split(".")[0] in ("torch", "torchvision"))


def only_the_command_prints_or_exits(path: Path, nodes: Nodes) -> Iterable[str]:
    if path.parts[:2] == ("censor", "cli") or path == Path("detect/__main__.py"):
        return set()
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    return called & {"print", "sys.exit", "exit", "quit", "os._exit"}


MAY_BE_LONG = {"train_classifier.py", "train_retinanet.py"}
"""Their loop is read from top to bottom."""


def a_file_has_one_subject_and_a_function_one_job(path: Path, nodes: Nodes) -> Iterable[str]:
    if len((ROOT / path).read_text().splitlines()) > 400:
        yield "more than 400 lines"
    if path.stem in ("utils", "util", "helpers", "common", "misc"):
        yield "a name that says nothing"
    allowed = {"train"} if str(path) in MAY_BE_LONG else set()
    yield from long_functions(nodes) - allowed


def long_functions(nodes: Nodes) -> set[str]:
    return {
        node.name
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or node.lineno) - node.lineno >= 60
    }


def flags(command: click.Command) -> set[str]:
    below = commands_of(command) if isinstance(command, click.Group) else []
    own = {flag for each in command.params for flag in each.opts if flag.startswith("--")}
    return own.union(*map(flags, below))


FLAGS = flags(main)


def the_library_knows_nothing_of_the_command_above_it(path: Path, nodes: Nodes) -> Iterable[str]:
    """It takes arguments: flags of `censor` are not its business, nor are its variables that of `detect`."""
    if path.parts[:2] == ("censor", "cli"):
        return
    own = path.parts[:2] in (("detect", "cli"), ("detect", "__main__.py"))
    said = [node.value for node in nodes if isinstance(node, ast.Constant)]
    for text in (each for each in said if isinstance(each, str)):
        if path.parts[0] == "detect" and re.search(r"CENSOR_?[A-Z]*\b", text):
            yield text
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) if " " in text else set()  # one word is pip's
        if not own and named & FLAGS:
            yield text


def what_reports_its_use_is_imported_quietly(path: Path, nodes: Nodes) -> Iterable[str]:
    return (name for name in imports(nodes) if name.partition(".")[0] in {*QUIET, "openvino_telemetry"})


INVENTED = {"crew", "workroom", "shield", "leash", "leashes", "shunned", "doomed", "bury", "tend", "yard"}
"""Names that a stranger would have to learn, where the field has one: process pool, middleware, deadline, reap."""

BRITISH = re.compile(r"colours?|\w*(normalis|quantis|serialis|initialis|synchronis)\w*|centre")


def names_are_those_of_the_field_in_american_spelling(path: Path, nodes: Nodes) -> Iterable[str]:
    return (name for name in {path.stem, path.parent.stem, *identifiers(nodes)} if strange(name))


def identifiers(nodes: Nodes) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute) and ast.unparse(node) != "asyncio.shield":
            yield node.attr


def strange(identifier: str) -> bool:
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)}
    return bool(words & INVENTED) or any(BRITISH.fullmatch(word) for word in words)


OF_THE_LIBRARY: tuple[Rule, ...] = (
    imports_point_down,
    only_the_command_prints_or_exits,
    the_library_knows_nothing_of_the_command_above_it,
)
OF_ALL: tuple[Rule, ...] = (
    a_file_has_one_subject_and_a_function_one_job,
    what_reports_its_use_is_imported_quietly,
    names_are_those_of_the_field_in_american_spelling,
)


@pytest.fixture(scope="module")
def broken() -> dict[str, list[str]]:
    """What is wrong by each rule, found in one walk: trees of all files at once would be half a gigabyte."""
    found: dict[str, list[str]] = {rule.__name__: [] for rule in (*OF_THE_LIBRARY, *OF_ALL)}
    paths = sorted([*ROOT.glob("*.py"), *(path for folder in PROGRAMS for path in folder.rglob("*.py"))])
    assert len(paths) > 500
    for path in paths:
        nodes, relative = nodes_of(path), path.relative_to(ROOT)
        of_the_library = any(path.is_relative_to(folder) for folder in LIBRARY)
        for rule in (*OF_THE_LIBRARY, *OF_ALL) if of_the_library else OF_ALL:
            found[rule.__name__] += [f"{relative}: {wrong}" for wrong in rule(relative, nodes)]
    return found


@pytest.mark.parametrize("rule", [*OF_THE_LIBRARY, *OF_ALL], ids=lambda rule: rule.__name__)
def test_every_file_keeps_the_rule(rule: Rule, broken: dict[str, list[str]]) -> None:
    assert broken[rule.__name__] == []


@pytest.mark.parametrize(
    ("rule", "path", "text", "wrong"),
    [
        (imports_point_down, "detect/a.py", "import os, censor.cli\nfrom torch import nn", ["censor.cli", "torch"]),
        (imports_point_down, "detect/training/a.py", "from torch import nn", []),
        (imports_point_down, "censor/a.py", "import censor.policy, detect, torchvision", ["torchvision"]),
        (only_the_command_prints_or_exits, "censor/a.py", "print(sys.exit(len(x)))", ["print", "sys.exit"]),
        (only_the_command_prints_or_exits, "censor/cli/a.py", "print(1)", []),
        (the_library_knows_nothing_of_the_command_above_it, "censor/a.py", "'a --force'; '--force'", ["a --force"]),
        (the_library_knows_nothing_of_the_command_above_it, "detect/a.py", "x = 'CENSOR_MODELS'", ["CENSOR_MODELS"]),
        (the_library_knows_nothing_of_the_command_above_it, "detect/cli/a.py", "x = 'give --force'", []),
        (what_reports_its_use_is_imported_quietly, "tests/a.py", "import onnxruntime as o, PIL", ["onnxruntime"]),
        (names_are_those_of_the_field_in_american_spelling, "censor/a.py",
         "class WorkroomHandle:\n def _bury(self, myColour): self.normalised = quantise(shielded)",
         ["WorkroomHandle", "_bury", "myColour", "normalised", "quantise"]),
        (a_file_has_one_subject_and_a_function_one_job, "tests/test_house.py",
         f"def short():{59 * BODY}\nclass A:\n async def long(self):{60 * BODY}", ["long"]),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_found(rule: Rule, path: str, text: str, wrong: list[str]) -> None:
    assert sorted(rule(Path(path), list(ast.walk(ast.parse(text))))) == sorted(wrong)


def modules_after(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{statement}\nprint(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_the_flags_of_the_command_are_known() -> None:
    assert {"--weights", "--max-bytes", "--force", "--originals", "--allowed-hosts"} < FLAGS


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


def test_mypy_sees_the_conftest_of_every_folder() -> None:
    folders = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.glob("tests/*/**/conftest.py")}
    assert folders == imports(nodes_of(ROOT / "tests" / "typed.py")) - {"__future__", "typing"}
