"""What should an answer say about damaged blocks that it was computed without?

A warning for each block that could have had entries for it, or, where the operator wants whole
answers only, an error. So for journals of ingesters that neither answer nor can be read.
Invariant: an answer without a warning of a block needed nothing of it.
"""

from collections.abc import Sequence
from enum import StrEnum

from narfi.core.clock import rfc3339
from narfi.core.errors import AppError, ErrorKind
from narfi.core.matchers import Matcher
from querier.result import Shortfall
from storage.scan import LeftOut

MAX_TOLD = 20
"""Blocks that are told one by one; of the others only how many."""
RETRY_AFTER_S = 60


class Partial(StrEnum):
    """What becomes of a question that a damaged block is left out of."""

    WARN = "warn"
    REFUSE = "refuse"


class PartialAnswerError(AppError):
    """The answer would not be whole (503): it may be when the block is repaired."""

    kind = ErrorKind.UNAVAILABLE
    retry_after_s = RETRY_AFTER_S


class LeftOutBlocks:
    """The blocks that the views of one request are without; used by one thread."""

    def __init__(self, partial: Partial) -> None:
        self._partial = partial
        self._found: dict[str, LeftOut] = {}
        self._unread: dict[str, None] = {}  # each text once, in order

    def note(
        self, blocks: Sequence[LeftOut], matchers: Sequence[Matcher], time_range: tuple[int, int]
    ) -> None:
        """A view of these matchers and `[start, end)` ns is without these blocks.

        Raises `PartialAnswerError` where answers have to be whole.
        """
        for block in blocks:
            if not _may_have(block, matchers, time_range):
                continue
            if self._partial is Partial.REFUSE:
                raise PartialAnswerError(
                    f"{_told(block)}; partial answers are refused (querier.partial is "
                    f"{self._partial}): repair the block (narfi verify tells how), or set "
                    f"querier.partial: {Partial.WARN}"
                )
            self._found[block.block_id] = block

    def note_unread(self, texts: Sequence[str]) -> None:
        """A view is without what these say; raises as `note`."""
        if texts and self._partial is Partial.REFUSE:
            raise PartialAnswerError(
                f"{texts[0]}; partial answers are refused (querier.partial is {self._partial})"
            )
        self._unread.update(dict.fromkeys(texts))

    def warnings(self) -> list[str]:
        """A text for each journal and block; blocks by their oldest entries."""
        return [*self._unread, *self._of_blocks()]

    def _of_blocks(self) -> list[str]:
        found = sorted(self._found.values(), key=lambda block: (block.min_ts, block.block_id))
        texts: list[str] = [
            Shortfall(f"{_told(one)}; see narfi verify", one.min_ts, one.max_ts, one.rows)
            for one in found[:MAX_TOLD]
        ]
        more = found[MAX_TOLD:]
        if more:
            rows = sum(block.rows for block in more)
            first_ns, last_ns = more[0].min_ts, max(block.max_ts for block in more)
            text = (
                f"{len(more)} more damaged blocks were left out, which held {rows:,} entries from "
                f"{rfc3339(first_ns)} to {rfc3339(last_ns)}"
            )
            texts.append(Shortfall(text, first_ns, last_ns, rows))
        return texts


def _may_have(block: LeftOut, matchers: Sequence[Matcher], time_range: tuple[int, int]) -> bool:
    """Whether the block may have entries of the matchers in the range."""
    start_ns, end_ns = time_range
    if block.max_ts < start_ns or block.min_ts >= end_ns:
        return False
    table = block.table
    if table is None:
        return True
    within = (table.last_ts >= start_ns) & (table.first_ts < end_ns)
    return bool((table.select(matchers) & within).any())


def _told(block: LeftOut) -> str:
    return (
        f"block {block.block_id} is damaged and was left out: of its {block.rows:,} entries from "
        f"{rfc3339(block.min_ts)} to {rfc3339(block.max_ts)} none is in this answer"
    )
