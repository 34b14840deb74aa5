"""How does a request read? Sources are listed once, and each selector gets a view of them.

Log and metric queries, series, labels, statistics, volumes and patterns all read so; there is no
other way from a question to the entries. Heads of other processes are asked for each selector and
range (`other_heads.py`), and blocks are listed anew behind each such answer.
Invariants: pending deletions are asked for before any source is listed, so what is deleted
meanwhile is gone or hidden; the heads are listed before the blocks, whatever a request asks for
later, so an entry that is flushed meanwhile is seen once. Streams that who asks may not see
(`Budget.streams`) are in no view: here, and nowhere else, a policy of a token is enforced for what
is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from narfi.core.matchers import Matcher
from narfi.core.tenant import TenantId
from querier.budget import Budget
from querier.reading.duplicates import DuplicateIndex
from querier.reading.hiding import FindRows, HiddenEntries
from querier.reading.missing import Warnings
from querier.reading.other_heads import OtherHeads
from querier.reading.partial import LeftOutBlocks, Partial
from querier.reading.pending import PendingDeletes
from querier.reading.tenants import TENANT_LABEL, TenantSource
from querier.reading.view import Listed, View, overlapping, view_of
from querier.result import QueryStats
from storage.head_exchange import HeadQuestion
from storage.scan import BlockProvider, Found, LeftOut, LogSource, SourceProvider

DERIVED = frozenset(("__aggregated_metric__", "__pattern__"))
"""Labels of streams that Loki derives from others; nothing here writes such streams."""

Times = tuple[int, int]
"""`[start, end)` in ns."""
ALWAYS: Times = (-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Hiding:
    """What hides entries: requests that are pending, and what says which rows they mean."""

    pending: PendingDeletes
    find: FindRows


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a view is of."""

    matchers: tuple[Matcher, ...]
    time_range: Times
    distinct: bool  # else streams alone count
    needles: tuple[bytes, ...]  # without which no line is wanted


class Reading:
    """What one request reads; used by the thread of the request."""

    def __init__(
        self,
        *,
        heads: SourceProvider,
        blocks: BlockProvider,
        duplicates: DuplicateIndex,
        missing: Warnings,
        tenants: Sequence[TenantId],
        budget: Budget,
        partial: Partial = Partial.WARN,
        hiding: Hiding | None = None,
        others: OtherHeads | None = None,
    ) -> None:
        self._heads, self._blocks, self._missing = heads, blocks, missing
        self._others = others
        self._asked: dict[_Wanted, Listed] = {}
        self._duplicates, self._tenants = duplicates, tuple(tenants)
        self._hiding, self._budget = hiding, budget
        self._hidden: HiddenEntries | None = None
        self._live: tuple[LogSource, ...] | None = None
        self._stored: dict[Times, Found] = {}
        self._losses: dict[str, None] = {}  # of all views, each text once, in order
        self._left_out = LeftOutBlocks(partial)

    def view(
        self,
        matchers: Sequence[Matcher],
        time_range: Times,
        *,
        distinct: bool = True,
        needles: tuple[bytes, ...] = (),
    ) -> View:
        """The sources of streams that satisfy the matchers in the range.

        Lines that have not all `needles` may be missing: other processes need not send them.
        Without `distinct`, entries may be there twice or be hidden: for what asks for streams
        alone. Raises `PartialAnswerError` where that is the setting and a damaged block is left
        out.
        """
        self._losses.update(dict.fromkeys(self._missing(*time_range)))
        if any(matcher.name in DERIVED for matcher in matchers):
            return View()
        listed, left_out = self._list(
            _Wanted(tuple(matchers), time_range, distinct, needles if distinct else ())
        )
        permitted = self._budget.streams
        self._left_out.note(left_out, (*matchers, *permitted), time_range)
        if not distinct:
            return view_of(listed, None, time_range, matchers, permitted=permitted)
        return view_of(
            listed,
            self._duplicates,
            time_range,
            matchers,
            self._hidden,
            permitted,
            self._budget,
        )

    def hiding_cost(self) -> QueryStats:
        """What it took to find rows that are hidden, in the views so far."""
        return QueryStats() if self._hidden is None else self._hidden.cost

    def warnings(self) -> tuple[str, ...]:
        """What the answer must tell: what may be missing in the views so far."""
        return *self._losses, *self._left_out.warnings()

    def _list(self, wanted: _Wanted) -> tuple[Listed, Sequence[LeftOut]]:
        """Sources of the range; blocks are asked for once for equal or narrower ranges."""
        time_range = start_ns, end_ns = wanted.time_range
        if self._live is None:
            self._hidden = self._hidden_now()
            self._live = tuple(s for tenant in self._tenants for s in self._heads_of(tenant))
        live = overlapping(self._live, time_range)
        if self._others is not None:
            return self._list_with(self._others, live, wanted)
        for (known_start, known_end), known in self._stored.items():
            if known_start <= start_ns and end_ns <= known_end:
                return Listed(live, overlapping(known.sources, time_range)), known.left_out
        found = self._stored_without({source.cut_id for source in self._live}, time_range)
        self._stored[time_range] = found
        return Listed(live, tuple(found.sources)), found.left_out

    def _list_with(
        self,
        others: OtherHeads,
        live: tuple[LogSource, ...],
        wanted: _Wanted,
    ) -> tuple[Listed, Sequence[LeftOut]]:
        """As `_list`, with what other processes hold: asked for what is wanted of it, and blocks
        afterwards, once for each selector and range."""
        known = self._asked.get(wanted)
        if known is not None:
            return known, ()  # what is left out of it was told
        far: list[LogSource] = []
        time_range = start_ns, end_ns = wanted.time_range
        for tenant in self._tenants:
            question = HeadQuestion(
                tenant=tenant,
                matchers=self._stored_matchers(wanted.matchers),
                start_ns=start_ns,
                end_ns=end_ns,
                streams_only=not wanted.distinct,
                needles=wanted.needles,
            )
            answer = others.found(question, self._budget)
            self._left_out.note_unread(answer.missing)
            far += [self._named(source, tenant) for source in answer.sources]
        cuts = {source.cut_id for source in (*(self._live or ()), *far)}
        found = self._stored_without(cuts, time_range)
        listed = Listed((*live, *overlapping(far, time_range)), tuple(found.sources))
        self._asked[wanted] = listed
        return listed, found.left_out

    def _stored_matchers(self, matchers: Sequence[Matcher]) -> tuple[Matcher, ...]:
        """Those that the stored streams can be asked; of several tenants each has its name here."""
        if len(self._tenants) == 1:
            return tuple(matchers)
        return tuple(one for one in matchers if not one.name.endswith(TENANT_LABEL))

    def _stored_without(self, cuts: set[str], time_range: Times) -> Found:
        """Blocks of the range but those of the heads' parts."""
        parts = [self._blocks_of(tenant, time_range) for tenant in self._tenants]
        return Found(
            tuple(s for part in parts for s in part.sources if s.cut_id not in cuts),
            tuple(b for part in parts for b in part.left_out if b.cut_id not in cuts),
        )

    def _hidden_now(self) -> HiddenEntries | None:
        """What pending requests hide; None when there are none, as nearly always."""
        if self._hiding is None:
            return None
        found = {tenant: self._hiding.pending.of(tenant) for tenant in self._tenants}
        if not any(found.values()):
            return None
        return HiddenEntries(found, self._hiding.find, self._budget)

    def _heads_of(self, tenant: TenantId) -> Sequence[LogSource]:
        found = self._heads.sources(tenant, *ALWAYS)
        return [self._named(source, tenant) for source in found]

    def _blocks_of(self, tenant: TenantId, time_range: Times) -> Found:
        found = self._blocks.found(tenant, *time_range)
        if len(self._tenants) == 1:
            return found
        left_out = [
            replace(one, table=one.table and one.table.with_label(TENANT_LABEL, tenant))
            for one in found.left_out
        ]
        return Found([self._named(source, tenant) for source in found.sources], left_out)

    def _named(self, source: LogSource, tenant: TenantId) -> LogSource:
        """Of several tenants, each stream carries its tenant."""
        return source if len(self._tenants) == 1 else TenantSource(source, tenant)
