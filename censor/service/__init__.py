"""The HTTP upload service: pictures in, censored pictures out, or a problem document. Needs the extra `service`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from censor.service.app import create_app
    from censor.service.settings import Settings

__all__ = ["Settings", "create_app"]


def __getattr__(name: str) -> Any:
    """Imported when asked for: processes that work on pictures need no web framework, and start without one."""
    if name == "create_app":
        from censor.service.app import create_app

        return create_app
    if name == "Settings":
        from censor.service.settings import Settings

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
