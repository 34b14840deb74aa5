"""Who signed in with a browser? A cookie of random bits stands for a token that was typed once.

The token stays here, in memory, and is looked up anew for each request: what ends it ends the
session, and a restart ends all. The cookie is no token: it is of no use after its time, elsewhere,
or to scripts. A page of another site cannot use it, and neither can one on another port of this
machine, to which browsers would send it: a request that changes something carries a header that
such a page cannot set (`CHANGE_HEADER`).
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.types import Scope

from narfi.access.browsers import OWN_SITES, SAFE
from narfi.core.grant import ForbiddenError

COOKIE = "narfi_session"
CHANGE_HEADER = "x-narfi-request"
"""`1` of a request of the page; no other page can add it without being asked for leave first."""
LASTS_S = 12 * 3600
"""Since it was begun; then the token is typed again."""
MOST = 10_000
"""Sessions; the one begun longest ago ends for one more."""
_BYTES = 32


@dataclass(frozen=True, slots=True)
class _Session:
    token: str
    ends_s: float


class Sessions:
    """Sessions of browsers; used by the event loop alone."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._by_digest: OrderedDict[str, _Session] = OrderedDict()

    def begin(self, token: str) -> str:
        """Remember a token that is known to be right; the value of the cookie."""
        cookie = secrets.token_urlsafe(_BYTES)
        self._by_digest[_digest(cookie)] = _Session(token, self._seconds() + LASTS_S)
        if len(self._by_digest) > MOST:
            self._by_digest.popitem(last=False)
        return cookie

    def token(self, cookie: str) -> str:
        """The token that signed in; empty: there is no such session, or not any more."""
        key = _digest(cookie)
        found = self._by_digest.get(key)
        if found is None:
            return ""
        if found.ends_s <= self._seconds():
            del self._by_digest[key]
            return ""
        return found.token

    def end(self, cookie: str) -> None:
        """Forget it."""
        self._by_digest.pop(_digest(cookie), None)

    def authorization(self, scope: Scope) -> str:
        """What a request signs in with: its header, else the token of its session, else nothing.

        Raises `ForbiddenError` for a change by cookie that did not come from the page.
        """
        headers = Headers(scope=scope)
        given = headers.get("authorization", "")
        cookie = "" if given else cookie_of(headers)
        if not cookie or headers.get("sec-fetch-site", "none") not in OWN_SITES:
            return given
        token = self.token(cookie)
        if not token:
            return ""
        is_change = scope["type"] != "websocket" and scope["method"] not in SAFE
        if is_change and headers.get(CHANGE_HEADER) != "1":
            raise ForbiddenError("a change by a session needs the header X-Narfi-Request: 1")
        return f"Bearer {token}"


def cookie_of(headers: Headers) -> str:
    """The value of our cookie; empty: there is none."""
    for text in headers.getlist("cookie"):
        try:
            found = SimpleCookie(text).get(COOKIE)
        except CookieError:
            continue
        if found is not None:
            return found.value
    return ""


def set_cookie(value: str, *, is_tls: bool) -> str:
    """`Set-Cookie` of a session; an empty value takes the cookie away."""
    age = f"; Max-Age={LASTS_S}" if value else "; Max-Age=0"
    secure = "; Secure" if is_tls else ""
    return f"{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/{age}{secure}"


def _digest(cookie: str) -> str:
    """Kept and looked up in place of the value, so that no comparison tells of it."""
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()
