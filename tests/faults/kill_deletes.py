"""What was asked to be deleted while servers were killed, and what must be seen of it?

A request names one batch. What is known of it follows from the answers: acknowledged and not
cancelled, its lines are gone for ever; cancelled, they are all there; else nobody can say.
"""

import http.client
import itertools
import json
import random
import threading
import time
import urllib.parse
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.faults.kill_load import ANSWER_S, END_NS, LINES, Pushed

PATH = "/loki/api/v1/delete"
QUERY = "/loki/api/v1/query"
FAST, PAUSE_S = 4, 1.0
"""So many requests at once, then one after each pause: upkeep must keep up."""
CANCELLED = 0.3
"""Of the requests."""
LATE_S = 0.4
"""A cancel comes that late at most; the cancel period is half of it."""


class Deleter(threading.Thread):
    """Asks for deletions over one connection until the server is gone, and looks what is seen."""

    def __init__(self, http_port: int, pushed: Sequence[Pushed], chance: random.Random) -> None:
        super().__init__()
        self._port, self._pushed, self._chance = http_port, pushed, chance
        self.wrong: list[str] = []  # that was seen right after an answer
        self.requests = self.cancels = self.too_late = 0  # that were answered so

    def run(self) -> None:
        """Until nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_S)
        try:
            for number in itertools.count(1):
                self._one(connection)
                time.sleep(0.05 if number < FAST else PAUSE_S)
        except (OSError, http.client.HTTPException):
            connection.close()

    def _one(self, connection: http.client.HTTPConnection) -> None:
        """A request, which may be cancelled."""
        found = self._chosen()
        if found is None:
            return
        one, batch = found
        one.unsure.add(batch)
        status, request_id, _ = _ask(connection, "POST", PATH, **_request(one, batch))
        if status != http.client.NO_CONTENT:
            return
        one.settle(batch, gone=True)
        self.requests += 1
        self._look(connection, one, batch, 0)
        if self._chance.random() < CANCELLED:
            self._cancel(connection, one, batch, request_id)

    def _chosen(self) -> tuple[Pushed, int] | None:
        """An acknowledged batch that nobody asked for, half of the time of this round."""
        some = self._pushed[-3:] if self._chance.random() < 0.5 else self._pushed
        one = self._chance.choice(some)
        left = [batch for batch in list(one.acknowledged) if batch not in one.asked]
        if not left:
            return None
        batch = self._chance.choice(left)
        one.asked.add(batch)
        return one, batch

    def _cancel(
        self, connection: http.client.HTTPConnection, one: Pushed, batch: int, request_id: str
    ) -> None:
        if self._chance.random() < 0.5:
            time.sleep(self._chance.uniform(0, LATE_S))
        one.gone.discard(batch)
        one.unsure.add(batch)
        status, _, body = _ask(connection, "DELETE", PATH, request_id=request_id)
        if status == http.client.NO_CONTENT:
            one.settle(batch, gone=False)
            self.cancels += 1
            self._look(connection, one, batch, LINES)
        elif status == http.client.BAD_REQUEST and b"in process or already processed" in body:
            one.settle(batch, gone=True)
            self.too_late += 1
            self._look(connection, one, batch, 0)
        elif status < http.client.INTERNAL_SERVER_ERROR:
            self.wrong.append(f"the cancel of {request_id} answers {status}: {body.decode()}")

    def _look(
        self, connection: http.client.HTTPConnection, one: Pushed, batch: int, lines: int
    ) -> None:
        """What is seen of a batch right after an answer."""
        query = f"sum(count_over_time({_selector(one, batch)}[200d]))"
        status, _, body = _ask(connection, "GET", QUERY, query=query, time=str(END_NS))
        if status != http.client.OK:
            return
        result = json.loads(body)["data"]["result"]
        seen = int(result[0]["value"][1]) if result else 0
        if seen != lines:
            where = f"round {one.round_number} pusher {one.pusher} batch {batch}"
            self.wrong.append(f"{where}: {seen} lines right after the answer, not {lines}")


def pending(http_port: int) -> int:
    """Requests that are not done."""
    connection = http.client.HTTPConnection("127.0.0.1", http_port, timeout=ANSWER_S)
    status, _, body = _ask(connection, "GET", PATH)
    connection.close()
    assert status == http.client.OK, body
    return sum(one["status"] != "processed" for one in json.loads(body))


def _selector(one: Pushed, batch: int) -> str:
    labels = f'app="kill", kind="kept", round="{one.round_number}", pusher="{one.pusher}"'
    return f'{{{labels}}} |= "batch={batch} line="'


def _request(one: Pushed, batch: int) -> dict[str, str]:
    """A request for the lines of a batch, over the second in which its round's lines lie."""
    (first_ns, _), *_ = one.entries(batch)
    at = datetime.fromtimestamp(first_ns // 10**9, UTC)
    start, end = (f"{at:%Y-%m-%dT%H:%M:%S}{fraction}Z" for fraction in ("", ".9"))
    return {"query": _selector(one, batch), "start": start, "end": end}


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, **parameters: str
) -> tuple[int, str, bytes]:
    """(status, id of a new request, body)."""
    connection.request(method, f"{path}?{urllib.parse.urlencode(parameters)}")
    answer = connection.getresponse()
    body = answer.read()
    return answer.status, answer.getheader("X-Delete-Request-ID") or "", body
