"""Which files does `/ui/` give a browser, and under which rules?

The files of `dist/`, built from `src/` and part of the package. They tell nothing of anybody's
logs, so everybody may have them; what the page shows it asks of the APIs, as its visitor may.
The rules forbid the page everything that it does not need: other hosts, inline scripts, frames,
and every way to make markup of a text (`trusted-types 'none'`), so that no line of a log can run.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

FOLDER = "/ui/"
INDEX = "index.html"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
}
FOR_EVER = "public, max-age=31536000, immutable"
"""Of files with a hash in their name: other content has another name."""
ASK_AGAIN = "no-cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFile:
    """A file of the page, also packed; `tag` is another one for other content."""

    content: bytes
    packed: bytes
    tag: str
    media_type: str
    caching: str


def ui_router(path_prefix: str) -> APIRouter:
    """The files, and the way from `/` to them for browsers; `path_prefix`: as a proxy mounts us."""
    router, home = APIRouter(), path_prefix.rstrip("/") + FOLDER

    @router.get("/")
    async def root(request: Request) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(404)
        return Response(status_code=302, headers={"Location": home, "Vary": "Accept"})

    @router.get("/ui")
    async def without_slash() -> Response:
        return Response(status_code=302, headers={"Location": home})

    @router.get("/ui/{name:path}")
    async def file(request: Request, name: str) -> Response:
        found = page_files().get(name or INDEX)
        if found is None:
            raise HTTPException(404)
        return _answer(request, found)

    return router


@cache
def page_files() -> dict[str, PageFile]:
    """All files by name; read and packed once, when the first one is asked for."""
    folder = resources.files("ui").joinpath("dist")
    return {one.name: _read(one.name, one.read_bytes()) for one in folder.iterdir()}


def _read(name: str, content: bytes) -> PageFile:
    is_named_by_hash = name.endswith((".js", ".css"))
    return PageFile(
        content=content,
        packed=gzip.compress(content, 9, mtime=0),
        tag=hashlib.sha256(content).hexdigest()[:32],
        media_type=TYPES["." + name.rpartition(".")[2]],
        caching=FOR_EVER if is_named_by_hash else ASK_AGAIN,
    )


def _answer(request: Request, file: PageFile) -> Response:
    packs = "gzip" in request.headers.get("accept-encoding", "").lower()
    tag = f'"{file.tag}{"-gzip" if packs else ""}"'
    headers = {**HEADERS, "ETag": tag, "Cache-Control": file.caching, "Vary": "Accept-Encoding"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if packs:
        headers["Content-Encoding"] = "gzip"
    return Response(file.packed if packs else file.content, 200, headers, file.media_type)
