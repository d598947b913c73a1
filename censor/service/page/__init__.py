"""The page at `/`: a few files, served from memory, that load nothing from anywhere else."""

from __future__ import annotations

from importlib import resources

from fastapi import APIRouter
from fastapi.responses import Response

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src blob:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)

_FILES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page/style.css": ("style.css", "text/css; charset=utf-8"),
    "page/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "page/api.js": ("api.js", "text/javascript; charset=utf-8"),
    "page/boxes.js": ("boxes.js", "text/javascript; charset=utf-8"),
    "page/incoming.js": ("incoming.js", "text/javascript; charset=utf-8"),
    "page/verdict.js": ("verdict.js", "text/javascript; charset=utf-8"),
    "page/films.js": ("films.js", "text/javascript; charset=utf-8"),
    "page/choices.js": ("choices.js", "text/javascript; charset=utf-8"),
    "page/words.js": ("words.js", "text/javascript; charset=utf-8"),
    "page/icon.svg": ("icon.svg", "image/svg+xml"),
}


def _serve(path: str, name: str, media_type: str) -> None:
    content = resources.files(__name__).joinpath(name).read_bytes()
    headers = {"content-security-policy": _POLICY, "cache-control": "no-cache"}

    async def static() -> Response:
        return Response(content, media_type=media_type, headers=headers)

    router.add_api_route(f"/{path}", static, methods=["GET"], response_model=None)


for _path, (_name, _media_type) in _FILES.items():
    _serve(_path, _name, _media_type)
