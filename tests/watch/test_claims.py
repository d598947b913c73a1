"""Several watchers on one inbox, and what one leaves to another."""

from __future__ import annotations

import os
import threading

import pytest
from yard import Yard, files, reason

from censor.watch.claims import Claims
from censor.watch.inbox import STATE
from censor.watch.worker import DELETE, KEEP


@pytest.mark.parametrize("originals", [DELETE, KEEP])
def test_two_watchers_on_one_inbox_do_everything_once(yard: Yard, originals: str) -> None:
    for number in range(30):
        yard.send(f"{number}.png", number)
    watchers = [yard.watcher(originals=originals) for _ in range(2)]
    threads = [threading.Thread(target=watcher.run, daemon=True) for watcher in watchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(files(yard.public)) == sorted(f"{number}.png" for number in range(30))
    assert sum(watcher.counts["censored"] for watcher in watchers) == 30
    assert yard.claimed() == []


@pytest.mark.parametrize("originals", [DELETE, KEEP])
def test_a_claim_belongs_to_one(yard: Yard, originals: str) -> None:
    yard.send("a.png")
    one, other = yard.claims(originals), yard.claims(originals)
    (upload,) = yard.watcher(originals=originals)._inbox.settled(0, skip=lambda _: False)
    claim = one.take(upload)
    assert claim is not None
    assert other.take(upload) is None
    assert other.orphans() == []
    claim.release()  # as the kernel does for one that was killed
    (orphan,) = other.orphans()
    assert one.orphans() == []
    assert orphan.record == claim.record
    orphan.release()


def test_a_claim_without_a_record_is_refused(yard: Yard) -> None:
    claims = yard.claims(DELETE)
    folder = yard.inbox / STATE / "claims" / "f00"
    folder.mkdir()
    (folder / "upload").write_bytes(b"x")
    (folder.parent / "empty").mkdir()
    (claim,) = claims.orphans()
    yard.worker(claims, originals=DELETE).process(claim)
    assert reason(yard, "unknown-f00")["type"] == "CrashedError"
    assert yard.claimed() == []


def test_what_one_claimed_to_delete_another_puts_back(yard: Yard) -> None:
    yard.send("a.png")
    first = yard.claims(DELETE)
    (upload,) = yard.watcher(originals=DELETE)._inbox.settled(0, skip=lambda _: False)
    claim = first.take(upload)
    assert claim is not None
    claim.release()
    yard.once(originals=KEEP)
    assert files(yard.inbox) == files(yard.public) == ["a.png"]
    assert yard.once(originals=KEEP).counts == {}


def test_what_one_claimed_to_keep_another_deletes(yard: Yard) -> None:
    yard.send("a.png")
    first: Claims = yard.claims(KEEP)
    (upload,) = yard.watcher()._inbox.settled(0, skip=lambda _: False)
    claim = first.take(upload)
    assert claim is not None
    claim.release()
    yard.once(originals=DELETE)
    assert files(yard.inbox) == []
    assert files(yard.public) == ["a.png"]


def test_an_upload_that_changed_since_it_was_looked_at_is_not_claimed(yard: Yard) -> None:
    for originals in (DELETE, KEEP):
        yard.send("a.png", 1)
        (upload,) = yard.watcher(originals=originals)._inbox.settled(0, skip=lambda _: False)
        yard.send("a.png", 2)
        os.utime(yard.inbox / "a.png", (100, 100))
        assert yard.claims(originals).take(upload) is None
        (yard.inbox / "a.png").unlink()
        assert yard.claims(originals).take(upload) is None
        assert yard.claimed() == []
