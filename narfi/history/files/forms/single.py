"""What do forms have in common of which each line is a record? Nothing held, nothing remembered."""

from collections.abc import Iterator, Sequence

from narfi.history.files.records import Found, Place


class SingleLines:
    """Base of forms of which each line stands for itself."""

    def begin(self, first_lines: Sequence[bytes], memory: str) -> None:
        """Nothing to find out."""

    def held_from(self) -> Place | None:
        """Nothing is held."""
        return None

    def memory(self) -> str:
        """Nothing is remembered."""
        return ""

    def end(self) -> Iterator[Found]:
        """Nothing is held."""
        yield from ()
