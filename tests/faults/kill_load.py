"""What was pushed while servers were killed, and is it there? Lines that tell where they belong.

Each line of a round, pusher, batch and place is known, so what is expected needs no memory: of
each batch only whether it was acknowledged.
"""

import collections
import http.client
import json
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field

from narfi.core.wire.push_encode import encode_push

PUSHERS = 3
LINES = 6
"""Of a batch."""
FAST_BATCHES, PAUSE_S = 12, 0.05
"""So many at once, then one after each pause: upkeep must keep up with servers that live short."""
DAY_S = 86_400
ROUNDS_A_DAY = 10
"""Compaction merges blocks of a day: a few rounds each, not all of them again and again."""
BASE_NS = (1_795_510_800 - 200 * DAY_S) * 10**9
END_NS = BASE_NS + 190 * DAY_S * 10**9
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
ANSWER_S = 60


@dataclass(slots=True)
class Pushed:
    """The batches of one pusher in one round, by number."""

    round_number: int
    pusher: int
    acknowledged: list[int] = field(default_factory=list)
    uncertain: list[int] = field(default_factory=list)  # refused, or nobody answered
    asked: set[int] = field(default_factory=set)  # to be deleted, ever
    gone: set[int] = field(default_factory=set)  # deleted: acknowledged, and not cancelled
    unsure: set[int] = field(default_factory=set)  # nobody can say whether they are deleted

    def settle(self, batch: int, *, gone: bool) -> None:
        """An answer says whether a batch is deleted."""
        (self.gone.add if gone else self.gone.discard)(batch)
        self.unsure.discard(batch)

    def entries(self, batch: int) -> list[tuple[int, str]]:
        """(timestamp, line) of each line of a batch."""
        day, hour = divmod(self.round_number, ROUNDS_A_DAY)
        first = BASE_NS + (day * DAY_S + hour * 3600) * 10**9 + batch * 1000
        name = f"round={self.round_number} pusher={self.pusher} batch={batch}"
        return [(first + k, f"{name} line={k} {'x' * (40 + batch % 50)}") for k in range(LINES)]

    def body(self, batch: int) -> bytes:
        """A push: the lines of a batch; now and then also those of a stream that expires."""
        entries = [(ts, line.encode(), ()) for ts, line in self.entries(batch)]
        labels = f'app="kill", round="{self.round_number}", pusher="{self.pusher}"'
        streams = [(f'{{{labels}, kind="kept"}}', entries)]
        if batch % 4 == 0:
            streams.append((f'{{{labels}, kind="old"}}', entries))
        return encode_push(streams)

    def least(self) -> int:
        """Lines that must be there."""
        return len(set(self.acknowledged) - self.gone - self.unsure) * LINES

    def most(self) -> int:
        """Lines that may be there."""
        return len({*self.acknowledged, *self.uncertain} - self.gone) * LINES


class Pusher(threading.Thread):
    """Pushes batches over one connection until the server is gone."""

    def __init__(self, http_port: int, pushed: Pushed) -> None:
        super().__init__()
        self._port, self.pushed = http_port, pushed

    def run(self) -> None:
        """Until nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_S)
        batch = 0
        while True:
            try:
                connection.request("POST", "/loki/api/v1/push", self.pushed.body(batch), HEADERS)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                self.pushed.uncertain.append(batch)
                connection.close()
                return
            good = answer.status == http.client.NO_CONTENT
            (self.pushed.acknowledged if good else self.pushed.uncertain).append(batch)
            batch += 1
            if batch > FAST_BATCHES:
                time.sleep(PAUSE_S)


def get(http_port: int, path: str, **parameters: object) -> bytes:
    """The body of an answer, which must be 200."""
    connection = http.client.HTTPConnection("127.0.0.1", http_port, timeout=ANSWER_S)
    try:
        connection.request("GET", f"{path}?{urllib.parse.urlencode(parameters)}")
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    assert answer.status == 200, f"{path} {parameters} answers {answer.status}: {body.decode()}"
    return body


def counted(http_port: int, selector: str) -> dict[tuple[int, int], int]:
    """Lines by (round, pusher), as LogQL counts them."""
    query = f"sum by (round, pusher) (count_over_time({selector}[200d]))"
    body = get(http_port, "/loki/api/v1/query", query=query, time=END_NS)
    return {
        (int(one["metric"]["round"]), int(one["metric"]["pusher"])): int(one["value"][1])
        for one in json.loads(body)["data"]["result"]
    }


def wrong_counts(http_port: int, pushed: list[Pushed]) -> list[str]:
    """What LogQL counts too few or too many of these; nothing when all is well."""
    if not pushed:
        return []
    rounds = "|".join(sorted({str(one.round_number) for one in pushed}))
    found = counted(http_port, f'{{app="kill", kind="kept", round=~"{rounds}"}}')
    return [
        f"round {one.round_number} pusher {one.pusher}: {count} lines, "
        f"not {one.least()} to {one.most()}"
        for one in pushed
        if not one.least() <= (count := found.get((one.round_number, one.pusher), 0)) <= one.most()
    ]


@dataclass(slots=True)
class Comparison:
    """Every line that is there against every line that was pushed."""

    found: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)  # nobody pushed them
    back: list[str] = field(default_factory=list)  # they were deleted


def compare(http_port: int, pushed: list[Pushed]) -> Comparison:
    """Read all lines, one pusher of one round at a time."""
    result = Comparison()
    for one in pushed:
        there = _lines(http_port, one)
        result.found += sum(there.values())
        certain = set(one.acknowledged) - one.gone - one.unsure
        must = {entry for batch in certain for entry in one.entries(batch)}
        may = {e for batch in {*one.uncertain, *one.unsure} for e in one.entries(batch)}
        gone = {entry for batch in one.gone for entry in one.entries(batch)}
        result.lost += [line for _, line in sorted(must - set(there))]
        result.twice += [line for (_, line), count in there.items() if count > 1]
        result.strange += [line for _, line in sorted(set(there) - must - may - gone)]
        result.back += [line for _, line in sorted(set(there) & gone)]
    return result


def _lines(http_port: int, one: Pushed) -> collections.Counter[tuple[int, str]]:
    selector = f'{{app="kill", kind="kept", round="{one.round_number}", pusher="{one.pusher}"}}'
    body = get(
        http_port,
        "/loki/api/v1/query_range",
        query=selector,
        start=BASE_NS,
        end=END_NS,
        limit=10_000_000,
        direction="forward",
    )
    streams = json.loads(body)["data"]["result"]
    return collections.Counter((int(ts), line) for s in streams for ts, line in s["values"])


def wait_until_ready(http_port: int, check_alive: Callable[[], None]) -> None:
    """Return when the server answers; `check_alive` raises when it never will."""
    deadline = time.monotonic() + 180
    while True:
        try:
            get(http_port, "/ready")
        except (OSError, http.client.HTTPException, AssertionError):
            assert time.monotonic() < deadline, "not ready in time"
        else:
            return
        check_alive()
        time.sleep(0.005)
