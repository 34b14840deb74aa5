"""How do pages go out as OTLP? One request a body, a resource for each stream."""

from typing import Any

import orjson

from logql.parser import parse_selector
from narfi.core.wire.otlp_members import resource_of, scope_and_record
from narfi.core.wire.push_encode import PushEntry
from narfi.history.page import Streams


def export_request(streams: Streams) -> bytes:
    """An `ExportLogsServiceRequest` as OTLP/JSON; bytes that are no text become U+FFFD."""
    found = [
        {"resource": resource_of(_labels(labels)), "scopeLogs": _scopes(entries)}
        for labels, entries in streams.items()
    ]
    return orjson.dumps({"resourceLogs": found})


def _labels(text: str) -> list[tuple[str, str]]:
    matchers = parse_selector(text, allow_empty_matchers=True).matchers
    return [(one.name, one.value) for one in matchers]


def _scopes(entries: list[PushEntry]) -> list[dict[str, Any]]:
    """Records by scope, in the order of the first of each."""
    scopes: dict[tuple[tuple[str, str], ...], list[dict[str, Any]]] = {}
    for ts_ns, line, metadata in entries:
        scope, record = scope_and_record(metadata)
        record["timeUnixNano"] = str(ts_ns)
        record["body"] = {"stringValue": line.decode("utf-8", "replace")}
        scopes.setdefault(tuple(scope.items()), []).append(record)
    return [{"scope": dict(scope), "logRecords": records} for scope, records in scopes.items()]
