"""How are entries written as objects, line by line? Streams once, then batches of entries.

Lines are cut where they are longer than somebody wants to see; what is not UTF-8 becomes U+FFFD.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import orjson

from narfi.core.columns import I64
from querier.export.readable import readable, readable_pairs
from querier.line_stream import LineBatch
from querier.logs.entries import EntryRows, Extras
from querier.result import LabelPairs

BATCH_ROWS = 512
"""Entries of one line of the answer."""


class LineObjects:
    """Writes the batches of one answer; knows which streams were told."""

    def __init__(self, most_bytes: int, *, shows_parsed: bool) -> None:
        """`most_bytes` of a line are given; 0: all."""
        self._most, self._shows_parsed = most_bytes, shows_parsed
        self._streams: dict[LabelPairs, int] = {}

    def of(self, rows: EntryRows, orders: I64) -> bytes:
        """Lines of JSON: streams that are new, then entries."""
        numbers, new = self._numbers(rows)
        parts = [
            orjson.dumps({"stream": number, "labels": readable_pairs(labels)})
            for number, labels in new
        ]
        columns = rows.columns
        extras = [self._extra(extra) for extra in rows.extras]
        for first in range(0, len(rows), BATCH_ROWS):
            mine = slice(first, first + BATCH_ROWS)
            lines, lengths = self._lines(rows, mine)
            entries = zip(
                numbers[columns.labels[mine]].tolist(),
                map(str, columns.ts[mine].tolist()),
                lines,
                [extras[code] for code in columns.extras[mine].tolist()],
                orders[mine].tolist(),
                lengths,
                strict=True,
            )
            parts.append(orjson.dumps({"entries": list(entries)}))
        return b"".join(part + b"\n" for part in parts)

    def _numbers(self, rows: EntryRows) -> tuple[I64, list[tuple[int, LabelPairs]]]:
        """The number of each label set, and those that were not told before."""
        used = np.unique(rows.columns.labels).tolist()
        numbers, new = np.zeros(len(rows.labels), np.int64), []
        for code in used:
            labels = rows.labels[code]
            if labels not in self._streams:
                self._streams[labels] = len(self._streams)
                new.append((self._streams[labels], labels))
            numbers[code] = self._streams[labels]
        return numbers, new

    def _extra(self, extra: Extras) -> dict[str, object] | None:
        metadata, parsed = extra
        if not self._shows_parsed:
            return {**readable_pairs(metadata)} or None
        if not metadata and not parsed:
            return None
        return {"m": readable_pairs(metadata), "p": readable_pairs(parsed)}

    def _lines(self, rows: EntryRows, mine: slice) -> tuple[Iterator[str], Sequence[int | None]]:
        spans = rows.columns.lines.take(mine)
        most = self._most
        view = spans.data.data
        starts, lengths = spans.start.tolist(), spans.length.tolist()
        if not most or max(lengths, default=0) <= most:
            whole = (shown(bytes(view[s : s + n])) for s, n in zip(starts, lengths, strict=True))
            return whole, [None] * len(lengths)
        cut = (
            shown(bytes(view[s : s + (n if n <= most else cut_at(view[s : s + most + 1], most))]))
            for s, n in zip(starts, lengths, strict=True)
        )
        return cut, [None if n <= most else n for n in lengths]


def entry_objects(batch: LineBatch, most_bytes: int) -> list[dict[str, object]]:
    """An object for each of a few entries, with its labels."""
    rows, columns = batch.rows, batch.rows.columns
    found = []
    for place, line in enumerate(columns.lines.to_list()):
        line = line or b""
        metadata, parsed = rows.extras[columns.extras[place]]
        one: dict[str, object] = {
            "ts": str(columns.ts[place]),
            "line": shown(line),
            "labels": readable_pairs(rows.labels[columns.labels[place]]),
            "metadata": readable_pairs(metadata),
            "order": int(batch.orders[place]),
        }
        if parsed:
            one["parsed"] = readable_pairs(parsed)
        if most_bytes and len(line) > most_bytes:
            one |= {"line": shown(line[: cut_at(line, most_bytes)]), "length": len(line)}
        found.append(one)
    return found


def cut_at(line: memoryview | bytes, most: int) -> int:
    """How many bytes of a longer line are given: at most so many, and no half character."""
    end = most
    while end > max(0, most - 4) and line[end] & 0xC0 == 0x80:
        end -= 1
    return end


def shown(line: bytes) -> str:
    """The text; each byte that is not of UTF-8 becomes U+FFFD."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return readable(line.decode("utf-8", "surrogateescape"))
