"""What did a query cost? logcli's names, a table on stderr (reference/logcli.md §3)."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from narfi.core.units import format_go_duration

_LEFT_OUT = ("Store", "Chunk")
"""Sections that have no place in a name; that of caches, which is one of them, has."""
_SECTIONS = ("ingester", "querier", "cache", "summary")
"""Others come behind them."""
_SPELLED = {
    "Ingester.PostFilterLines": "Ingester.PostFilterLInes",
    "Querier.PostFilterLines": "Querier.PostFilterLInes",
    "Summary.TotalPostFilterLines": "Summary.PostFilterLines",
}
"""As logcli writes them, where it has them otherwise."""
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def print_stats(stats: Mapping[str, Any]) -> None:
    """A name and a value a line, in columns."""
    ordered = {name: stats[name] for name in (*_SECTIONS, *stats) if name in stats}
    rows = list(_rows(ordered, ()))
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        print(f"{name:<{width}}  {value}", file=sys.stderr)


def _rows(stats: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name, value in stats.items():
        title = name[:1].upper() + name[1:]
        if title == "Dataobj" and not any(value.values()):
            continue
        if isinstance(value, Mapping):
            hidden = title in _LEFT_OUT and path[:1] != ("Cache",)
            yield from _rows(value, path if hidden else (*path, title))
        else:
            told = ".".join((*path, title))
            yield _SPELLED.get(told, told), _shown(title, value)


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int | float):
        return str(value)
    if name.endswith("Time"):
        # the summary has seconds as a fraction, the other parts have nanoseconds
        seconds = isinstance(value, float) or name in ("ExecTime", "QueueTime")
        return format_go_duration(round(value * 1e9) if seconds else int(value))
    if "Bytes" in name:
        return _bytes(int(value))
    return str(value)


def _bytes(size: int) -> str:
    """Powers of 1000, one decimal below ten: `1.2 kB`."""
    value, units = float(size), iter(_UNITS)
    unit = next(units)
    while value >= 1000 and (larger := next(units, "")):
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if value < 9.95 and unit != "B" else f"{value:.0f} {unit}"
