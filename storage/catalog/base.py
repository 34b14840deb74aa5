"""Which blocks are visible, and from where must the journal be replayed?

A block has a life, and each step of it is a transaction:

    intent     a writer is about to put objects: nothing is put before this is committed
    visible    `publish` or `replace` made the intent a block; they fail when the intent is gone
    removed    nobody may open the block any more; its objects lie there for those who did before
    gone       the objects were deleted, and the row with them (`forget`)

An intent whose writer gave up or died becomes removed, so the catalog names every folder in which
objects of it may lie, and no folder is garbage that it does not name.

Invariants: a block is visible when, and only when, its row is committed; the row and the journal
watermark of its tenant commit in one transaction; a watermark never goes back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from narfi.core.errors import AppError, ErrorKind
from narfi.core.tenant import TenantId


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class BlockRow:
    """One block as the catalog knows it.

    Nothing is changed in one. That is for mypy to say: to make a frozen object takes three times
    as long, and a question makes thousands.
    """

    block_id: Final[str]
    tenant: Final[TenantId]
    cut_id: Final[str]
    min_ts: Final[int]  # ns, inclusive
    max_ts: Final[int]  # ns, inclusive
    rows: Final[int]
    line_bytes: Final[int]  # uncompressed
    stored_bytes: Final[int]
    level: Final[int]  # 0 from a flush; compaction raises it
    format_version: Final[int]
    created_ns: Final[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A block that somebody is about to write."""

    block_id: str
    tenant: TenantId
    min_ts: int  # ns; with tenant and id, where its objects will lie
    owner: str  # the process that writes it
    expires_ns: int  # from then on it may be taken for abandoned


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to publish what is in a journal: it ends when somebody else takes the lease."""

    journal_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Watermark:
    """All records of the tenant up to `position` are in visible blocks."""

    journal_id: str
    tenant: TenantId
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedBlock:
    """A block that was visible once and never will be again; its objects may still lie there."""

    block_id: str
    tenant: TenantId
    min_ts: int  # ns; with tenant and id, where its objects lie
    stored_bytes: int
    removed_ns: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What became of the blocks since a version."""

    version: int  # ask from here next time
    visible: Sequence[BlockRow]  # became visible; some may be among the gone ones already
    gone: frozenset[str]  # ids of blocks that are not visible any more
    complete: bool  # false: the reader is too far behind and has to read everything anew


@dataclass(frozen=True, slots=True)
class RemovedTotal:
    """How many removed blocks have objects that wait to be deleted."""

    blocks: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class LevelTotal:
    """The visible blocks of one level, summed over all tenants."""

    level: int
    blocks: int
    rows: int
    stored_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallBlocks:
    """Which blocks are meant: those that count less than `below` bytes."""

    below: int
    row_bytes: int  # that a row counts, beside those of its line
    day_ns: int  # length of a day, by which blocks belong together


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallDay:
    """The small visible blocks of a tenant whose oldest entries are of one day."""

    tenant: TenantId
    day: int  # since the epoch
    blocks: int
    size: int  # bytes, as they are counted
    newest_ns: int  # when the newest of them was made
    doubles: bool  # some together count at least twice as much as the largest of these


@dataclass(frozen=True, slots=True)
class Counts:
    """How many blocks are in each step of their life."""

    visible: int
    removed: int
    intended: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Acknowledged entries that were found missing, told once and remembered."""

    journal_id: str
    first_position: int  # records of the journal, inclusive
    last_position: int
    from_ns: int  # entries with times in here may be missing, inclusive
    to_ns: int
    reason: str
    told_ns: int


class CatalogError(AppError):
    """The database refused or failed."""

    kind = ErrorKind.UNAVAILABLE


class NewerCatalogError(CatalogError):
    """A newer version of the program wrote the catalog: this one must not touch it."""

    exit_status = 4


class CatalogConflictError(CatalogError):
    """Somebody else was faster, and what was to be committed is out of date; nothing was changed.

    A block that was to be replaced is not visible any more, or an intent is gone.
    """


class Catalog(Protocol):
    """Transactions over block rows; thread-safe."""

    def intend(self, intent: Intent) -> None:
        """Commit that a block will be written; before its first object is put."""
        ...

    def prolong(self, block_ids: Sequence[str], expires_ns: int) -> None:
        """Commit that blocks are still being written; those without an intent stay as they are."""
        ...

    def publish(
        self,
        blocks: Sequence[BlockRow],
        watermarks: Sequence[Watermark],
        fence: Fence | None = None,
    ) -> None:
        """Commit blocks and watermarks in one transaction, of one tenant or of many.

        With a fence: only while the caller has the lease of the journal; else `FencedError`, and
        nothing is changed.

        May be done again when its outcome is not known: a block that was published stays as it is.
        Raises `CatalogConflictError`, and changes nothing, when the intent of a block is gone: its
        objects may be deleted, and it has to be written again under another id.
        """
        ...

    def replace(self, removed: Sequence[str], added: Sequence[BlockRow]) -> None:
        """Swap blocks in one transaction (compaction, deletes, retention).

        Raises `CatalogConflictError`, and changes nothing, when a block to remove is not visible
        or the intent of one to add is gone.
        """
        ...

    def adopt(
        self,
        blocks: Sequence[BlockRow],
        replaced: Sequence[BlockRow],
        watermarks: Sequence[Watermark],
    ) -> None:
        """Commit blocks that lie there whole: `blocks` are visible, `replaced` ones removed.

        For repairs, while nobody else writes: without intents, and a watermark never goes back.
        A block that the catalog names already makes it fail.
        """
        ...

    def abandon(self, block_ids: Sequence[str]) -> None:
        """Intents of these become removed blocks; others are left as they are."""
        ...

    def abandon_expired(self, owner: str | None = None) -> int:
        """Intents that are over become removed blocks; how many.

        With an owner: all intents of other owners too, for one who knows that there are none alive.
        """
        ...

    def intents(self) -> Sequence[Intent]:
        """Blocks that somebody is about to write, or was when it died."""
        ...

    def counts(self) -> Counts:
        """How many blocks are in each step of their life."""
        ...

    def known(self, block_ids: Sequence[str]) -> set[str]:
        """Those of the blocks that the catalog names, in whatever step of their life."""
        ...

    def blocks(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[BlockRow]:
        """Visible blocks with an entry possible in `start_ns <= ts < end_ns`."""
        ...

    def newest(self, tenant: TenantId, since_ns: int, most: int) -> Sequence[BlockRow] | None:
        """Visible blocks with an entry possible in `since_ns <= ts`; None when more than `most`."""
        ...

    def begun_within(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[BlockRow]:
        """Visible blocks whose oldest entry is in `start_ns <= ts < end_ns`, by its time."""
        ...

    def first_begun(
        self, tenant: TenantId, start_ns: int, end_ns: int, most: int
    ) -> Sequence[BlockRow]:
        """The first `most` of `begun_within`."""
        ...

    def visible(self, block_ids: Sequence[str]) -> Sequence[BlockRow]:
        """Those of the blocks that are visible, in no order."""
        ...

    def small_days(self, small: SmallBlocks) -> Sequence[SmallDay]:
        """The days on which a tenant has two or more such visible blocks.

        A look at every block in the database, of which only these sums come back.
        """
        ...

    def version(self) -> int:
        """The newest version: it grows with each transaction that changes visible blocks."""
        ...

    def changes(self, since: int) -> Changes:
        """What changed behind a version; 0 is the beginning.

        Of a swap that is committed meanwhile, both sides may be told as visible, never neither.
        """
        ...

    def watermarks(self, journal_id: str) -> dict[TenantId, int]:
        """The position up to which each tenant's records are in blocks."""
        ...

    def newest_created(self) -> int | None:
        """When the newest visible block was made, ns; None without blocks."""
        ...

    def journals(self) -> Sequence[str]:
        """Journals that have watermarks, sorted by id."""
        ...

    def note_loss(self, loss: Loss) -> bool:
        """Remember a loss; false when it was known (same journal and positions)."""
        ...

    def losses(self) -> Sequence[Loss]:
        """All that were told and not understood, oldest first."""
        ...

    def understand_losses(self) -> int:
        """The operator read of them: nothing warns of them, or tells them, any more. How many."""
        ...

    def tenants(self) -> Sequence[TenantId]:
        """Tenants that have blocks."""
        ...

    def oldest(self, limit: int) -> Sequence[BlockRow]:
        """The `limit` blocks of all tenants whose newest entries are oldest, in that order."""
        ...

    def totals(self) -> Sequence[LevelTotal]:
        """Sums over the visible blocks, by level."""
        ...

    def removed_total(self) -> RemovedTotal:
        """The sum over the blocks that were removed and not forgotten."""
        ...

    def largest_tenants(self, most: int) -> Mapping[TenantId, int]:
        """Stored bytes of the visible blocks of the tenants that have the most."""
        ...

    def removed(self, limit: int) -> Sequence[RemovedBlock]:
        """The first `limit` blocks that were removed and not forgotten, oldest removal first."""
        ...

    def forget(self, block_ids: Sequence[str]) -> None:
        """Their objects are gone: they are removed blocks no more."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...
