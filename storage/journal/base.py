"""When is a push on disk? The journal's contract.

Invariant: `append` returns only when the frame is durable; frames are replayed in the order of
their positions, each whole or not at all (a torn tail is dropped, a flipped byte is reported).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from narfi.core.errors import AppError, ErrorKind
from narfi.core.tenant import TenantId


class JournalError(AppError):
    """The frame could not be made durable; nothing was acknowledged."""

    kind = ErrorKind.INTERNAL


@dataclass(frozen=True, slots=True)
class Frame:
    """One acknowledged push as stored: body as received (or its accepted rest) and what it is."""

    position: int  # log sequence number, strictly increasing over the journal's whole life
    tenant: TenantId
    received_ns: int
    codec: int  # see storage/journal/frame.py: how to decode the body
    body: bytes


class Journal(Protocol):
    """An append-only, durable sequence of frames."""

    @property
    def journal_id(self) -> str:
        """Names the journal in watermarks; never changes."""
        ...

    def append(self, tenant: TenantId, received_ns: int, codec: int, body: bytes) -> int:
        """Make the frame durable (group commit) and return its position; blocks the caller.

        Raises `JournalError`, whatever went wrong: nothing was acknowledged. The frame is then not
        replayed, unless only `when_durable`'s callback failed.
        """
        ...

    def when_durable(self, on_durable: Callable[[Sequence[int]], None]) -> None:
        """Call it with the positions of each commit once they are durable, before any `append` of
        them returns: commits one after another, positions ascending."""
        ...

    def replay(self, after: int) -> Iterator[Frame]:
        """All frames with position > `after`, ascending; called before the first append."""
        ...

    def last_position(self) -> int:
        """The newest position that was given or skipped (0 when empty)."""
        ...

    def skip_to(self, position: int) -> None:
        """Give only positions above this one from now on."""
        ...

    def truncate(self, up_to: int) -> None:
        """Frames with position <= `up_to` are no longer needed; space may be freed."""
        ...

    def close(self) -> None:
        """Finish pending appends and close files."""
        ...
