"""HEAD, which load balancers ask with: what GET would answer, without the body."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HeadRequestMiddleware"]


class HeadRequestMiddleware:
    """Has every route that takes GET take HEAD too. The headers are those of GET, the length of its body among them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        scope.setdefault("state", {})  # what is noted there is for the layers further out, which have this scope
        await self._app({**scope, "method": "GET"}, receive, send_headers)
