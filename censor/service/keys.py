"""API keys: who may call the routes that work on pictures."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from fastapi import Request

from censor.service.problems import Problem

__all__ = ["KeyCheck"]


class KeyCheck:
    """Its `check` is a dependency of every route of a router: whatever path led to it, nothing runs without a key."""

    def __init__(self, digests: Sequence[bytes]) -> None:
        """Know the keys.

        Args:
            digests: SHA-256 of each.
        """
        self._digests = tuple(digests)

    # Not __call__: of an object that is called, older releases of FastAPI do not find what its annotations name, and
    # take the request for a query parameter, which nobody sends.
    async def check(self, request: Request) -> None:
        """Let a request pass, or refuse it before its body is read.

        Raises:
            Problem: "unauthorized".
        """
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        digest = hashlib.sha256(key.strip().encode("utf-8", "surrogateescape")).digest()
        # Digests have one length, and all are compared: the time tells neither a key's length nor which one is near.
        matches = [hmac.compare_digest(digest, each) for each in self._digests]
        if not any(matches) or scheme.lower() != "bearer":
            raise Problem("unauthorized", headers={"www-authenticate": "Bearer"})
