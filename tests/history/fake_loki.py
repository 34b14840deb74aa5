"""A source in memory that answers as Loki does, slowly and obviously; tests make it fail."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from logql.parser import parse_selector
from narfi.history.loki.asking import Asker
from narfi.history.pace import Pace
from narfi.history.patience import Patience

Entry = tuple[dict[str, str], int, str, dict[str, str]]
"""Labels, ns, line, metadata."""
_FILTER = re.compile(r' (\|=|!=) ("(?:[^"\\]|\\.)*")')


@dataclass
class FakeLoki:
    """Entries in the order of their arrival, by tenant."""

    tenants: dict[str, list[Entry]]
    most_entries: int = 5000
    token: str = ""
    categorizes: bool = True
    fault: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.asked.append(request)
        failed = self.fault(request)
        if failed is not None:
            return failed
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return httpx.Response(401, text="no such token")
        entries = self.tenants.get(request.headers.get("X-Scope-OrgID", ""), [])
        given = dict(request.url.params)
        match request.url.path.rpartition("/")[2]:
            case "labels":
                found = _between(entries, given)
                return _good(sorted({name for labels, *_ in found for name in labels}))
            case "series":
                found = _selected(_between(entries, given), given["match[]"])
                unique = {json.dumps(labels, sort_keys=True) for labels, *_ in found}
                return _good([json.loads(text) for text in sorted(unique)])
            case "query_range":
                return self._logs(entries, given)
        return httpx.Response(404, text="404 page not found\n")

    def _logs(self, entries: list[Entry], given: dict[str, str]) -> httpx.Response:
        limit = int(given["limit"])
        if limit > self.most_entries:
            told = "max entries limit per query exceeded, limit > max_entries_limit_per_query"
            return httpx.Response(400, text=f"{told} ({limit} > {self.most_entries})")
        assert given["direction"] == "forward"
        found = _selected(_between(entries, given), given["query"])
        found = sorted(found, key=lambda entry: entry[1])[:limit]
        streams: dict[str, Any] = {}
        for labels, ts_ns, line, metadata in found:
            shown = labels if self.categorizes else {**labels, **metadata}
            stream = streams.setdefault(
                json.dumps(shown, sort_keys=True), {"stream": shown, "values": []}
            )
            value: list[Any] = [str(ts_ns), line]
            if self.categorizes:
                value.append({"structuredMetadata": metadata} if metadata else {})
            stream["values"].append(value)
        data: dict[str, Any] = {"resultType": "streams", "result": list(streams.values())}
        if self.categorizes:
            data["encodingFlags"] = ["categorize-labels"]
        return _good(data)

    def client(self) -> httpx.Client:
        """A client whose every request is answered here."""
        return httpx.Client(transport=httpx.MockTransport(self))

    def asker(self, tenant: str = "t", waits: list[float] | None = None) -> Asker:
        """Asks this source; waits are not waited but noted."""
        clock = [0.0]

        def sleep(seconds: float) -> None:
            clock[0] += seconds
            if waits is not None:
                waits.append(seconds)

        patience = Patience(600, lambda _: None, lambda: clock[0], sleep)
        return Asker(self.client(), "http://source", tenant, patience, pace=Pace(0))


def _good(data: Any) -> httpx.Response:
    return httpx.Response(200, json={"status": "success", "data": data})


def _between(entries: list[Entry], given: dict[str, str]) -> list[Entry]:
    return [entry for entry in entries if int(given["start"]) <= entry[1] < int(given["end"])]


def _selected(entries: list[Entry], query: str) -> list[Entry]:
    selector, _, _ = query.partition("}")
    filters = [(kind, json.loads(text)) for kind, text in _FILTER.findall(query[len(selector) :])]
    matchers = parse_selector(selector + "}").matchers
    return [
        entry
        for entry in entries
        if all(_matches(m.op.value, m.value, entry[0].get(m.name, "")) for m in matchers)
        and all((text in entry[2]) == (kind == "|=") for kind, text in filters)
    ]


def _matches(op: str, wanted: str, value: str) -> bool:
    match op:
        case "=":
            return value == wanted
        case "!=":
            return value != wanted
        case "=~":
            return re.fullmatch(wanted, value) is not None
    return re.fullmatch(wanted, value) is None
