"""The HTTP upload service: pictures in, censored pictures out, or a problem document. Needs the extra `service`."""

from __future__ import annotations

from censor.service.app import create_app
from censor.service.settings import Settings

__all__ = ["Settings", "create_app"]
