"""Logs of three services in the last hour, the same each time, and what a slow look says of it."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.served import Api

HOUR_NS = 3600 * 10**9
APPS = ("api", "payments", "worker")


@dataclass(frozen=True)
class Line:
    """One line and what it holds."""

    app: str
    ts_ns: int
    text: str
    level: str
    status: int
    duration_ms: int


@dataclass(frozen=True)
class Seeded:
    """All lines of a tenant, oldest first."""

    lines: Sequence[Line]
    start_ns: int
    end_ns: int

    def where(self, keep: Callable[[Line], bool]) -> list[Line]:
        """Those that a filter keeps."""
        return [line for line in self.lines if keep(line)]

    def counts(self, of: str, keep: Callable[[Line], bool] = lambda _: True) -> dict[str, int]:
        """How many lines have each value."""
        return dict(Counter(str(getattr(line, of)) for line in self.where(keep)))

    @property
    def range(self) -> dict[str, str]:
        """Of the address."""
        return {"from": str(self.start_ns), "to": str(self.end_ns)}


def seed(api: Api, count: int = 1_500) -> Seeded:
    """Push them; errors stand together at two thirds of the time."""
    random_ = random.Random(18)
    end = time.time_ns() // 10**9 * 10**9
    start = end - HOUR_NS
    lines = []
    for n in range(count):
        ts = start + (n * HOUR_NS) // count + random_.randrange(1_000_000)
        app = random_.choices(APPS, (3, 2, 1))[0]
        is_bad = 0.62 < n / count < 0.7 and random_.random() < 0.7
        level = "error" if is_bad else random_.choices(("info", "debug", "warn"), (8, 2, 1))[0]
        status = random_.choice((500, 503)) if is_bad else random_.choice((200, 200, 201, 404))
        duration = random_.randrange(1, 900) * (5 if is_bad else 1)
        message = "upstream timeout" if is_bad else "request done"
        fields = {"level": level, "msg": message, "status": status, "duration_ms": duration, "n": n}
        lines.append(Line(app, ts, json.dumps(fields), level, status, duration))
    _push(api, lines)
    return Seeded(lines, start, end)


def _push(api: Api, lines: Sequence[Line]) -> None:
    streams = [
        {
            "stream": {"app": app, "env": "prod"},
            "values": [[str(one.ts_ns), one.text] for one in lines if one.app == app],
        }
        for app in APPS
    ]
    body = json.dumps({"streams": streams}).encode()
    answer = api.send("POST", "/loki/api/v1/push", body, {"Content-Type": "application/json"})
    assert answer.status == 204, answer.text
