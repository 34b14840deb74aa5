"""A Parquet file: time in ns, line, and maps of labels and metadata; a row group for each batch.

It is complete only with its footer, so half of one cannot be read by mistake.
"""

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from querier.export.form import Encoded, Ending
from querier.export.readable import readable, readable_pairs
from querier.logs.entries import EntryRows
from querier.result import LabelPairs

_MAP = pa.map_(pa.string(), pa.string())
SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("ns", tz="UTC")),
        ("line", pa.string()),
        ("labels", _MAP),
        ("metadata", _MAP),
    ]
)


class _Written(io.RawIOBase):
    """Takes what a writer writes, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: object) -> int:
        """Take it."""
        part = bytes(memoryview(data))  # type: ignore[arg-type]
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def tell(self) -> int:
        """Bytes so far."""
        return self._at

    def taken(self) -> bytes:
        """What came since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


class ParquetForm:
    """An export as a Parquet file."""

    media_type = "application/vnd.apache.parquet"
    extension = "parquet"

    def __init__(self) -> None:
        self._sink = _Written()
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._sink, "w"), SCHEMA, compression="zstd", use_dictionary=["labels"]
        )

    def begin(self) -> bytes:
        """Its first bytes."""
        return self._sink.taken()

    def batch(self, rows: EntryRows) -> Encoded:
        """A row group."""
        columns = rows.columns
        extras = [(*metadata, *parsed) for metadata, parsed in rows.extras]
        table = pa.table(
            [
                pa.array(columns.ts).cast(SCHEMA.field("time").type),
                _texts(columns.lines.to_arrow()),
                _maps(rows.labels).take(pa.array(columns.labels)),
                _maps(extras).take(pa.array(columns.extras)),
            ],
            schema=SCHEMA,
        )
        self._writer.write_table(table, row_group_size=max(len(rows), 1))
        return Encoded(self._sink.taken(), None)

    def end(self, ending: Ending) -> bytes | None:
        """The footer; without it nothing is there."""
        if ending.trouble:
            return None
        self._writer.close()
        return self._sink.taken()


def _texts(lines: pa.Array) -> pa.Array:
    """Lines as text; what is not UTF-8 becomes U+FFFD."""
    try:
        return lines.cast(pa.string())
    except pa.ArrowInvalid:
        good = [readable(line.decode("utf-8", "surrogateescape")) for line in lines.to_pylist()]
        return pa.array(good, pa.string())


def _maps(sets: Sequence[LabelPairs]) -> pa.Array:
    return pa.array([list(readable_pairs(pairs).items()) for pairs in sets], _MAP)
