"""Which contents beside a path need not be read any more? By what they are, not by their names.

A rotation renames, copies, cuts and compresses. What stays is how a content begins and what stands
before the place up to which it was read; device and inode stay where it is only renamed.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

_DIGEST_BYTES = 8


def digest(data: bytes) -> bytes:
    """What stands for some bytes of a file."""
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A content of which everything before `size` was read; `whole`: nothing is ever to be read.

    `head` stands for its first `length` bytes, `tail` for the bytes before `size` ("" where they
    were not looked at). What was there before all reading is whole: it may still be written to.
    `base` is as in a `Position`.
    """

    device: int
    inode: int
    size: int
    length: int
    head: bytes
    tail: bytes
    whole: bool = False
    base: int = 0

    def to_text(self) -> str:
        """As the positions file has it."""
        numbers = f"{self.device}:{self.inode}:{self.base}:{self.size}:{self.length}"
        return f"{numbers}:{int(self.whole)}:{self.head.hex()}:{self.tail.hex()}"

    @classmethod
    def from_text(cls, text: str) -> "Known":
        """Raises `ValueError` for anything that `to_text` does not write."""
        device, inode, base, size, length, whole, head, tail = text.split(":")
        return cls(
            device=int(device),
            inode=int(inode),
            size=int(size),
            length=int(length),
            head=bytes.fromhex(head),
            tail=bytes.fromhex(tail),
            whole=whole == "1",
            base=int(base),
        )


@dataclass(frozen=True, slots=True)
class Beside:
    """The files beside a path that need not be read when a position holds.

    Others that were changed after `before_ns` came since, and are read.
    """

    known: tuple[Known, ...] = ()
    before_ns: int = 0

    def to_row(self) -> list[str]:
        """As files have it."""
        return [str(self.before_ns), *(known.to_text() for known in self.known)]

    @classmethod
    def from_row(cls, row: Iterable[object]) -> "Beside":
        """Raises `ValueError` for anything that `to_row` does not make."""
        before_ns, *known = [str(item) for item in row]
        return cls(tuple(Known.from_text(text) for text in known), int(before_ns))
