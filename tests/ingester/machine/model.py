"""What must a query find, given what was asked for and answered? A dictionary and four states.

HERE     acknowledged, neither deleted nor expired: there exactly once
UNSURE   refused, or told as lost: there or not
DOOMED   deleted or expired, and upkeep is at it: there or not, and once away never again
GONE     never seen again, unless somebody sends it again

Whatever its state, an entry that a pending delete request means is hidden: not seen, and back at
once when the request is cancelled, unless it was removed meanwhile.
"""

import copy
import enum
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from narfi.core.tenant import TenantId


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry that a client sent; its line is its name."""

    tenant: TenantId
    app: str
    ts: int  # ns
    line: bytes


class State(enum.Enum):
    """What is promised of an entry."""

    HERE = "here"
    UNSURE = "unsure"
    DOOMED = "doomed"
    GONE = "gone"


@dataclass(slots=True, kw_only=True)
class Model:
    """Every entry that was ever sent; the records that hold it."""

    entries: dict[bytes, Entry] = field(default_factory=dict)
    states: dict[bytes, State] = field(default_factory=dict)  # none: sent, and never seen
    records: dict[int, set[bytes]] = field(default_factory=dict)  # position: acknowledged lines
    holders: dict[bytes, set[int]] = field(default_factory=dict)  # records since it was last gone
    lost: set[int] = field(default_factory=set)  # positions that were told as missing
    refused: set[bytes] = field(default_factory=set)  # a start may find them in the journal
    matched: dict[str, set[bytes]] = field(default_factory=dict)  # by id of a delete request
    settled: set[str] = field(default_factory=set)  # requests that are told as done

    def copy(self) -> "Model":
        """As it is now."""
        return copy.deepcopy(self)

    def sent(self, entries: Sequence[Entry]) -> None:
        """A push begins: nobody knows how it ends."""
        for entry in entries:
            self.entries[entry.line] = entry
            self.refused.add(entry.line)
            if self.states.get(entry.line) in (State.GONE, State.DOOMED):
                self.states[entry.line] = State.UNSURE

    def acknowledged(self, entries: Sequence[Entry], position: int) -> None:
        """The push was answered."""
        lines = {entry.line for entry in entries}
        self.refused -= lines
        self.records[position] = lines
        for line in lines:
            self.states[line] = State.HERE
            self.holders.setdefault(line, set()).add(position)

    def told_lost(self, positions: Iterable[int]) -> None:
        """These records are missing, and the server said so."""
        self.lost.update(positions)
        for line, held in self.holders.items():
            if held <= self.lost and self.states.get(line) is State.HERE:
                self.states[line] = State.UNSURE

    def seen(self) -> set[bytes]:
        """Lines that are there, or may be, and were there once."""
        return {line for line, state in self.states.items() if state is not State.GONE}

    def doom(self, lines: Collection[bytes]) -> None:
        """Upkeep may remove these now."""
        for line in lines:
            if self.states.get(line) in (State.HERE, State.UNSURE):
                self.states[line] = State.DOOMED

    def away(self, lines: Collection[bytes]) -> None:
        """The server says that they are removed."""
        for line in lines:
            self.states[line] = State.UNSURE if line in self.refused else State.GONE
            self.holders.pop(line, None)

    def may_return(self, lines: Collection[bytes]) -> None:
        """Of a catalog that was made anew: what was removed lately may be there again."""
        for line in lines:
            if self.states.get(line) is State.GONE:
                self.states[line] = State.DOOMED

    def started(self, found: dict[TenantId, Counter[bytes]], hidden: Collection[bytes]) -> None:
        """A process replayed the journal: a refused record was in it, or never will be.

        Of those that are hidden nobody knows yet.
        """
        for tenant, lines in found.items():
            self.check(tenant, lines, hidden)
        self.refused.intersection_update(hidden)

    def check(
        self, tenant: TenantId, found: Counter[bytes], hidden: Collection[bytes] = ()
    ) -> None:
        """Everything as promised; what a query found is remembered."""
        mine = {line for line, entry in self.entries.items() if entry.tenant == tenant}
        strange = set(found) - mine
        assert not strange, f"{len(strange)} lines that nobody sent: {sorted(strange)[:3]}"
        twice = sorted(line for line, count in found.items() if count > 1)
        assert not twice, f"{len(twice)} lines are there twice: {twice[:3]}"
        shown = sorted(line for line in found if line in hidden)
        assert not shown, f"{len(shown)} lines that a delete request means are seen: {shown[:3]}"
        mine -= set(hidden)
        missing = [b for b in mine if self.states.get(b) is State.HERE and b not in found]
        assert not missing, f"{len(missing)} lines are missing: {sorted(missing)[:3]}"
        back = [line for line in found if self.states.get(line) is State.GONE]
        assert not back, f"{len(back)} removed lines are back: {sorted(back)[:3]}"
        for line in found:
            self.states.setdefault(line, State.UNSURE)
        gone = [b for b in mine if self.states.get(b) is State.DOOMED and b not in found]
        self.away(gone)
