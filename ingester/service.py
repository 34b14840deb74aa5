"""When is a push safe? Decoded, judged, completed, durable, visible: then it is answered.

Free of transport; blocking, called on worker threads. Invariant: what `push` does not refuse is in
the journal, synced, and visible to the next query when it returns or raises `RefusedEntriesError`.
"""

from dataclasses import dataclass, replace

import numpy as np

from ingester.admit import Admitted, BodyFormat, Room, admit
from ingester.backfill import checked_shard, with_shard
from ingester.commit import Ledger, commit
from ingester.decided import decided
from ingester.enrich import enrich
from ingester.errors import NothingPushedError, OverloadedError, PushError
from ingester.flush import Flusher
from ingester.frames import CODEC_ARROW, CODEC_PROTOBUF, batch_of, encode_batch
from ingester.head import Heads
from ingester.metrics import (
    DISCARDED_BYTES,
    DISCARDED_SAMPLES,
    PUSH_SECONDS,
    RECEIVED_BYTES,
    RECEIVED_LINES,
)
from ingester.ordering import OrderingWindow
from ingester.rates import IngestionRates
from ingester.refusals import Refusals
from ingester.stream_limits import StreamLimits
from ingester.streams import StreamResolver
from ingester.validate import Accepted, validate
from narfi.core.clock import Clock
from narfi.core.in_flight import FREE, Charge
from narfi.core.limits import Limits, LimitsOf
from narfi.core.tenant import TenantId
from narfi.core.wire.json_body import json_cost
from narfi.core.wire.push import DecodedPush
from narfi.core.wire.push_json import decode_push_json
from narfi.core.wire.push_protobuf import decode_push_protobuf
from storage.batch import LogBatch
from storage.journal.base import Journal, Record

ROOM_WAIT_S = 5.0
"""How long a push waits for a flush that is behind, before memory limits decide."""


@dataclass(frozen=True, slots=True)
class PushRequest:
    """A push as a transport received it."""

    body: bytes
    content_type: str
    content_encoding: str
    legacy: bool = False  # the v0 JSON shape
    backfill: str = ""  # value of the header that marks a backfill
    room: Room = Room()  # for its decompressed and decoded forms


@dataclass(frozen=True, slots=True)
class PushParts:
    """What a push service works with."""

    journal: Journal
    ledger: Ledger
    heads: Heads
    flusher: Flusher
    resolver: StreamResolver
    clock: Clock
    limits_of: LimitsOf
    max_unflushed_bytes: int


class PushService:
    """Takes pushes; thread-safe."""

    def __init__(self, parts: PushParts) -> None:
        self._parts = parts
        self._rates = IngestionRates(parts.clock)
        self._window = OrderingWindow()
        self._streams = StreamLimits()

    def push(self, tenant: TenantId, request: PushRequest) -> None:
        """Store the push, or raise a `PushError`; refused entries leave the others stored."""
        with PUSH_SECONDS.time():
            room = request.room
            admitted = admit(request.body, request.content_type, request.content_encoding, room)
            push = decode(admitted, legacy=request.legacy, charge=room.charge)
            shard = checked_shard(request.backfill)
            if shard:
                self._store(tenant, with_shard(push, shard), None, backfill=True)
                return
            plain = request.content_encoding in ("", "snappy")
            raw = request.body if admitted.format is BodyFormat.PROTOBUF and plain else None
            self._store(tenant, push, raw)

    def push_message(self, tenant: TenantId, message: bytes, charge: Charge = FREE) -> None:
        """As `push`, for a serialised PushRequest (gRPC)."""
        with PUSH_SECONDS.time():
            self._store(tenant, decode_push_protobuf(message, charge=charge), None)

    def _store(
        self, tenant: TenantId, push: DecodedPush, raw: bytes | None, *, backfill: bool = False
    ) -> None:
        if not push.labels:
            raise NothingPushedError
        parts = self._parts
        limits = parts.limits_of(tenant)
        if backfill:  # may be as old as it is
            limits = replace(limits, reject_old_samples=False)
        refusals, now_ns = Refusals(), parts.clock.now_ns()
        accepted = validate(push, limits, now_ns, parts.resolver, refusals, backfill=backfill)
        size = accepted.push.lines.nbytes()
        pairs = accepted.push.pairs
        self._rates.spend(
            tenant,
            limits,
            len(accepted.push),
            size + pairs.name.nbytes() + pairs.value.nbytes(),
        )
        parts.heads.wait_for_room(ROOM_WAIT_S)
        if parts.heads.bytes + size > parts.max_unflushed_bytes:
            raise OverloadedError
        accepted, limited = self._within(tenant, accepted)
        accepted, late = self._in_order(tenant, accepted)
        if len(accepted.push):
            metadata = enrich(accepted, limits)
            self._commit(
                tenant, batch_of(accepted, metadata), raw if accepted.whole else None, limits
            )
            RECEIVED_BYTES.labels(tenant).inc(size)
            RECEIVED_LINES.labels(tenant).inc(len(accepted.push))
        self._report(tenant, refusals, late or limited)

    def _within(self, tenant: TenantId, accepted: Accepted) -> tuple[Accepted, PushError | None]:
        """The entries that the limits of streams allow."""
        parts = self._parts
        limits, now_ns = parts.limits_of(tenant), parts.clock.now_ns()
        refused, error = self._streams.check(tenant, accepted, limits, now_ns)
        if not refused.any():
            return accepted, None
        kept = accepted.push.take(np.flatnonzero(~refused))
        return Accepted(kept, accepted.streams, whole=False), error

    def _in_order(self, tenant: TenantId, accepted: Accepted) -> tuple[Accepted, PushError | None]:
        behind, error = self._window.check(tenant, accepted, self._parts.limits_of(tenant))
        if not behind.any():
            return accepted, error
        kept = accepted.push.take(np.flatnonzero(~behind))
        return Accepted(kept, accepted.streams, whole=False), error

    def _commit(self, tenant: TenantId, batch: LogBatch, raw: bytes | None, limits: Limits) -> None:
        parts = self._parts
        record = Record(
            tenant=tenant,
            received_ns=parts.clock.now_ns(),
            codec=CODEC_ARROW if raw is None else CODEC_PROTOBUF,
            decided=b"" if raw is None else decided(limits),
            body=encode_batch(batch) if raw is None else raw,
        )

        ready = False

        def put(position: int) -> str:
            nonlocal ready
            taken = parts.heads.take(tenant, batch, position)
            ready = taken.ready
            return taken.cut_id

        commit(parts.journal, parts.ledger, record, put)
        if ready:
            parts.flusher.wake()

    def _report(self, tenant: TenantId, refusals: Refusals, last: PushError | None) -> None:
        for reason, count in refusals.entries.items():
            DISCARDED_SAMPLES.labels(reason, tenant).inc(count)
            DISCARDED_BYTES.labels(reason, tenant).inc(refusals.bytes[reason])
        error = last or refusals.error()
        if error is not None:
            raise error


def decode(admitted: Admitted, *, legacy: bool, charge: Charge = FREE) -> DecodedPush:
    """The entries of a decompressed body; what they take is charged first."""
    if admitted.format is BodyFormat.JSON:
        charge.take(json_cost(admitted.body))
        return decode_push_json(admitted.body, legacy=legacy)
    return decode_push_protobuf(admitted.body, charge=charge)
