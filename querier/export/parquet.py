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
_CODED = pa.dictionary(pa.int32(), pa.string())
_MAPS = ("labels", "metadata")
SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("ns", tz="UTC")),
        ("line", pa.string()),
        ("labels", _MAP),
        ("metadata", _MAP),
    ]
)

_WRITTEN = pa.schema(
    [pa.field(one.name, pa.map_(_CODED, _CODED)) if one.name in _MAPS else one for one in SCHEMA]
)
"""The same, of which texts of labels are codes: nobody hashes them for each entry."""


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
            pa.PythonFile(self._sink, "w"),
            _WRITTEN,
            compression="zstd",
            use_dictionary=[
                f"{name}.key_value.{part}" for name in _MAPS for part in ("key", "value")
            ],
            write_statistics=["time"],
            store_schema=False,  # which knows of codes
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
            schema=_WRITTEN,
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
    """Sets of labels, of which each name and value is there once."""
    found = pa.array([list(readable_pairs(pairs).items()) for pairs in sets], _MAP)
    keys, values = (part.dictionary_encode().cast(_CODED) for part in (found.keys, found.items))
    return pa.MapArray.from_arrays(found.offsets, keys, values)
