"""When is a push safe? Decoded, judged, completed, durable, visible: then it is answered.

Free of transport; blocking, called on worker threads (but for `wait_for_room`). Invariant: what
`push` does not refuse is in the journal, synced, and visible to the next query when it returns or
raises `RefusedEntriesError`.
"""

from dataclasses import dataclass, replace

from ingester.accepted import Accepted
from ingester.admit import Admitted, BodyFormat, Room, admit
from ingester.backfill import checked_shard, with_shard
from ingester.commit import Ledger, commit
from ingester.cost import cost_of_push
from ingester.decided import decided
from ingester.enrich import enrich
from ingester.errors import NothingPushedError, PushError, RateLimitedError
from ingester.flush import Flusher
from ingester.head import Heads
from ingester.head_room import HeadRoom
from ingester.metrics import PUSH_SECONDS, TenantCounts
from ingester.ordering import OrderingWindow
from ingester.rates import IngestionRates
from ingester.records import CODEC_PROTOBUF, batch_of, codec_of
from ingester.refusals import Refusals
from ingester.stream_limits import StreamLimits
from ingester.streams import StreamResolver
from ingester.validate import validate
from narfi.core.clock import Clock
from narfi.core.in_flight import FREE, Charge
from narfi.core.limits import Limits, LimitsOf
from narfi.core.tenant import TenantId
from narfi.core.wire.json_body import json_cost
from narfi.core.wire.push import DecodedPush
from narfi.core.wire.push_json import decode_push_json
from narfi.core.wire.push_protobuf import decode_push_protobuf
from storage.batch import LogBatch
from storage.batch_bytes import encode_batch
from storage.journal.base import Journal, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """A push as a transport received it."""

    body: bytes
    content_type: str
    content_encoding: str
    legacy: bool = False  # the v0 JSON shape
    backfill: str = ""  # value of the header that marks a backfill
    room: Room = Room()  # for its decompressed and decoded forms


@dataclass(frozen=True, slots=True)
class PushUse:
    """What a tenant has of its limits of pushes now."""

    burst_bytes: int
    streams: int


class PushService:
    """Takes pushes; thread-safe."""

    def __init__(
        self,
        *,
        journal: Journal,
        ledger: Ledger,
        heads: Heads,
        flusher: Flusher,
        resolver: StreamResolver,
        clock: Clock,
        limits_of: LimitsOf,
        head_room: HeadRoom,
    ) -> None:
        self._journal, self._ledger, self._heads, self._flusher = journal, ledger, heads, flusher
        self._resolver, self._clock, self._limits_of = resolver, clock, limits_of
        self._head_room = head_room
        self._rates = IngestionRates(clock)
        self._window = OrderingWindow()
        self._streams = StreamLimits()
        self._counts = TenantCounts()

    async def wait_for_room(self, tenant: TenantId) -> None:
        """Wait, on the event loop, while the tenant's flush is behind; then `push` decides."""
        await self._head_room.wait(tenant)

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

    def active_streams(self) -> dict[TenantId, int]:
        """Streams that were pushed to within the hour, by tenant."""
        return self._streams.counts()

    def use(self, tenant: TenantId) -> PushUse:
        """What the tenant has of its limits now."""
        limits = self._limits_of(tenant)
        return PushUse(self._rates.spent(tenant, limits), self._streams.active(tenant))

    def sweep(self) -> int:
        """Forget what is only known of tenants and streams that are idle; how much it was."""
        now_ns = self._clock.now_ns()
        swept = (self._rates, self._window, self._streams, self._counts)
        return sum(one.sweep(now_ns) for one in swept)

    def _store(
        self, tenant: TenantId, push: DecodedPush, raw: bytes | None, *, backfill: bool = False
    ) -> None:
        if not push.labels:
            raise NothingPushedError
        limits = self._limits_of(tenant)
        if backfill:  # may be as old as it is
            limits = replace(limits, reject_old_samples=False)
        refusals, now_ns = Refusals(), self._clock.now_ns()
        accepted = validate(push, limits, now_ns, self._resolver, refusals, backfill=backfill)
        sums = accepted.sums()
        try:
            self._rates.spend(tenant, limits, len(accepted.push), sums.all_rated)
        except RateLimitedError:
            refusals.add("rate_limited", None, len(accepted.push), sums.line_bytes)
            self._counts.discarded(tenant, refusals.entries, refusals.bytes, now_ns)
            raise
        with self._head_room.taken(tenant, cost_of_push(accepted.push, sums.line_bytes)):
            accepted, limited = self._within(tenant, accepted, refusals)
            accepted, late = self._in_order(tenant, accepted, refusals)
            if len(accepted.push):
                batch = batch_of(accepted, enrich(accepted, limits))
                self._commit(tenant, batch, raw if accepted.whole else None, limits)
                size = accepted.sums().line_bytes
                self._counts.received(tenant, len(accepted.push), size, now_ns)
        self._counts.discarded(tenant, refusals.entries, refusals.bytes, now_ns)
        self._counts.cut(tenant, refusals.cut_lines, refusals.cut_bytes, now_ns)
        error = late or limited or refusals.error()
        if error is not None:
            raise error

    def _within(
        self, tenant: TenantId, accepted: Accepted, refusals: Refusals
    ) -> tuple[Accepted, PushError | None]:
        """The entries that the limits of streams allow."""
        limits, now_ns = self._limits_of(tenant), self._clock.now_ns()
        refused, error = self._streams.check(tenant, accepted, limits, now_ns, refusals)
        return accepted if error is None else accepted.without(refused), error

    def _in_order(
        self, tenant: TenantId, accepted: Accepted, refusals: Refusals
    ) -> tuple[Accepted, PushError | None]:
        behind, error = self._window.check(
            tenant, accepted, self._limits_of(tenant), self._clock.now_ns()
        )
        if error is None:
            return accepted, None
        refusals.count("too_far_behind", accepted.push, behind)
        return accepted.without(behind), error

    def _commit(self, tenant: TenantId, batch: LogBatch, raw: bytes | None, limits: Limits) -> None:
        record = Record(
            tenant=tenant,
            received_ns=self._clock.now_ns(),
            codec=codec_of(batch) if raw is None else CODEC_PROTOBUF,
            decided=b"" if raw is None else decided(limits),
            body=encode_batch(batch) if raw is None else raw,
        )

        ready = False

        def put(position: int) -> str:
            nonlocal ready
            taken = self._heads.take(tenant, batch, position)
            ready = taken.ready
            return taken.cut_id

        commit(self._journal, self._ledger, record, put)
        if ready:
            self._flusher.wake()


def decode(admitted: Admitted, *, legacy: bool, charge: Charge = FREE) -> DecodedPush:
    """The entries of a decompressed body; what they take is charged first."""
    if admitted.format is BodyFormat.JSON:
        assert isinstance(admitted.body, bytes | bytearray)
        charge.take(json_cost(admitted.body))
        return decode_push_json(admitted.body, legacy=legacy)
    return decode_push_protobuf(admitted.body, charge=charge)
