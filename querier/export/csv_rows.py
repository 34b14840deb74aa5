"""A table for spreadsheets: time, line, labels, metadata; or chosen labels, a column each.

Every cell but the time is quoted (RFC 4180). One that a spreadsheet would take for a formula gets a
leading quote, since lines are written by strangers.
"""

from collections.abc import Sequence

import orjson

from narfi.core.kernels.row_text import CSV, RFC3339
from querier.export.form import Encoded, Ending, RowForm
from querier.export.readable import readable, readable_pairs
from querier.logs.entries import EntryRows, Extras
from querier.result import LabelPairs

FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""With which a cell begins that is no text to a spreadsheet."""


class CsvForm:
    """An export as a table."""

    media_type = "text/csv; charset=utf-8"
    extension = "csv"

    def __init__(self, columns: Sequence[str] = ()) -> None:
        """`columns`: labels, metadata or parsed ones; none: all of them in two cells."""
        self._columns = tuple(columns)
        self._rows = RowForm(
            lines=CSV, times=RFC3339, head=b"", before=lambda *_: b',"', after=self._after
        )

    def begin(self) -> bytes:
        """The names of the columns."""
        return _row(("time", "line", *(self._columns or ("labels", "metadata"))))

    def batch(self, rows: EntryRows) -> Encoded:
        """A row for each entry."""
        return self._rows.of(rows)

    def end(self, ending: Ending) -> bytes | None:
        """Nothing; any word would be taken for a row."""
        return None if ending.trouble else b""

    def _after(self, labels: LabelPairs, extras: Extras) -> bytes:
        metadata, parsed = extras
        if self._columns:
            known = dict(labels) | dict(metadata) | dict(parsed)
            return b'",' + _row([readable(known.get(name, "")) for name in self._columns])
        both = readable_pairs(metadata) | readable_pairs(parsed)
        cells = [orjson.dumps(found).decode() for found in (readable_pairs(labels), both)]
        return b'",' + _row(cells)


def _row(cells: Sequence[str]) -> bytes:
    quoted = (_guarded(cell).replace('"', '""') for cell in cells)
    return ",".join(f'"{cell}"' for cell in quoted).encode() + b"\r\n"


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULAS) else cell
