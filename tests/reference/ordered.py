"""In which order does a client see all entries of a log query? Sorted one by one."""

from collections.abc import Sequence
from dataclasses import dataclass

from logql import ast
from narfi.core.labels import Labels
from narfi.core.matchers import match_all
from tests.reference.engine import distinct
from tests.reference.logs import Entry
from tests.reference.pipeline import run_pipeline


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry of an answer; `order`: how many of its stream and time arrived before it."""

    ts: int
    labels: tuple[tuple[str, str], ...]
    line: bytes
    order: int


def shown_in_order(query: ast.LogQuery, entries: Sequence[Entry], *, backward: bool) -> list[Shown]:
    """Entries in the order of their arrival become those of an answer."""
    found: list[tuple[int, int, int, Shown]] = []
    arrived: dict[tuple[int, Labels], int] = {}
    for labels, metadata, ts, line in distinct(entries):
        if not match_all(query.selector.matchers, labels):
            continue
        stream = Labels.of(labels)
        order = arrived.get((ts, stream), 0)
        arrived[ts, stream] = order + 1
        row = run_pipeline(labels, metadata, ts, line, query.stages)
        if row is not None:
            shown = Shown(ts, tuple(sorted(row.labels().items())), row.line, order)
            found.append((ts, stream.fingerprint(), order, shown))
    found.sort(key=lambda one: one[:3], reverse=backward)
    return [shown for *_, shown in found]
