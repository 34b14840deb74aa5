"""How does one process ask another for what is in its head? The messages of service `narfi.Heads`.

A question is JSON, and names the journal that the reader means and the process that holds it, which
nobody knows who cannot read the catalog: who has another one says so, and the reader looks
elsewhere. An answer is a stream of runs, each a cut id and a batch of rows that satisfy the
question, and all of those. Unknown versions are refused, and the reader then reads the journal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from narfi.core.columns import I64
from narfi.core.errors import AppError, ErrorKind
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from storage.batch import LogBatch
from storage.batch_bytes import decode_batch, encode_batch
from storage.scan import Columns, LogSource
from storage.sorting import merge_batches

SERVICE = "narfi.Heads"
VERSION = 1
CUT_BYTES = 32
RUN_ROWS = 1 << 16
"""Rows in one message."""


class HeadQuestionError(AppError):
    """A question that this version does not understand."""

    kind = ErrorKind.INVALID


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadQuestion:
    """What a reader wants of the head of one tenant."""

    tenant: TenantId
    matchers: tuple[Matcher, ...]
    start_ns: int  # inclusive
    end_ns: int  # exclusive
    streams_only: bool = False  # the first and the last entry of each stream are enough
    needles: tuple[bytes, ...] = ()  # lines without any of these are not wanted, but may come


@dataclass(frozen=True, slots=True)
class HeadRun:
    """Some rows of a part of a head: sorted, without exact duplicates."""

    cut_id: str
    batch: LogBatch


@dataclass(frozen=True, slots=True)
class Meant:
    """Which process a call is for: only the catalog tells who holds a journal."""

    journal_id: str
    holder: str


def encode_question(meant: Meant, question: HeadQuestion) -> bytes:
    """A question about the head of one journal."""
    return orjson.dumps(
        {
            "version": VERSION,
            "journal": meant.journal_id,
            "holder": meant.holder,
            "tenant": question.tenant,
            "matchers": [[m.name, m.op.value, _sent(m.value)] for m in question.matchers],
            "start_ns": str(question.start_ns),
            "end_ns": str(question.end_ns),
            "streams_only": question.streams_only,
            "needles": [needle.hex() for needle in question.needles],
        }
    )


def decode_question(message: bytes) -> tuple[Meant, HeadQuestion]:
    """Whom it is for, and the question; raises `HeadQuestionError`."""
    try:
        found = orjson.loads(message)
        if found["version"] != VERSION:
            raise HeadQuestionError(f"questions of version {found['version']} are not known")
        matchers = tuple(
            Matcher(name, MatchOp(op), _received(value)) for name, op, value in found["matchers"]
        )
        question = HeadQuestion(
            tenant=TenantId(found["tenant"]),
            matchers=matchers,
            start_ns=int(found["start_ns"]),
            end_ns=int(found["end_ns"]),
            streams_only=bool(found["streams_only"]),
            needles=tuple(map(bytes.fromhex, found.get("needles", ()))),  # not of older versions
        )
        return Meant(str(found["journal"]), str(found["holder"])), question
    except (ValueError, KeyError, TypeError) as error:
        raise HeadQuestionError(f"the question cannot be read: {error!r}") from error


def _sent(text: str) -> str:
    """Bytes that are no UTF-8 stand as surrogates in texts, which JSON does not take."""
    return text.encode("utf-8", "surrogateescape").hex()


def _received(text: str) -> str:
    return bytes.fromhex(text).decode("utf-8", "surrogateescape")


def answer(sources: Sequence[LogSource], question: HeadQuestion) -> Iterator[bytes]:
    """A message for each some rows of the sources that satisfy the question."""
    for source in sources:
        rows = _chosen(source, question)
        for first in range(0, len(rows), RUN_ROWS):
            batch = _with_needles(source.fetch(rows[first : first + RUN_ROWS], Columns()), question)
            if not len(batch):
                continue
            yield source.cut_id.encode().ljust(CUT_BYTES) + encode_batch(_compact(batch))


def _chosen(source: LogSource, question: HeadQuestion) -> I64:
    table = source.table
    streams = table.select(question.matchers)
    owner = np.repeat(np.arange(len(table)), table.rows)
    times = source.times()
    keep = streams[owner] & (times >= question.start_ns) & (times < question.end_ns)
    rows: I64 = np.flatnonzero(keep)
    if not question.streams_only or not len(rows):
        return rows
    begins = np.append(True, owner[rows[1:]] != owner[rows[:-1]])  # rows are sorted by stream
    found: I64 = rows[begins | np.append(begins[1:], True)]
    return found


def _with_needles(batch: LogBatch, question: HeadQuestion) -> LogBatch:
    """The rows whose lines have all of them."""
    assert batch.lines is not None
    for needle in question.needles:
        batch = batch.take(batch.lines.contains(needle))
        assert batch.lines is not None
    return batch


def _compact(batch: LogBatch) -> LogBatch:
    """With the streams that occur alone."""
    used, stream = np.unique(batch.stream, return_inverse=True)
    labels = [batch.table.labels[number] for number in used.tolist()]
    table = type(batch.table)(
        labels=labels,
        first_row=batch.table.first_row[used],
        rows=batch.table.rows[used],
        first_ts=batch.table.first_ts[used],
        last_ts=batch.table.last_ts[used],
        line_bytes=batch.table.line_bytes[used],
    )
    return LogBatch(
        table=table,
        stream=stream.astype(np.int32),
        ts=batch.ts,
        rows=batch.rows,
        lines=batch.lines,
        metadata=batch.metadata,
    )


def encode_followed(batch: LogBatch) -> bytes:
    """A batch that came in, for who follows; an empty message says that the ingester is there."""
    return encode_batch(batch)


def decode_followed(message: bytes) -> LogBatch | None:
    """What such a message holds."""
    return decode_batch(message) if message else None


def decode_run(message: bytes) -> HeadRun:
    """What a message of an answer holds."""
    cut_id = message[:CUT_BYTES].decode().rstrip()
    return HeadRun(cut_id, merge_batches([decode_batch(message[CUT_BYTES:])]))
