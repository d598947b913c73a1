"""The fuzzer repeats itself and sees what goes wrong; some hundred of its cases, and all that it found, pass."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detect.errors import DamagedImageError
from detect.pictures.still import Picture

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
PATIENCE, MEMORY = 20.0, 500 * 10**6


@pytest.fixture(scope="module")
def fuzzing() -> Iterator[Any]:
    """The modules of the fuzzer, forgotten afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        names = ("fuzz", "fuzzing.corpus", "fuzzing.mutations", "fuzzing.seeds", "fuzzing.worker")
        yield SimpleNamespace(**{name.split(".")[-1]: importlib.import_module(name) for name in names})
        for name in [name for name in sys.modules if name.split(".")[0] in ("fuzz", "fuzzing")]:
            del sys.modules[name]


def test_some_hundred_cases_find_nothing(fuzzing: Any) -> None:
    outcomes, findings = fuzzing.fuzz.fuzz(
        seed=0, first=0, cases=320, seconds=120, formats=fuzzing.fuzz.FORMATS, patience=PATIENCE, memory=MEMORY
    )
    assert [finding[:3] for finding in findings] == []
    assert outcomes.total() == 320
    for kind in fuzzing.fuzz.FORMATS:  # mutations that nothing survives, or that change nothing, find nothing
        taken = outcomes[f"{kind} taken"]
        assert 0 < taken < sum(count for outcome, count in outcomes.items() if outcome.startswith(kind + " "))


def test_what_it_found_stays_found(fuzzing: Any) -> None:
    worker = fuzzing.fuzz.Worker(patience=PATIENCE, memory=MEMORY)
    try:
        outcomes = {name: worker.ask(data) for name, (data, _) in fuzzing.corpus.corpus().items()}
    finally:
        worker.end()
    assert outcomes == {name: outcome for name, (_, outcome) in fuzzing.corpus.corpus().items()}


def test_a_case_is_a_function_of_seed_and_number(fuzzing: Any) -> None:
    pictures = fuzzing.seeds.seeds()
    assert [name for name, data in fuzzing.seeds.seeds().items() if data != pictures[name]] == []
    cases = [fuzzing.fuzz.case(number, 3, pictures) for number in range(40)]
    again = [fuzzing.fuzz.case(number, 3, pictures) for number in range(40)]
    other = [fuzzing.fuzz.case(number, 4, pictures) for number in range(40)]
    assert len({hash(each) for each in cases}) == 40
    assert [hash(each) for each in cases] == [hash(each) for each in again]
    assert not {hash(each) for each in cases} & {hash(each) for each in other}


def test_every_seed_has_a_structure_and_a_known_outcome(fuzzing: Any) -> None:
    refused = {"JPEG:several", "PNG:animated", "GIF:animated"}
    for name, data in fuzzing.seeds.seeds().items():
        fields, _ = fuzzing.mutations.structure_of(data, name.split(":")[0])
        assert fields, name
        assert all(field.at + field.size <= len(data) for field in fields), name
        expected = "AnimatedImageError" if name in refused else "taken"
        assert fuzzing.worker.judged(data) == expected, name


@pytest.mark.parametrize(
    ("whole", "reduced", "seen"),
    [
        (ValueError("x"), None, "untyped: ValueError: x"),
        (DamagedImageError("x"), ZeroDivisionError("y"), "untyped: ZeroDivisionError: y"),
        (np.full((16, 16, 3), 90), DamagedImageError("x"), "difference: taken whole, but by 2 DamagedImageError: x"),
        (DamagedImageError("x"), np.full((16, 16, 3), 90), "difference: DamagedImageError whole, but taken by 2"),
        (np.full((16, 16, 3), 90), np.full((8, 16, 3), 90), "difference: (16, 16) whole, (8, 16) by 2"),
        (np.full((16, 16, 3), 90), np.full((16, 16, 3), 91), "difference: the pixels are others"),
        (np.full((16, 16, 3), 90), (np.full((8, 8, 3), 120), (16, 16, 2)), "difference: 30.0 levels from the whole"),
    ],
)
def test_what_goes_wrong_is_seen(
    fuzzing: Any, monkeypatch: pytest.MonkeyPatch, whole: object, reduced: object, seen: str
) -> None:
    def decode(_: bytes, *, spare: object = None, **__: object) -> Picture:
        answer = whole if spare is None else reduced
        if isinstance(answer, Exception):
            raise answer
        pixels, told = answer if isinstance(answer, tuple) else (answer, None)
        return Picture(np.asarray(pixels, np.uint8), reduced=told)

    monkeypatch.setattr(fuzzing.worker, "decode", decode)
    assert fuzzing.worker.judged(b"").startswith(seen)


def test_a_want_of_memory_is_seen_whatever_it_is_called(fuzzing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object, **__: object) -> Picture:
        raise DamagedImageError("x: the picture is damaged") from MemoryError()

    monkeypatch.setattr(fuzzing.worker, "decode", decode)
    assert fuzzing.worker.judged(b"") == "memory: x: the picture is damaged"


def test_another_size_than_the_headers_is_seen(fuzzing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels: NDArray[np.uint8] = np.zeros((8, 8, 3), np.uint8)
    monkeypatch.setattr(fuzzing.worker, "decode", lambda *_, **__: Picture(pixels))
    seen = fuzzing.worker.judged(fuzzing.seeds.seeds()["BMP:RGB"])
    assert seen == "difference: 8 x 8 where the header tells (72, 56)"


@pytest.mark.parametrize(
    ("program", "seen"),
    [
        ("import os; os.kill(os.getpid(), 11)", "crash: exit code -11"),
        ("import time; time.sleep(60)", "hang: no answer within 0.5 s"),
        ('print(\'{"found": "taken", "peak": 500000001}\', flush=True); input()', "memory: 500 MB at the peak; taken"),
    ],
)
def test_a_worker_that_fails_is_seen_and_replaced(
    fuzzing: Any, monkeypatch: pytest.MonkeyPatch, program: str, seen: str
) -> None:
    def failing() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", f"import sys; sys.stdin.buffer.read(5); {program}"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    monkeypatch.setattr(fuzzing.fuzz, "_started", failing)
    patience = 0.5 if "sleep" in program else PATIENCE
    worker = fuzzing.fuzz.Worker(patience=patience, memory=MEMORY)
    try:
        assert [worker.ask(b"x") for _ in range(2)] == [seen, seen]
    finally:
        worker.end()


def test_the_command_line(fuzzing: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzzing.fuzz.main(["--cases", "5", "--formats", "bmp", "--seed", "7", "--keep", str(tmp_path)]) == 0
    assert "5 cases, seed 7: 0 findings" in capsys.readouterr().out
    assert fuzzing.fuzz.main(["--cases", "1", "--memory", "1", "--formats", "gif", "--keep", str(tmp_path)]) == 1
    assert "GIF" in capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(SystemExit):
        fuzzing.fuzz.main(["--formats", "bmp,tga"])
    assert "no such formats: TGA" in capsys.readouterr().err
