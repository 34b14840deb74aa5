"""Small pushes for tests of what judges them."""

from collections.abc import Mapping, Sequence

from ingester.accepted import Accepted
from ingester.streams import StreamResolver
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from narfi.core.wire.push import DecodedPush
from narfi.core.wire.push_encode import encode_push_request
from narfi.core.wire.push_protobuf import decode_push_protobuf

TENANT = TenantId("t")
S = 10**9
NOW = 1_760_018_400 * S
Entry = tuple[int, bytes, list[tuple[str, str]]]
"""(ts in ns, line, structured metadata)"""


def pushed(streams: Mapping[str, Sequence[Entry]]) -> DecodedPush:
    """A push of streams by their label texts."""
    return decode_push_protobuf(encode_push_request((text, list(e)) for text, e in streams.items()))


def lines(*texts: bytes, ts: int = NOW) -> list[Entry]:
    """Entries a nanosecond apart."""
    return [(ts + k, text, []) for k, text in enumerate(texts)]


def accepted(push: DecodedPush, limits: Limits) -> Accepted:
    """All of a push."""
    return Accepted(push, StreamResolver().resolve(push.labels, limits), whole=True)
