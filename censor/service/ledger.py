"""The bytes of bodies that are held for all requests together: uploads that come in, answers that go out."""

from __future__ import annotations

from censor.service.pace import Pace
from censor.service.problems import Problem

__all__ = ["Account", "Ledger"]

_GIVES_WAY_SECONDS = 1.0
"""Who is so far behind the pace gives way when others need the memory."""


class Ledger:
    """Counts what is held and refuses what goes over; but first, clients that stand still lose what they hold.

    Attributes:
        limit: Bytes that may be held at once.
        held: Bytes that are.
    """

    def __init__(self, limit: int) -> None:
        """Begin with nothing held.

        Args:
            limit: Bytes that may be held at once.
        """
        self.limit = limit
        self.held = 0
        self._accounts: set[Account] = set()

    def add(self, account: Account, size: int) -> None:
        """Count more bytes for an account, or fewer.

        Raises:
            Problem: "busy": all bodies together would be over the limit.
        """
        if self.held + size > self.limit:
            self._make_room(self.held + size - self.limit)
        self.held += size
        self._accounts.add(account)

    def remove(self, account: Account, size: int) -> None:
        """Count an account and its bytes no more."""
        self.held -= size
        self._accounts.discard(account)

    def _make_room(self, size: int) -> None:
        """Cut off those furthest behind, as many as it takes; none, if all of them would not do."""
        late = [each for each in self._accounts if each.behind >= _GIVES_WAY_SECONDS]
        if sum(each.held for each in late) < size:
            raise Problem("busy", "The memory for uploads and answers is taken; try again shortly.")
        late.sort(key=lambda each: each.behind, reverse=True)
        while size > 0:
            account = late.pop(0)
            size -= account.held
            account.evict()


class Account:
    """One request's share of a `Ledger`; to be closed when its answer has gone out.

    Attributes:
        held: Bytes that it holds.
        pace: That of the client, while it sends or reads.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._answer = 0
        self._evicted = False
        self.held = 0
        self.pace: Pace | None = None

    @property
    def behind(self) -> float:
        """Seconds by which the client is behind its pace; 0 while it is not its turn."""
        return 0.0 if self.pace is None else self.pace.behind

    def hold(self, size: int) -> None:
        """Hold more bytes of the upload.

        Raises:
            Problem: "busy": all bodies together would be over the limit.
        """
        if self._evicted:
            raise Problem("busy")
        self._ledger.add(self, size)
        self.held += size

    def hold_answer(self, size: int) -> None:
        """Hold an answer of so many bytes, in the place of any before it.

        Raises:
            Problem: "busy", as for uploads.
        """
        self.hold(size - self._answer)
        self._answer = size

    def drop_upload(self) -> None:
        """Give back what is held of the upload."""
        self._ledger.add(self, self._answer - self.held)
        self.held = self._answer

    def evict(self) -> None:
        """Give back everything for others, and have the client cut off."""
        self._evicted = True
        self.close()
        if self.pace is not None:
            self.pace.give_up()

    def close(self) -> None:
        """Give back what is held."""
        self._ledger.remove(self, self.held)
        self.held = self._answer = 0
