"""Four real programs that log as such programs do: JSON, logfmt, access lines, stack traces.

`python programs.py api|worker|gateway|orders COUNT` writes COUNT lines to stdout, a little apart.
"""

import json
import random
import sys
import time

STATUSES = (200, 200, 200, 200, 201, 404, 500)


def api(r: random.Random, number: int) -> str:
    """A JSON line of a web service."""
    status = r.choice(STATUSES)
    level = "error" if status >= 500 else "info"
    return json.dumps(
        {
            "level": level,
            "msg": "request served",
            "method": r.choice(("GET", "POST")),
            "path": f"/api/v1/users/{r.randrange(1000)}",
            "status": status,
            "duration_ms": round(r.expovariate(1 / 30), 2),
            "n": number,
        }
    )


def worker(r: random.Random, number: int) -> str:
    """A logfmt line of a job runner."""
    level = r.choice(("info", "info", "info", "warn", "error"))
    queue = r.choice(("mail", "image"))
    return f'level={level} msg="job done" queue={queue} dur={r.randrange(900)}ms n={number}'


def gateway(r: random.Random, number: int) -> str:
    """An access line."""
    return (
        f"10.0.{r.randrange(256)}.{r.randrange(256)} - - [24/Nov/2026:09:00:00 +0000] "
        f'"GET /item/{number} HTTP/1.1" {r.choice(STATUSES)} {r.randrange(9000)}'
    )


def orders(r: random.Random, number: int) -> str:
    """A Java-like line; every tenth order fails with a long message, which CRI cuts in parts."""
    if number % 10:
        return f"INFO  [exec-{r.randrange(8)}] c.e.OrderService - Order {number} processed"
    trace = " ".join(f"at c.e.Stock.call{k}(Stock.java:{k})" for k in range(40))
    return f"ERROR [exec-{r.randrange(8)}] c.e.OrderService - Order {number} failed: {trace}"


PROGRAMS = {"api": api, "worker": worker, "gateway": gateway, "orders": orders}


def main() -> None:
    """Write the lines of one program."""
    make, count = PROGRAMS[sys.argv[1]], int(sys.argv[2])
    r = random.Random(sys.argv[1])
    for number in range(count):
        print(make(r, number), flush=True)
        if number % 10 == 0:
            time.sleep(0.15)


if __name__ == "__main__":
    main()
