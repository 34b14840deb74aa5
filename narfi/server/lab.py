"""How are rules tried without a server? All its parts over a folder that is thrown away.

Nothing listens, and no thread looks after anything. Lines may be of any age. Each experiment has a
tenant of its own.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ingester.service import PushRequest
from logql.ast import LogQuery
from logql.parser import parse, parse_selector
from narfi.core.clock import MAX_TIME_NS, NS_PER_S
from narfi.core.settings import Settings
from narfi.core.tenant import TenantId
from narfi.server.wiring import Server, build
from querier.budget import Budget
from querier.query import Direction, QueryOptions
from querier.result import Answer
from querier.service import TimeRange
from ruler.asking import Asker
from ruler.rule_tests.case_file import InputStream
from ruler.rule_tests.cases import Lab

PUSH_LINES = 10_000
"""Of one push."""
MOST_LINES = 100_000
"""Of one answer."""
NO_LIMITS = {
    "reject_old_samples": False,
    "ingestion_rate_mb": 1e6,
    "ingestion_burst_size_mb": 1e6,
    "per_stream_rate_limit": "1TB",
    "per_stream_rate_limit_burst": "1TB",
    "max_global_streams_per_user": 0,
    "creation_grace_period": "100y",
    "max_entries_limit_per_query": 0,
    "max_query_length": 0,
    "max_line_size": "1MB",
}
"""A test's lines are of any time and come at once."""


class Bench:
    """A server without listeners."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._asker = Asker(server.queries.service, server.queries.running, server.limits)

    def lab(self, name: str, streams: Sequence[InputStream]) -> Lab:
        """What holds the lines of these streams and nothing else; `name` is of no other."""
        tenant = TenantId(name)
        for stream in streams:
            for first in range(0, len(stream.lines), PUSH_LINES):
                self._push(tenant, stream, first)
        return Lab(tenant=tenant, asker=self._asker)

    def push(self, tenant: str, body: bytes) -> None:
        """Take a push body as the agent sends it; raises `AppError` where any of it is refused."""
        request = PushRequest(body=body, content_type="application/x-protobuf", content_encoding="")
        self._server.pushes.push(TenantId(tenant), request)

    def query(self, tenant: str, text: str, start_ns: int, end_ns: int) -> Answer:
        """All lines of a log query with their kinds of labels, or what a metric query gives at
        the end of the range; raises `AppError`."""
        name = TenantId(tenant)
        instant = not isinstance(parse(text), LogQuery)
        options = QueryOptions(
            tenants=(name,),
            start_ns=end_ns if instant else start_ns,
            end_ns=end_ns,
            step_ns=0 if instant else NS_PER_S,
            limits=self._server.limits(name),
            limit=MOST_LINES,
            direction=Direction.FORWARD,
            categorize_labels=True,
            instant=instant,
        )
        return self._server.queries.service.query(text, options)

    def patterns(self, tenant: str) -> list[str]:
        """Texts with holes that the lines of a tenant are of, the most frequent first."""
        where = TimeRange((TenantId(tenant),), 0, MAX_TIME_NS)
        matchers = parse_selector('{service_name=~".+"}').matchers
        told = self._server.queries.service.patterns(where, matchers, MAX_TIME_NS, Budget())
        return [one.text for one in sorted(told.value, key=lambda one: -one.hits)]

    def lab_of(self, tenant: str) -> Lab:
        """What evaluates rules over what was pushed for a tenant."""
        return Lab(tenant=TenantId(tenant), asker=self._asker)

    def _push(self, tenant: TenantId, stream: InputStream, first: int) -> None:
        lines = sorted(stream.lines, key=lambda line: line.ts_ns)[first : first + PUSH_LINES]
        values = [
            [str(line.ts_ns), line.line, *([dict(line.metadata)] if line.metadata else [])]
            for line in lines
        ]
        body = json.dumps({"streams": [{"stream": dict(stream.labels), "values": values}]})
        self._server.pushes.push(
            tenant,
            PushRequest(body=body.encode(), content_type="application/json", content_encoding=""),
        )


def _silent(_text: str) -> None:
    """Nobody wants to know what the start is doing."""


@contextmanager
def bench() -> Iterator[Bench]:
    """Made and thrown away with its folder."""
    with TemporaryDirectory(prefix="narfi-rules-") as folder:
        settings = Settings(
            data_dir=Path(folder), tenancy="header", limits=dict(NO_LIMITS), overrides={}
        )
        server = build(settings)
        try:
            server.recover(_silent)
            yield Bench(server)
        finally:
            server.stop()
