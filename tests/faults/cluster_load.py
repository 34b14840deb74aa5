"""Who pushes to a cluster and asks it while it is torn apart? Threads that never believe an answer.

A querier may refuse a question, or give an answer that warns; one that does neither must hold all
that was acknowledged before it was asked, each line once.
"""

import collections
import http.client
import json
import random
import threading
import time
import urllib.parse
from collections.abc import Callable, Sequence

from tests.faults.cluster_ledger import LINES, Found, Ledger, Wanted

HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
PUSH_S = 8.0
"""Patience of a client: an ingester answers with 503 within five seconds."""
ASK_S = 120.0
PAUSE_S = 0.08
"""Of a pusher, after each batch, and before another try."""
GIVE_UP = 0.1
"""Part of failed tries after which a batch is given up."""
MANY = 400
"""Batches of a question, at most."""

PortOf = Callable[[str], int | None]
"""The HTTP port of a process by its name; None when there is none."""


def exchange(
    port: int, method: str, path: str, body: bytes | None = None, *, timeout_s: float
) -> tuple[int, bytes]:
    """Status and body; status 0 when there was no answer, or half of one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, body, HEADERS if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error).encode()
    finally:
        connection.close()


class Pusher(threading.Thread):
    """Pushes batches, one after another, until it is stopped."""

    def __init__(
        self, ledger: Ledger, number: int, names: Sequence[str], port_of: PortOf, seed: int
    ) -> None:
        super().__init__(name=f"pusher {number}")
        self._ledger, self._number, self._names, self._port_of = ledger, number, names, port_of
        self._chance = random.Random(seed)
        self.stopping = threading.Event()
        self.answers: collections.Counter[int] = collections.Counter()
        self.given_up = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        """Until it is stopped."""
        while not self.stopping.is_set():
            batch = self._ledger.begin(self._number)
            body = self._ledger.body(self._number, batch)
            while not self._pushed(body):
                if self.stopping.is_set() or self._chance.random() < GIVE_UP:
                    self.given_up += 1
                    break
                time.sleep(PAUSE_S)
            else:
                self._ledger.acknowledge(self._number, batch)
            time.sleep(PAUSE_S)

    def _pushed(self, body: bytes) -> bool:
        port = self._port_of(self._chance.choice(self._names))
        if port is None:
            return False
        status, text = exchange(port, "POST", "/loki/api/v1/push", body, timeout_s=PUSH_S)
        self.answers[status] += 1
        if status not in (0, 204, 429, 503):
            self.wrong.append(f"a push is answered {status}: {text.decode(errors='replace')}")
        return status == 204


class Checker(threading.Thread):
    """Asks one querier again and again, for what was pushed just now or long ago."""

    def __init__(self, ledger: Ledger, pushers: int, name: str, port_of: PortOf, seed: int) -> None:
        super().__init__(name=f"checker of {name}")
        self._ledger, self._pushers, self._name, self._port_of = ledger, pushers, name, port_of
        self._chance = random.Random(seed)
        self.stopping = threading.Event()
        self.answers: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        """Until it is stopped, or something is wrong."""
        while not self.stopping.is_set() and not self.wrong:
            port = self._port_of(self._name)
            pusher = self._chance.randrange(self._pushers)
            newest = self._ledger.begun(pusher)
            if port is None or not newest:
                time.sleep(PAUSE_S)
                continue
            first = max(0, newest - MANY) if self._chance.random() < 0.6 else 0
            first = self._chance.randint(first, newest - 1)
            wanted = self._ledger.wanted(pusher, range(first, min(first + MANY, newest)))
            ask = self._lines if self._chance.random() < 0.6 else self._count
            try:
                told = ask(port, wanted)
            except AssertionError as error:
                told = [str(error)]
            self.wrong += [
                f"{time.time():.3f} {self._name} {wanted.batches}: {one}" for one in told
            ]
            time.sleep(PAUSE_S)

    def _lines(self, port: int, wanted: Wanted) -> list[str]:
        return lines_wrong(self._ledger, port, wanted, self.answers)

    def _count(self, port: int, wanted: Wanted) -> list[str]:
        """How many there are, as a metric query says."""
        start_ns, end_ns = self._ledger.span(wanted.batches)
        # a window is left open: the first of its instants is not in it
        window_ms, at_ns = (end_ns - start_ns) // 10**6, end_ns - 1
        query = f'sum(count_over_time({{app="kill", pusher="{wanted.pusher}"}}[{window_ms}ms]))'
        parameters = urllib.parse.urlencode({"query": query, "time": at_ns})
        status, body = exchange(port, "GET", f"/loki/api/v1/query?{parameters}", timeout_s=ASK_S)
        if not self._whole(status, body):
            return []
        samples = json.loads(body)["data"]["result"]
        count = int(samples[0]["value"][1]) if samples else 0
        least = LINES * len(wanted.certain)
        begun = self._ledger.begun(wanted.pusher)
        most = LINES * len([batch for batch in wanted.batches if batch < begun])
        return [] if least <= count <= most else [f"{count} lines counted, not {least} to {most}"]

    def _whole(self, status: int, body: bytes) -> bool:
        return whole(status, body, self.answers)


def whole(status: int, body: bytes, answers: collections.Counter[str]) -> bool:
    """Whether an answer claims to be whole; the others say that they are not."""
    assert status in (0, 200, 429, 503, 504), f"{status}: {body.decode(errors='replace')}"
    if status != 200:
        answers[f"status {status}"] += 1
        return False
    if json.loads(body).get("warnings"):
        answers["with a warning"] += 1
        return False
    answers["whole"] += 1
    return True


def lines_wrong(
    ledger: Ledger, port: int, wanted: Wanted, answers: collections.Counter[str]
) -> list[str]:
    """What is wrong with all lines of these batches, as a querier gives them."""
    start_ns, end_ns = ledger.span(wanted.batches)
    parameters = urllib.parse.urlencode(
        {
            "query": f'{{app="kill", pusher="{wanted.pusher}"}}',
            "start": start_ns,
            "end": end_ns,
            "limit": 10_000_000,
            "direction": "forward",
        }
    )
    status, body = exchange(port, "GET", f"/loki/api/v1/query_range?{parameters}", timeout_s=ASK_S)
    if not whole(status, body, answers):
        return []
    streams = json.loads(body)["data"]["result"]
    found: Found = collections.Counter(
        (int(ts), line) for stream in streams for ts, line in stream["values"]
    )
    return ledger.faults(wanted, found)
