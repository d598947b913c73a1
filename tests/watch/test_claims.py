"""Several watchers on one inbox, and what one leaves to another."""

from __future__ import annotations

import os
import threading

import pytest
from watched import WatchedFolders, files, reason

from censor.watch.claims import Claims
from censor.watch.inbox import STATE
from censor.watch.processor import DELETE, KEEP


@pytest.mark.parametrize("originals", [DELETE, KEEP])
def test_two_watchers_on_one_inbox_do_everything_once(watched: WatchedFolders, originals: str) -> None:
    for number in range(30):
        watched.send(f"{number}.png", number)
    watchers = [watched.watcher(originals=originals) for _ in range(2)]
    threads = [threading.Thread(target=watcher.run, daemon=True) for watcher in watchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(files(watched.public)) == sorted(f"{number}.png" for number in range(30))
    assert sum(watcher.counts["censored"] for watcher in watchers) == 30
    assert watched.claimed() == []


@pytest.mark.parametrize("originals", [DELETE, KEEP])
def test_a_claim_belongs_to_one(watched: WatchedFolders, originals: str) -> None:
    watched.send("a.png")
    one, other = watched.claims(originals), watched.claims(originals)
    (upload,) = watched.watcher(originals=originals)._inbox.settled(0, skip=lambda _: False)
    claim = one.take(upload)
    assert claim is not None
    assert other.take(upload) is None
    assert other.orphans() == []
    claim.release()  # as the kernel does for one that was killed
    (orphan,) = other.orphans()
    assert one.orphans() == []
    assert orphan.progress == claim.progress
    orphan.release()


def test_a_claim_without_a_record_is_refused(watched: WatchedFolders) -> None:
    claims = watched.claims(DELETE)
    folder = watched.inbox / STATE / "claims" / "f00"
    folder.mkdir()
    (folder / "upload").write_bytes(b"x")
    (folder.parent / "empty").mkdir()
    (claim,) = claims.orphans()
    watched.processor(claims, originals=DELETE).process(claim)
    assert reason(watched, "unknown-f00")["type"] == "CrashedError"
    assert watched.claimed() == []


def test_what_one_claimed_to_delete_another_puts_back(watched: WatchedFolders) -> None:
    watched.send("a.png")
    first = watched.claims(DELETE)
    (upload,) = watched.watcher(originals=DELETE)._inbox.settled(0, skip=lambda _: False)
    claim = first.take(upload)
    assert claim is not None
    claim.release()
    watched.once(originals=KEEP)
    assert files(watched.inbox) == files(watched.public) == ["a.png"]
    assert watched.once(originals=KEEP).counts == {}


def test_what_one_claimed_to_keep_another_deletes(watched: WatchedFolders) -> None:
    watched.send("a.png")
    first: Claims = watched.claims(KEEP)
    (upload,) = watched.watcher()._inbox.settled(0, skip=lambda _: False)
    claim = first.take(upload)
    assert claim is not None
    claim.release()
    watched.once(originals=DELETE)
    assert files(watched.inbox) == []
    assert files(watched.public) == ["a.png"]


def test_an_upload_that_changed_since_it_was_looked_at_is_not_claimed(watched: WatchedFolders) -> None:
    for originals in (DELETE, KEEP):
        watched.send("a.png", 1)
        (upload,) = watched.watcher(originals=originals)._inbox.settled(0, skip=lambda _: False)
        watched.send("a.png", 2)
        os.utime(watched.inbox / "a.png", (100, 100))
        assert watched.claims(originals).take(upload) is None
        (watched.inbox / "a.png").unlink()
        assert watched.claims(originals).take(upload) is None
        assert watched.claimed() == []
