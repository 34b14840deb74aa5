"""How are more entries fetched than one answer holds? Page by page over the last instant (§3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from narfi.cli.client import Connection
from narfi.cli.flags import TimeSpan, UsageError
from narfi.cli.output import EntryPrinter, print_json, text_of
from narfi.cli.plan import print_plan
from narfi.cli.statistics import print_stats

Entry = tuple[int, str, str, dict[str, str]]
"""Time in ns, labels as text, line, labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pager:
    """Pages through log answers; a metric answer is printed at once."""

    connection: Connection
    logql: str
    forward: bool
    extra: Sequence[tuple[str, str]] = ()
    stats: bool = False
    explain: bool = False

    def run(self, printer: EntryPrinter, span: TimeSpan, limit: int, batch: int) -> int:
        """Ask until the limit is reached or nothing is left; the entries that were printed."""
        printed = 0
        seen: set[tuple[int, str, str]] = set()
        while limit == 0 or printed < limit:
            left = limit - printed if limit else batch
            data = self._page(span, min(batch, left + len(seen)))
            if self.stats:
                print_stats(data.get("stats", {}))
            if self.explain:
                print_plan(data.get("explain", {}))
            if data["resultType"] != "streams":
                print_json(data["result"])
                return printed
            entries = self._entries(data)
            fresh = [entry for entry in entries if entry[:3] not in seen]
            fresh = fresh[:left] if limit else fresh
            if not fresh:
                return printed
            printer.announce([stream["stream"] for stream in data["result"]])
            for ts, _, line, labels in fresh:
                printer.entry(ts, labels, line)
            printed += len(fresh)
            last = fresh[-1][0]
            seen = {entry[:3] for entry in entries if entry[0] == last}
            if len(seen) >= batch and (limit == 0 or printed < limit):
                raise UsageError(_too_small(batch, len(seen)))
            if self.forward:
                span = TimeSpan(last, span.end_ns)
            else:
                span = TimeSpan(span.start_ns, last + 1)
        return printed

    def _entries(self, data: Any) -> list[Entry]:
        found = [
            (int(ts), text_of(stream["stream"]), line, stream["stream"])
            for stream in data["result"]
            for ts, line, *_ in stream["values"]
        ]
        return sorted(found, key=lambda entry: entry[0], reverse=not self.forward)

    def _page(self, span: TimeSpan, limit: int) -> Any:
        params = [
            ("query", self.logql),
            ("limit", str(limit)),
            ("start", str(span.start_ns)),
            ("end", str(span.end_ns)),
            ("direction", "FORWARD" if self.forward else "BACKWARD"),
            *self.extra,
            *([("explain", "true")] if self.explain else []),
        ]
        return self.connection.get("/loki/api/v1/query_range", params)["data"]


def _too_small(batch: int, overlap: int) -> str:
    return (
        f"Invalid batch size {batch}, the next query will have {overlap} overlapping entries "
        "(an overlap of 1 is allowed but more may be slower). Please increase your batch size to "
        f"at least {overlap + 1}"
    )
