"""Which label values does a matcher accept?

A missing label counts as the empty string; regexes are RE2, fully anchored with `.` matching
newlines (reference/logql.md §3).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from narfi.core.patience import check_wanted
from narfi.core.regex import compile_anchored


class MatchOp(Enum):
    """The four matcher operators, by their text."""

    EQ = "="
    NE = "!="
    RE = "=~"
    NRE = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One `name op "value"` condition on a label."""

    name: str
    op: MatchOp
    value: str

    def matches(self, value: str) -> bool:
        """Whether a label value ("" when missing) is accepted.

        A regex raises what `check_wanted` raises: there may be many values, and long ones.
        """
        if self.op is MatchOp.EQ:
            return value == self.value
        if self.op is MatchOp.NE:
            return value != self.value
        program = compile_anchored(self.value)
        check_wanted()
        try:
            found = program.search(value) is not None
        except UnicodeEncodeError:  # bytes that are no UTF-8, kept as surrogates
            found = program.search(_as_runes(value)) is not None
        return found if self.op is MatchOp.RE else not found

    def matches_empty(self) -> bool:
        """Whether a stream without the label is accepted."""
        return self.matches("")


def _as_runes(value: str) -> str:
    """The text as Go reads it: U+FFFD for each byte that is no UTF-8."""
    return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in value)


def match_all(matchers: Iterable[Matcher], labels: dict[str, str]) -> bool:
    """Whether every matcher accepts the labels."""
    return all(m.matches(labels.get(m.name, "")) for m in matchers)
