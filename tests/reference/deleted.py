"""Which entries are left when delete requests are pending, or done? Each is looked at by itself.

A request means the entries of its tenant with `start <= ts <= end` that its query gives: its
matchers hold for the labels of the stream, and no filter drops the entry (http-api §6).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from logql import ast
from narfi.core.matchers import match_all
from tests.reference.logs import Entry
from tests.reference.pipeline import run_pipeline


@dataclass(frozen=True)
class Asked:
    """A delete request."""

    query: ast.LogQuery
    start_ns: int
    end_ns: int

    def means(self, entry: Entry) -> bool:
        """Whether the request deletes the entry."""
        labels, metadata, ts, line = entry
        if not self.start_ns <= ts <= self.end_ns:
            return False
        if not match_all(self.query.selector.matchers, labels):
            return False
        return run_pipeline(labels, metadata, ts, line, self.query.stages) is not None


def left(entries: Sequence[Entry], requests: Sequence[Asked]) -> list[Entry]:
    """The entries that no request means."""
    return [entry for entry in entries if not any(asked.means(entry) for asked in requests)]
