"""Where does the next page of a log answer begin? Behind an entry, also among those of its instant.

Entries are in the order of (time, fingerprint of the stream, arrival in that stream). A cursor
names the last entry that was given by time and stream, and says which entries of that stream and
instant were given: by digests of what they hold, so it means the same after a flush, a merge, a
delete or a restart, which may all change what lies where. Of more than `MOST_GIVEN` it counts them
instead.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from narfi.core.errors import InvalidRequestError
from querier.query import Direction

MOST_GIVEN = 256
"""Entries of one stream and instant that are told apart by what they hold: a cursor of 2 KB."""
DIGEST_BYTES = 6
VERSION = 1
_HEAD = struct.Struct(">BBqQI")
_DIRECTIONS = (Direction.BACKWARD, Direction.FORWARD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Behind which entries a page begins."""

    direction: Direction
    ts_ns: int
    stream: int  # fingerprint
    order: int  # of the last one, among all entries of the stream and instant, 0 first
    given: frozenset[bytes] = frozenset()  # digests; none: `order` decides

    def text(self) -> str:
        """For the client, which only gives it back."""
        head = _HEAD.pack(
            VERSION, _DIRECTIONS.index(self.direction), self.ts_ns, self.stream, self.order
        )
        data = head + b"".join(sorted(self.given))
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def parse_cursor(text: str, direction: Direction) -> Cursor | None:
    """What `Cursor.text` gave; None of an empty text; raises `InvalidRequestError`."""
    if not text:
        return None
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        version, way, ts_ns, stream, order = _HEAD.unpack(data[: _HEAD.size])
        if version != VERSION or way >= len(_DIRECTIONS) or order < 0:
            raise ValueError
        digests = data[_HEAD.size :]
        if len(digests) % DIGEST_BYTES or len(digests) > MOST_GIVEN * DIGEST_BYTES:
            raise ValueError
    except (ValueError, binascii.Error, struct.error):
        raise InvalidRequestError("invalid cursor: it must be one that an answer gave") from None
    if _DIRECTIONS[way] is not direction:
        raise InvalidRequestError(
            f"invalid cursor: it is of an answer in direction {_DIRECTIONS[way].value}"
        )
    given = (digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES))
    return Cursor(
        direction=direction, ts_ns=ts_ns, stream=stream, order=order, given=frozenset(given)
    )


def digest(line: bytes, metadata: Mapping[str, bytes | None]) -> bytes:
    """Of an entry as it is stored; entries of one stream and instant differ in it."""
    found = hashlib.blake2b(line, digest_size=DIGEST_BYTES)
    for name, value in sorted(metadata.items()):
        if value is not None:
            for part in (name.encode("utf-8", "surrogateescape"), value):
                found.update(b"\0" + len(part).to_bytes(4, "big") + part)
    return found.digest()
