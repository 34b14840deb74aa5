"""Who asks? The token of a header becomes a grant, or a refusal that tells nothing of tokens.

Bearer, and Basic with the token as the password: any user name does, and that of a tenant chooses
it for a token of several. Everything is answered from memory, before any of a body is read.
"""

import base64
import binascii
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog
from prometheus_client import Counter

from narfi.access.failures import RETRY_AFTER_S, FailedSignIns
from narfi.access.known import KnownToken, Source
from narfi.access.secret import parse_token
from narfi.core.clock import Clock
from narfi.core.errors import AppError, ErrorKind
from narfi.core.grant import ANYBODY, ForbiddenError, Grant, Scope

log = structlog.get_logger(__name__)

SIGN_INS = Counter(
    "narfi_sign_ins_total",
    "Requests by how they signed in: ok, missing, wrong, expired, limited, forbidden, unknown.",
    ["result"],
)
MAX_HEADER = 8192
"""Characters of `Authorization` that are looked at: as long as tokens of identity providers are."""


class NotSignedInError(AppError):
    """There is no token, or none that is known."""

    kind = ErrorKind.UNAUTHENTICATED


class TooManySignInsError(AppError):
    """There were too many wrong tokens from this address."""

    kind = ErrorKind.RATE_LIMITED
    retry_after_s = RETRY_AFTER_S


class SignIn:
    """Finds out who asks; used by the event loop alone. `sources` empty: nobody signs in."""

    def __init__(
        self,
        sources: Sequence[Source],
        clock: Clock,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources, self._clock = tuple(sources), clock
        self._failures = FailedSignIns(seconds)

    def grant(self, authorization: str, address: str, needed: frozenset[Scope]) -> Grant:
        """Who asks, and has one of the scopes needed; none needed: anybody who is known will do.

        Raises `NotSignedInError`, `TooManySignInsError`, `ForbiddenError`, and what a source raises
        when it cannot say.
        """
        if not self._sources:
            return ANYBODY
        found = self._known(authorization, address)
        if needed and not needed & found.scopes:
            SIGN_INS.labels("forbidden").inc()
            wanted = " or ".join(sorted(needed))
            raise ForbiddenError(f"the token {found.name!r} has not the scope {wanted}")
        SIGN_INS.labels("ok").inc()
        return found

    def _known(self, authorization: str, address: str) -> Grant:
        if not authorization:
            SIGN_INS.labels("missing").inc()
            raise NotSignedInError("a token is required: Authorization: Bearer …, or as a password")
        user, text = credentials(authorization)
        known = self._find(text) if text else None
        if known is None:
            raise self._refused("wrong", "the token is not known", text, address)
        if known.expires_ns is not None and known.expires_ns <= self._clock.now_ns():
            raise self._refused("expired", "the token has expired", text, address)
        return replace(known.grant, user=user) if user else known.grant

    def _find(self, text: str) -> KnownToken | None:
        """A source that cannot say matters only when no other one knows it."""
        token, trouble = parse_token(text), None
        for source in self._sources:
            try:
                found = source.find(text, token)
            except AppError as error:
                trouble = error
            else:
                if found is not None:
                    return found
        if trouble is not None:
            SIGN_INS.labels("unknown").inc()
            raise trouble
        return None

    def _refused(self, result: str, told: str, text: str, address: str) -> AppError:
        if self._failures.is_too_many(address):
            SIGN_INS.labels("limited").inc()
            return TooManySignInsError("too many wrong tokens from this address: wait a moment")
        SIGN_INS.labels(result).inc()
        token = parse_token(text)
        log.warning(
            "somebody was not let in",
            reason=told,
            address=address,
            token_id="" if token is None else token.token_id,
        )
        return NotSignedInError(told)


def credentials(authorization: str) -> tuple[str, str]:
    """User name and token of a header; empty ones where there are none."""
    if len(authorization) > MAX_HEADER:
        return "", ""
    scheme, _, rest = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return "", rest.strip()
        case "basic":
            try:
                pair = base64.b64decode(rest.strip(), validate=True).decode()
            except (binascii.Error, ValueError):
                return "", ""
            user, colon, password = pair.partition(":")
            return (user, password) if colon else ("", "")
    return "", ""
