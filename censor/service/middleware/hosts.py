"""The names that the service may be called by, so that a page elsewhere cannot reach it under a name of its own.

A browser lets a page read what comes from the page's own name. Whoever owns a name can point it at 127.0.0.1 after the
page has loaded (DNS rebinding), and then the service on the visitor's machine answers under it. The header `Host`
tells: it still holds that name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette._utils import get_route_path  # what the router goes by: both see the same path under any prefix

from censor.service.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["HostMiddleware", "allowed", "checked"]

_LOOPBACK = ("localhost", "*.localhost", "127.0.0.1", "::1")

_OPEN = ("/healthz", "/readyz")
"""Asked by load balancers and orchestrators under whatever address they know, if under any; they tell one word."""

_PATTERN = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def checked(names: Sequence[str]) -> tuple[str, ...]:
    """Patterns of hosts as they are compared: in small letters, addresses without brackets.

    Args:
        names: Each a name, an address, ``*.`` and a name for all below it, or ``*`` for every host.

    Raises:
        ValueError: One is none of these; with a scheme or a port, say, it would match nothing.
    """
    patterns = tuple(_bare(name.lower()) for name in names)
    for name, pattern in zip(names, patterns, strict=True):
        if not _PATTERN.fullmatch(pattern) and _address(pattern) is None:
            raise ValueError(f"a host is a name, an address, *.name or *, without scheme and port, not {name!r}")
    return patterns


def allowed(listening: str, names: Sequence[str]) -> tuple[str, ...]:
    """The patterns that stand, by default those of this machine where nobody else can call, and else every host.

    Args:
        listening: Address that the service listens on.
        names: Patterns that were asked for.
    """
    if names:
        return tuple(names)
    host = _bare(listening.lower())
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return (*_LOOPBACK, host)
    return ("*",)


class HostMiddleware:
    """Lets requests pass that call the service by a name it has; health and readiness may be asked under any."""

    def __init__(self, app: ASGIApp, *, patterns: Sequence[str]) -> None:
        self._app, self._patterns = app, tuple(patterns)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it before its body is read."""
        if scope["type"] == "http" and get_route_path(scope) not in _OPEN and not self._knows(scope):
            scope.setdefault("state", {})["outcome"] = "unknown-host"
            await Problem("unknown-host").response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        told = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        host = _bare(re.sub(r":\d*$", "", told.lower()))
        return any(
            pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))
            for pattern in self._patterns
        )


def _bare(host: str) -> str:
    """An address without brackets and as it is usually written, anything else as it is."""
    address = _address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    return host if address is None else str(address)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
