"""The rehearsal of two machines: its arithmetic, that namespaces come and go, and all of it where asked for."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from processes import ended

ROOT = Path(__file__).parent.parent


@pytest.fixture
def rehearsal(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import two_nodes

    return two_nodes


def test_a_line_that_is_being_written_does_not_count(rehearsal: Any, tmp_path: Path) -> None:
    assert rehearsal.curve(tmp_path) == []
    rows = [json.dumps({"step": step, "classification": 0.5, "bbox_regression": step}) for step in range(3)]
    (tmp_path / "losses.jsonl").write_text("\n".join(rows))
    assert rehearsal.curve(tmp_path) == [(0.5, 0), (0.5, 1)]
    (tmp_path / "losses.jsonl").write_text("\n".join([rows[0], rows[2], ""]))
    with pytest.raises(RuntimeError, match=r"steps are \[0, 2\]"):
        rehearsal.curve(tmp_path)


def test_the_largest_difference_is_relative(rehearsal: Any) -> None:
    assert rehearsal.difference([(1, 2), (3, 4.4)], [(1, 2), (3, 4)]) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="zip"):
        rehearsal.difference([(1, 2)], [])


def test_all_that_a_process_started_is_found(rehearsal: Any) -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60 & echo go; wait"], stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        started = rehearsal._descendants(shell.pid)
        machine = rehearsal.Machine(0, "127.0.0.1", "lo", [])
        machine.process = shell
        machine.kill()
    assert len(started) == 2
    assert shell.returncode == -9
    deadline = time.monotonic() + 30
    while not all(map(ended, started)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_namespaces_reach_each_other_and_are_gone_afterwards(rehearsal: Any) -> None:
    if why := rehearsal.why_no_namespaces():
        pytest.skip(f"no network namespaces here: {why}")
    with rehearsal.namespaces() as (first, second):
        listing = ["ip", "-n", first._prefix[3], "-brief", "address", "show", "dev", "wire"]
        shown = subprocess.run(listing, check=True, capture_output=True, text=True).stdout
        assert first.address in shown
        assert first.address != second.address
    names = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    assert first._prefix[3] not in names


def test_the_document_shows_what_is_printed(rehearsal: Any) -> None:
    """Every run of the rehearsal, and no other, with one line in the table."""
    text = (ROOT / "docs" / "training-cluster.md").read_text().split("```text\n")[1].split("```")[0]
    machines = [rehearsal.Machine(number, "", "", ["ip", "netns", "exec", "name"]) for number in (0, 1)]
    rows = text.splitlines()[2:]
    assert [row[:14].strip() for row in rows] == list(rehearsal.disturbances(machines, cables=True))
    assert all(row.endswith("the same digits") for row in rows)


@pytest.mark.slow  # nine starts of torch on each machine: two minutes on idle cores, twenty on busy ones
def test_two_machines_do_what_one_process_does_whoever_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "two_nodes.py"), "--folder", str(tmp_path / "runs")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("the same digits") >= 3
