"""How is an object of a far store read as a file? Through a window that is moved by requests.

What is read next to what was read is mostly in the window already: small objects come with one
request, and the columns of a row group with few.
"""

from collections.abc import Callable

WINDOW_BYTES = 256 * 1024
"""Read at least at once: about what a store sends in the time that a request takes anyway."""

ReadRange = Callable[[int, int], bytes]
"""The bytes from a start on, of a length that is there."""


class RangedFile:
    """A file for reading, for `pyarrow.PythonFile`; one thread at a time."""

    def __init__(self, size: int, read_range: ReadRange) -> None:
        self._size, self._read_range = size, read_range
        self._place = 0
        self._first, self._window = 0, b""
        self.closed = False

    def read(self, length: int = -1) -> bytes:
        """Up to so many bytes from the place on; all that follow without a length."""
        left = max(self._size - self._place, 0)
        length = left if length < 0 else min(length, left)
        if not length:
            return b""
        begin = self._place - self._first
        if begin < 0 or begin + length > len(self._window):
            wanted = min(max(length, WINDOW_BYTES), left)
            self._window, self._first = self._read_range(self._place, wanted), self._place
            begin = 0
        self._place += length
        return self._window[begin : begin + length]

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, from the beginning, from here or from the end."""
        base = (0, self._place, self._size)[whence]
        self._place = max(base + offset, 0)
        return self._place

    def tell(self) -> int:
        """The place."""
        return self._place

    def close(self) -> None:
        """Nothing is held open."""
        self.closed, self._window = True, b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """No."""
        return False
