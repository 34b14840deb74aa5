"""`--dry-run`: entries go to the standard output instead of a server; positions are not saved."""

import sys
import threading
from datetime import UTC, datetime
from typing import TextIO

from promtail_agent.client.batch import Batch

_NS_PER_S = 10**9


class Printer:
    """Prints each batch: time, labels, metadata, line."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out if out is not None else sys.stdout
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Nothing has to be begun."""

    def put(self, batch: Batch, _stop: threading.Event) -> bool:
        """Print it."""
        for tenant, streams in batch.tenants.items():
            for labels, entries in streams.streams.items():
                for ts_ns, line, metadata in entries:
                    stamp = datetime.fromtimestamp(ts_ns // _NS_PER_S, UTC)
                    shown = [f"{stamp:%Y-%m-%dT%H:%M:%S}.{ts_ns % _NS_PER_S:09d}Z", labels]
                    shown += [f"tenant={tenant}"] if tenant else []
                    shown += [f"{name}={value}" for name, value in metadata]
                    print(*shown, line.decode("utf-8", "replace"), sep="\t", file=self._out)
        self._out.flush()
        return True

    def finish(self, _within_s: float) -> None:
        """Everything was printed."""
