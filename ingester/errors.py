"""How may a push fail? Each with Loki's text (reference/http-api.md §1.5).

PushError (AppError)
├── MediaTypeError       the headers say nothing usable (400)
├── BodyTooLargeError    declared or real size above the limit (413)
├── NothingPushedError   no streams at all (422)
├── RefusedEntriesError  some entries were refused, the others are stored (400)
├── RateLimitedError     over budget, nothing (or not that stream) stored (429)
│   └── TenantFullError  too many unflushed bytes of this tenant (429)
└── OverloadedError      too many unflushed bytes of all (503)
"""

from narfi.core.errors import AppError, ErrorKind
from narfi.core.tenant import TenantId
from narfi.core.units import shown_bytes


class PushError(AppError):
    """A push was refused in whole or in part."""

    kind = ErrorKind.INVALID


class MediaTypeError(PushError):
    """Content-Type or Content-Encoding cannot be understood."""


class BodyTooLargeError(PushError):
    """The body is larger than the server takes."""

    kind = ErrorKind.TOO_LARGE


class NothingPushedError(PushError):
    """A push without streams."""

    kind = ErrorKind.UNPROCESSABLE

    def __init__(self) -> None:
        super().__init__("error at least one valid stream is required for ingestion")


class RefusedEntriesError(PushError):
    """Some entries broke a rule; every other entry of the request is stored."""


class RateLimitedError(PushError):
    """The tenant is over its budget."""

    kind = ErrorKind.RATE_LIMITED


RETRY_S = 5
"""When a push that found no room may find some."""


class TenantFullError(RateLimitedError):
    """More of the tenant is unflushed than its share."""

    retry_after_s = RETRY_S

    def __init__(self, tenant: TenantId, held: int, share: int) -> None:
        super().__init__(
            f"user {tenant} has {shown_bytes(held)} of entries in memory that are not stored yet, "
            f"and may have {shown_bytes(share)}: push again in {RETRY_S} seconds, or raise "
            "ingester.max_unflushed_bytes"
        )


class OverloadedError(PushError):
    """More is unflushed than memory allows."""

    kind = ErrorKind.UNAVAILABLE
    retry_after_s = RETRY_S

    def __init__(self, most: int) -> None:
        super().__init__(
            "The server cannot accept more requests at this time: it has room for "
            f"{shown_bytes(most)} of entries that are not stored yet. Push again in {RETRY_S} "
            "seconds, or raise "
            "ingester.max_unflushed_bytes"
        )
