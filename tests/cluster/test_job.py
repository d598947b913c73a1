from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jobs import folder_of, job

from censor.cluster.job import claim_output, require_apart
from censor.cluster.names import JOB
from censor.cluster.stores import Folder, open_store, require_exclusive
from censor.errors import JobError, StoreError


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "check"}, "another command"),
        ({"root": "/other"}, "another input"),
        ({"rules": "name = 'strict'"}, "another policy"),
        ({"models": {"red": "1"}}, "other models"),
        ({"quality": 3}, "other options"),
        ({"options": {"recheck": "False"}}, "other options"),
    ],
)
def test_an_output_of_another_job_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    source = folder_of(tmp_path / "in", pictures=1)
    first = job(str(source), str(tmp_path / "out"))
    store = Folder(tmp_path / "out")
    claim_output(store, first)
    claim_output(store, first)
    other = replace(first, **change)
    assert other.key != first.key
    with pytest.raises(JobError, match=f"holds outputs of {said}"):
        claim_output(store, other)


def test_an_output_that_somebody_else_filled_is_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", pictures=1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "photo.jpg").touch()
    with pytest.raises(JobError, match=r"is not empty \(photo.jpg\)"):
        claim_output(Folder(tmp_path / "out"), job(str(source), str(tmp_path / "out")))
    assert not (tmp_path / "out" / JOB).exists()


def test_the_note_of_a_job_that_is_none(tmp_path: Path) -> None:
    source, store = folder_of(tmp_path / "in", pictures=1), Folder(tmp_path / "out")
    store.create(JOB, b"{")
    with pytest.raises(JobError, match="no JSON"):
        claim_output(store, job(str(source), store.url))
    store.put(JOB, b"{}")
    with pytest.raises(JobError, match="another version"):
        claim_output(store, job(str(source), store.url))


@pytest.mark.parametrize(
    ("root", "out", "apart"),
    [
        ("/a", "/b", True), ("/a", "/ab", True), ("/a", "/a/b", False), ("/a/b", "/a", False), ("/a", "/a", False),
        ("s3://b/in", "s3://b/out", True), ("s3://b", "s3://b/out", False), ("/a", "s3://a", True),
        ("manifest", "/a", True),
    ],
)  # fmt: skip
def test_input_and_output_lie_apart(root: str, out: str, apart: bool) -> None:
    if apart:
        require_apart(root, out)
    else:
        with pytest.raises(JobError, match="neither in the input"):
            require_apart(root, out)


def test_a_store_that_creates_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Folder(tmp_path)
    require_exclusive(store)
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]

    def overwrites(self: Folder, name: str, data: bytes) -> bool:
        self.put(name, data)
        return True

    monkeypatch.setattr(Folder, "create", overwrites)
    with pytest.raises(StoreError, match="could not be told apart"):
        require_exclusive(store)


def test_a_store_that_takes_two_names_for_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create = Folder.create
    monkeypatch.setattr(Folder, "create", lambda self, name, data: create(self, name.casefold(), data))
    with pytest.raises(StoreError, match=r"takes A\.jpg and a\.jpg for one name"):
        require_exclusive(Folder(tmp_path))


def test_a_store_that_loses_its_answers_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that was done and not answered is sent again, and then finds what it made itself."""
    create = Folder.create

    def twice(self: Folder, name: str, data: bytes) -> bool:
        create(self, name, data)
        return create(self, name, data)

    monkeypatch.setattr(Folder, "create", twice)
    require_exclusive(Folder(tmp_path))


def test_another_store_of_fsspec_is_tried_out(s3: Any) -> None:
    require_exclusive(open_store("memory://here"))
    require_exclusive(open_store(s3("out")))
