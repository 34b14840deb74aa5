"""Is a push a backfill? The header `X-Loki-Backfill-Shard` (reference/http-api.md §1.6).

Its streams get two labels of their own, so that old entries do not meet present ones in a stream,
and may be as old as they are. Clients never set these labels themselves.
"""

from collections.abc import Sequence
from dataclasses import replace

from ingester.label_text import parse_label_text
from ingester.streams import RESERVED, ResolvedStream
from narfi.core.errors import InvalidRequestError
from narfi.core.labels import quote
from narfi.core.wire.push import DecodedPush

HEADER = "X-Loki-Backfill-Shard"
MAX_SHARD_BYTES = 128


class ReservedLabelsError(InvalidRequestError):
    """A client pushed a label that only the server sets; the whole request is refused."""

    def __init__(self) -> None:
        super().__init__(
            "streams must not contain the reserved labels __backfill__ or __backfill_shard__; "
            f"set the {HEADER} header to mark a push as backfill data"
        )


def refuse_reserved(streams: Sequence[ResolvedStream]) -> None:
    """Refuse a push with labels that clients may not set."""
    if any(stream.reserved for stream in streams):
        raise ReservedLabelsError


def checked_shard(value: str) -> str:
    """The value of the header, empty when there is none; text as HTTP gives it (Latin-1)."""
    raw = value.encode("latin-1", "replace")
    if len(raw) > MAX_SHARD_BYTES:
        message = f"value length {len(raw)} exceeds limit of {MAX_SHARD_BYTES}"
        raise InvalidRequestError(f"invalid {HEADER} header: {message}")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        message = f"invalid {HEADER} header {quote(value)}: must be a valid label value"
        raise InvalidRequestError(message) from None


def with_shard(push: DecodedPush, shard: str) -> DecodedPush:
    """The push with the labels of a backfill in every stream."""
    return replace(push, labels=tuple(_marked(text, shard) for text in push.labels))


def _marked(text: bytes, shard: str) -> bytes:
    pairs = parse_label_text(text.decode("utf-8", "replace"))
    if any(name in RESERVED and value for name, value in pairs):
        raise ReservedLabelsError
    marks = (("__backfill__", "true"), ("__backfill_shard__", shard))
    # quoted names: those that are no plain words are read again too
    written = ", ".join(f"{quote(name)}={quote(value)}" for name, value in (*pairs, *marks))
    return f"{{{written}}}".encode()
