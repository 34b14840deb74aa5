"""Lines as they are, one behind the other: what `logcli query --forward -o raw` prints."""

from narfi.core.kernels.row_text import NO_TIME, TEXT
from querier.export.form import Encoded, Ending, RowForm
from querier.logs.entries import EntryRows

_ROWS = RowForm(lines=TEXT, times=NO_TIME, head=b"", before=lambda *_: b"", after=lambda *_: b"\n")


class TextForm:
    """An export as text."""

    media_type = "text/plain; charset=utf-8"
    extension = "txt"

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def batch(self, rows: EntryRows) -> Encoded:
        """The lines."""
        return _ROWS.of(rows)

    def end(self, ending: Ending) -> bytes | None:
        """Nothing; any word would be taken for a line."""
        return None if ending.trouble else b""
