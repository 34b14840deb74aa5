"""Is everything at the target that was at the source? Entries and bytes by stream and time window.

Both sides count themselves (`count_over_time`, `bytes_over_time`), and the import has its own
counts of what was acknowledged. Windows are the tally's, cut at the ends of the import.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from logql.parser import parse_selector
from narfi.core.labels import labels_text, quote
from narfi.core.units import NS
from narfi.history.loki.asking import API, Asker, TooManySeriesError
from narfi.history.loki.listing import label_names, series
from narfi.history.loki.selectors import exact_selector, narrowed
from narfi.history.state import State

SERVICE_NAME = "service_name"
_FUNCTIONS = ("count_over_time", "bytes_over_time")

Cell = tuple[int, int]
"""Entries, bytes of lines."""
NOTHING: Cell = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A server and the selectors by which it is asked, together without overlap."""

    name: str
    asker: Asker
    selectors: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A stream and a window in which a side has other counts than the import."""

    side: str
    tenant: str
    labels: str
    start_ns: int
    end_ns: int
    expected: Cell
    found: Cell


@dataclass(slots=True, kw_only=True)
class Verified:
    """What was compared."""

    windows: int = 0
    entries: int = 0
    line_bytes: int = 0
    differences: int = 0
    others: set[tuple[str, str]] = field(default_factory=set)
    """Tenant and labels of streams of the target that the import has nothing of."""

    def own(self, found: Iterable[Difference], streams: Collection[str]) -> list[Difference]:
        """Differences of streams that were imported; the others are only remembered."""
        mine: list[Difference] = []
        for one in found:
            if one.labels in streams:
                mine.append(one)
            else:
                self.others.add((one.tenant, one.labels))
        return mine

    def add(self, cells: Iterable[Cell], differences: int) -> None:
        """One window more."""
        self.windows += 1
        self.differences += differences
        for entries, size in cells:
            self.entries += entries
            self.line_bytes += size


def windows(start_ns: int, end_ns: int, window_ns: int) -> Iterator[tuple[int, int, int]]:
    """(number, first ns, ns after the last) of each window."""
    for number in range(start_ns // window_ns, -(-end_ns // window_ns)):
        yield number, max(start_ns, number * window_ns), min(end_ns, (number + 1) * window_ns)


class Expected:
    """The counts of the import for one tenant of the target."""

    def __init__(self, state: State, tenant: str, window_ns: int) -> None:
        self.delivered: dict[int, dict[str, Cell]] = {}
        self.read: dict[int, dict[str, Cell]] = {}
        """Delivered or refused: what the source had."""
        self.streams: set[str] = set()
        """All that anything was imported of."""
        for whose, labels, window, entries, size in state.counts():
            if whose == tenant and entries:
                self.streams.add(labels)
                self.delivered.setdefault(window, {})[labels] = (entries, size)
                self.read.setdefault(window, {})[labels] = (entries, size)
        for one in state.refused():
            if one.tenant == tenant and one.labels:
                cells = self.read.setdefault(one.entry[0] // window_ns, {})
                entries, size = cells.get(one.labels, NOTHING)
                cells[one.labels] = (entries + 1, size + len(one.entry[1]))

    def of(self, window: int, *, refused_too: bool) -> dict[str, Cell]:
        """By stream."""
        return (self.read if refused_too else self.delivered).get(window, {})


def differences(
    side: Side, expected: Mapping[str, Cell], tenant: str, span: tuple[int, int]
) -> list[Difference]:
    """What a side has other than was expected in a window; every stream of the selectors counts."""
    start_ns, end_ns = span
    found: dict[str, Cell] = {}
    for selector in side.selectors:
        counted = counts_there(side.asker, selector, start_ns, end_ns)
        for labels, cell in counted.items():
            key = labels_text(sorted(labels))
            if key not in expected:  # where it had none the target names the service
                less = labels_text(sorted(p for p in labels if p[0] != SERVICE_NAME))
                key = less if less in expected else key
            before = found.get(key, NOTHING)
            found[key] = (before[0] + cell[0], before[1] + cell[1])
    return [
        Difference(
            side=side.name,
            tenant=tenant,
            labels=labels,
            start_ns=start_ns,
            end_ns=end_ns,
            expected=expected.get(labels, NOTHING),
            found=found.get(labels, NOTHING),
        )
        for labels in sorted({*expected, *found})
        if expected.get(labels, NOTHING) != found.get(labels, NOTHING)
    ]


def selectors_of(streams: Iterable[str]) -> list[str]:
    """Selectors without overlap of streams by their text, and of others beside them."""
    values: dict[str, set[str]] = {}
    found = [parse_selector(text).matchers for text in streams]
    for matchers in found:
        for one in matchers:
            values.setdefault(one.name, set()).add(one.value)
    common = [n for n in sorted(values) if all(any(m.name == n for m in one) for one in found)]
    if not common:
        return [exact_selector({m.name: m.value for m in one}, list(values)) for one in found]
    name = min(common, key=lambda one: len(values[one]))
    return [f"{{{name}={quote(value)}}}" for value in sorted(values[name])]


def counts_there(
    asker: Asker, selector: str, start_ns: int, end_ns: int
) -> dict[tuple[tuple[str, str], ...], Cell]:
    """Entries and bytes of each stream in `[start_ns, end_ns)`, as a server counts them.

    The window has whole milliseconds: LogQL has no shorter range.
    """
    names = [name for name in label_names(asker, start_ns, end_ns) if _selectable(name)]
    if not names:
        return {}
    columns = [
        _counted(asker, function, selector, sorted(names), (start_ns, end_ns))
        for function in _FUNCTIONS
    ]
    entries, sizes = columns
    return {key: (count, sizes.get(key, 0)) for key, count in entries.items()}


def _counted(
    asker: Asker, function: str, selector: str, names: Sequence[str], span: tuple[int, int]
) -> dict[tuple[tuple[str, str], ...], int]:
    start_ns, end_ns = span
    by = ", ".join(names)
    query = f"sum by ({by}) ({function}({selector}[{(end_ns - start_ns) // NS['ms']}ms]))"
    # a range ends with its time and begins after its first one
    try:
        data = asker.get(f"{API}/query", [("query", query), ("time", str(end_ns - 1))])
    except TooManySeriesError:
        found: dict[tuple[tuple[str, str], ...], int] = {}
        for part in _in_parts(asker, selector, span):
            found |= _counted(asker, function, part, names, span)
        return found
    return {
        tuple(sorted(sample["metric"].items())): int(float(sample["value"][1]))
        for sample in data["result"]
    }


def _in_parts(asker: Asker, selector: str, span: tuple[int, int]) -> Iterable[str]:
    """Selectors of fewer streams: one for each value of the label that has the most."""
    values: dict[str, set[str]] = {}
    for labels in series(asker, selector, *span):
        for name, value in labels.items():
            values.setdefault(name, set()).add(value)
    name = max(sorted(values), key=lambda one: len(values[one]))
    if len(values[name]) < 2:
        raise TooManySeriesError(f"the server does not count the streams of {selector}")
    for value in ["", *sorted(values[name])]:
        yield narrowed(selector, [f"{name}={quote(value)}"])


def _selectable(name: str) -> bool:
    return name.isascii() and name.replace("_", "a").isalnum()
