"""`--dry-run`: entries go to the standard output instead of a server; positions are not saved."""

import json
import sys
import threading
from datetime import UTC, datetime
from typing import TextIO

from narfi.core.wire.push_encode import PushEntry
from promtail_agent.client.batch import Batch

FORMS = ("text", "jsonl")
"""What `--output` may be; the first is the default."""
_NS_PER_S = 10**9


class Printer:
    """Prints each entry: time, labels, metadata, line; with a batch an entry, in their order."""

    def __init__(self, form: str = FORMS[0], out: TextIO | None = None) -> None:
        self._show = _json if form == "jsonl" else _text
        self._out = out if out is not None else sys.stdout
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Nothing has to be begun."""

    def put(self, batch: Batch, _stop: threading.Event) -> bool:
        """Print it."""
        for tenant, streams in batch.tenants.items():
            for labels, entries in streams.streams.items():
                for entry in entries:
                    print(self._show(tenant, labels, entry), file=self._out)
        self._out.flush()
        return True

    def finish(self, _within_s: float) -> None:
        """Everything was printed."""


def _time(ts_ns: int) -> str:
    stamp = datetime.fromtimestamp(ts_ns // _NS_PER_S, UTC)
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{ts_ns % _NS_PER_S:09d}Z"


def _text(tenant: str, labels: str, entry: PushEntry) -> str:
    ts_ns, line, metadata = entry
    shown = [_time(ts_ns), labels]
    shown += [f"tenant={tenant}"] if tenant else []
    shown += [f"{name}={value}" for name, value in metadata]
    return "\t".join([*shown, line.decode("utf-8", "replace")])


def _json(tenant: str, labels: str, entry: PushEntry) -> str:
    from logql.parser import parse_selector  # its grammar takes time: only when it is needed

    ts_ns, line, metadata = entry
    shown: dict[str, object] = {
        "time": _time(ts_ns),
        "labels": {m.name: m.value for m in parse_selector(labels).matchers},
        "metadata": dict(metadata),
        "line": line.decode("utf-8", "replace"),
    }
    if tenant:
        shown["tenant"] = tenant
    return json.dumps(shown, ensure_ascii=False)
