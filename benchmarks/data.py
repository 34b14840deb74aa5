"""Which logs are measured? Seeded mixed logs of 20 applications, as push bodies of about 1 MB.

JSON of an API, logfmt of workers, nginx access lines and Java-like text with stack traces, over 200
streams and one hour, in order of time. Bodies are encoded beforehand, so that making them is not
part of any measurement.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from narfi.core.wire.push_encode import encode_push

SEED = 20261124
STREAMS_PER_APP = 10
SPAN_NS = 3600 * 10**9
BODY_BYTES = 1_000_000
APPS = {
    "json": ("api", "checkout", "payments", "search", "users"),
    "logfmt": ("worker", "mailer", "indexer", "scheduler", "billing"),
    "nginx": ("gateway", "cdn", "assets", "ingress", "proxy"),
    "java": ("orders", "inventory", "catalog", "shipping", "ledger"),
}
LEVELS = ("info",) * 14 + ("debug",) * 3 + ("warn",) * 2 + ("error",)
METHODS = ("GET", "GET", "GET", "POST", "PUT", "DELETE")
ROUTES = ("users", "orders", "items", "carts", "sessions", "reports", "invoices", "search")
STATUSES = (200,) * 30 + (201, 204, 301, 304, 304, 400, 401, 403, 404, 404, 500, 502, 503)
SYSTEMS = ("X11; Linux x86_64", "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X")
BROWSER = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0 Safari/537.36"
AGENTS = (
    *(BROWSER.format(system, version) for system in SYSTEMS for version in (118, 121, 124, 126)),
    "curl/8.5.0",
    "kube-probe/1.29",
    "Go-http-client/2.0",
)
MESSAGES = (
    "request served",
    "cache miss, asking upstream",
    "retrying after timeout",
    "user logged in",
    "payment authorised",
    "index refreshed",
)
CLASSES = ("OrderService", "StockKeeper", "PriceEngine", "ShipmentPlanner", "LedgerWriter")


def _json(r: random.Random, ts_ns: int) -> str:
    return json.dumps(
        {
            "ts": ts_ns // 1_000_000,
            "level": r.choice(LEVELS),
            "msg": r.choice(MESSAGES),
            "method": r.choice(METHODS),
            "path": f"/api/v1/{r.choice(ROUTES)}/{r.randrange(100_000)}",
            "status": r.choice(STATUSES),
            "duration_ms": round(r.expovariate(1 / 40), 2),
            "bytes": r.randrange(200, 90_000),
            "trace_id": f"{r.getrandbits(128):032x}",
            "user": {"id": r.randrange(50_000), "region": r.choice(("eu", "us", "ap"))},
        },
        separators=(",", ":"),
    )


def _logfmt(r: random.Random, ts_ns: int) -> str:
    return (
        f"ts={ts_ns // 1_000_000} level={r.choice(LEVELS)} component=pool-{r.randrange(12)} "
        f'msg="{r.choice(MESSAGES)}" job={r.randrange(10**6)} '
        f"queue={r.choice(('mail', 'bill', 'img'))} "
        f"dur={r.randrange(1, 4000)}ms attempts={r.randrange(1, 4)} "
        f"size={r.randrange(100, 90_000)}B span={r.getrandbits(64):016x}"
    )


def _nginx(r: random.Random, ts_ns: int) -> str:
    seconds = ts_ns // 10**9 % 3600
    return (
        f"10.{r.randrange(256)}.{r.randrange(256)}.{r.randrange(256)} - - "
        f"[24/Nov/2026:09:{seconds // 60:02d}:{seconds % 60:02d} +0000] "
        f'"{r.choice(METHODS)} /{r.choice(ROUTES)}/{r.randrange(9999)}'
        f'?page={r.randrange(40)} HTTP/1.1" '
        f"{r.choice(STATUSES)} {r.randrange(80, 120_000)} "
        f'"https://shop.example/{r.choice(ROUTES)}" '
        f'"{r.choice(AGENTS)}" {r.expovariate(8):.3f}'
    )


def _java(r: random.Random, ts_ns: int) -> str:
    seconds = ts_ns // 10**9 % 3600
    stamp = f"2026-11-24 09:{seconds // 60:02d}:{seconds % 60:02d},{ts_ns // 10**6 % 1000:03d}"
    name, thread = r.choice(CLASSES), r.randrange(40)
    head = f"[http-nio-8080-exec-{thread}] com.example.shop.{name}"
    if r.random() < 0.01:
        frames = "".join(
            f"\n\tat com.example.shop.{r.choice(CLASSES)}.call{r.randrange(30)}"
            f"({name}.java:{r.randrange(900)})"
            for _ in range(12)
        )
        return (
            f"{stamp} ERROR {head} - Unhandled error in order {r.randrange(10**7)}\n"
            f"java.lang.IllegalStateException: stock below zero{frames}"
        )
    level = r.choice(LEVELS).upper().ljust(5)
    return (
        f"{stamp} {level} {head} - Order {r.randrange(10**7)} of customer {r.randrange(10**5)} "
        f"processed in {r.randrange(900)} ms, total {r.random() * 400:.2f} EUR, "
        f"correlation {r.getrandbits(64):016x}"
    )


_MAKERS = {"json": _json, "logfmt": _logfmt, "nginx": _nginx, "java": _java}


def kinds() -> dict[str, Callable[[random.Random, int], str]]:
    """What makes a line of each kind, given a time in ns."""
    return dict(_MAKERS)


def streams() -> list[tuple[str, str]]:
    """(label text, kind) of every stream."""
    found = []
    for kind, apps in APPS.items():
        for app in apps:
            for number in range(STREAMS_PER_APP):
                namespace = "prod" if number < 7 else "staging"
                text = (
                    f'{{app="{app}", container="{app}", env="{namespace}", kind="{kind}", '
                    f'namespace="{namespace}", pod="{app}-{number:02d}"}}'
                )
                found.append((text, kind))
    return found


def bodies(total_bytes: int, end_ns: int) -> Iterator[tuple[bytes, int, int]]:
    """(push body, line bytes, lines) in order of time, ending at `end_ns`."""
    r = random.Random(SEED)
    chosen = streams()
    mean = 215
    rows = total_bytes // mean
    step = SPAN_NS // max(rows, 1)
    ts = end_ns - SPAN_NS
    pending: dict[int, list[tuple[int, bytes, tuple[()]]]] = {}
    size = lines = done = 0
    weights = [1.0 + 3.0 * (number % STREAMS_PER_APP == 0) for number in range(len(chosen))]
    while done < total_bytes:
        for number in r.choices(range(len(chosen)), weights, k=2000):
            ts += step
            line = _MAKERS[chosen[number][1]](r, ts).encode()
            pending.setdefault(number, []).append((ts, line, ()))
            size += len(line)
            lines += 1
            if size >= BODY_BYTES:
                yield encode_push((chosen[n][0], e) for n, e in pending.items()), size, lines
                done += size
                pending, size, lines = {}, 0, 0
    if pending:
        yield encode_push((chosen[n][0], e) for n, e in pending.items()), size, lines


def prepare(folder: Path, total_bytes: int, end_ns: int) -> Path:
    """Bodies on disk, made once per size and end; returns their folder."""
    target = folder / f"bodies-{total_bytes}-{end_ns}"
    index = target / "index.json"
    if index.exists():
        return target
    target.mkdir(parents=True, exist_ok=True)
    content = []
    for number, (body, size, lines) in enumerate(bodies(total_bytes, end_ns)):
        (target / f"{number:05d}.body").write_bytes(body)
        content.append({"bytes": size, "lines": lines})
    index.write_text(json.dumps({"end_ns": end_ns, "bodies": content}))
    return target


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=int, default=364)
    parser.add_argument("--end-ns", type=int, required=True)
    given = parser.parse_args()
    print(prepare(given.folder, given.megabytes * 10**6, given.end_ns))
