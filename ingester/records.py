"""How is a push kept in the journal? As received where nothing was changed, else its accepted rest.

Codec 1: the snappy-compressed protobuf body as it came. Codec 2: the accepted, enriched batch as
`storage/batch_bytes.py` writes it. Codec 3: as 2, with the names of structured metadata that few
entries have in one column. Replaying codec 1 decodes and enriches again but judges nothing.
"""

from dataclasses import replace

import numpy as np

from ingester.accepted import Accepted
from ingester.admit import Room, unsnappy
from ingester.decided import limits_when_accepted
from ingester.enrich import enrich
from ingester.metadata_names import normalise_names
from ingester.streams import StreamResolver
from narfi.core.columns import I64
from narfi.core.errors import AppError
from narfi.core.limits import Limits
from narfi.core.wire.push_protobuf import decode_push_protobuf
from storage.batch import LogBatch, StreamTable
from storage.batch_bytes import decode_batch
from storage.journal.base import StoredRecord
from storage.lines.plain import PlainLines
from storage.metadata import Metadata

CODEC_PROTOBUF = 1
CODEC_ARROW = 2
CODEC_TRIPLES = 3

_ANY_SIZE = Room(most_decompressed=1 << 32)
"""What was accepted once is read again, whatever the settings are now."""


class RecordError(AppError):
    """A journal record cannot be decoded by this version."""


def batch_of(accepted: Accepted, metadata: Metadata) -> LogBatch:
    """The accepted entries as a batch of the streams that the push named."""
    push, streams, stream = accepted.push, accepted.streams, accepted.push.stream
    used = accepted.sums().entries > 0
    if not used.all():  # streams of which nothing was accepted, or that had no entry
        streams = tuple(streams[number] for number in np.flatnonzero(used).tolist())
        stream = (np.cumsum(used) - 1).astype(np.int32)[stream]
    none: I64 = np.zeros(len(streams), np.int64)
    table = StreamTable(
        labels=tuple(s.labels for s in streams),
        first_row=none,
        rows=none,
        first_ts=none,
        last_ts=none,
        line_bytes=none,
    )
    rows = np.arange(len(push), dtype=np.int64)
    return LogBatch(
        table=table,
        stream=stream,
        ts=push.ts,
        rows=rows,
        lines=PlainLines(push.lines),
        metadata=metadata,
    )


def codec_of(batch: LogBatch) -> int:
    """How `encode_batch` writes it: codec 2 where that can hold it."""
    rare = None if batch.metadata is None else batch.metadata.rare
    return CODEC_ARROW if rare is None else CODEC_TRIPLES


def decode_record_body(record: StoredRecord, limits: Limits, resolver: StreamResolver) -> LogBatch:
    """The batch of a journal record; `limits` are today's, for records that kept none."""
    if record.codec == CODEC_PROTOBUF:
        return _from_protobuf(record.body, limits_when_accepted(record.decided, limits), resolver)
    if record.codec in (CODEC_ARROW, CODEC_TRIPLES):
        return decode_batch(record.body)
    message = f"journal record {record.position} has codec {record.codec}, unknown to this version"
    raise RecordError(message)


def _from_protobuf(body: bytes, limits: Limits, resolver: StreamResolver) -> LogBatch:
    push = decode_push_protobuf(unsnappy(body, _ANY_SIZE), check_times=False)
    if len(push.pairs):
        push = replace(push, pairs=normalise_names(push.pairs))
    accepted = Accepted(push, resolver.resolve(push.labels, limits), whole=True)
    return batch_of(accepted, enrich(accepted, limits))
