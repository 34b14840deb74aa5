"""A target in memory: what pushes left in it, equal entries once, and answers to order."""

from collections.abc import Callable

from narfi.core.wire.gen.push_pb2 import PushRequest
from promtail_agent.client.transport import Answer

Stored = tuple[str, str, int, bytes, tuple[tuple[str, str], ...]]
"""Tenant, labels, ns, line, metadata."""


class FakeTarget:
    """`refuses`: entries that are answered with 400 though the others of the push are kept."""

    host = "target"

    def __init__(self, refuses: Callable[[bytes], bool] = lambda _: False) -> None:
        self.stored: set[Stored] = set()
        self.order: list[Stored] = []
        self.answers: list[Answer] = []  # given first, without taking anything
        self.pushes = 0
        self._refuses = refuses

    def push(self, tenant: str, body: bytes) -> Answer:
        """Keep what is not refused."""
        self.pushes += 1
        if self.answers:
            return self.answers.pop(0)
        refused = False
        for stream in PushRequest.FromString(body).streams:
            for entry in stream.entries:
                line = entry.line.encode()
                if self._refuses(line):
                    refused = True
                    continue
                ts_ns = entry.timestamp.seconds * 10**9 + entry.timestamp.nanos
                metadata = tuple((pair.name, pair.value) for pair in entry.structuredMetadata)
                one = (tenant, stream.labels, ts_ns, line, metadata)
                if one not in self.stored:
                    self.stored.add(one)
                    self.order.append(one)
        return Answer(400, "no such line") if refused else Answer(204)

    def close(self) -> None:
        """Nothing is held."""
