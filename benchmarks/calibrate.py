"""How fast is this machine against the one on which the peers were measured?

Five loads of one thread, each the best of several rounds; the factor is the geometric mean of the
quotients. 1.3: this machine needs 1.3 times as long, so a peer's 100 ms there are 130 ms here.
`python -m benchmarks.calibrate` prints it; `make bench` measures it before it starts a server.
"""

import json
import math
import time
import zlib
from collections.abc import Callable, Mapping

REFERENCE_S = {"loop": 0.137, "search": 0.0695, "inflate": 0.0665, "sort": 0.213, "json": 0.130}
"""Seconds of each load on the reference machine."""

ROUNDS = 5
LINE = b"ts=1 level=info msg=request path=/api/v1/users status=200 "


def _interpreter() -> Callable[[], object]:
    """Three million rounds of arithmetic in Python."""

    def work() -> int:
        total = 0
        for number in range(3_000_000):
            total += number & 7
        return total

    return work


def _search() -> Callable[[], object]:
    """A word that 174 MB of lines do not hold."""
    text = LINE * 3_000_000
    return lambda: text.find(b"level=error")


def _inflate() -> Callable[[], object]:
    """41 MB out of zlib: a megabyte of counting bytes, then lines."""
    plain = bytes(range(256)) * 4000 + (LINE * (40_000_000 // len(LINE) + 1))[:40_000_000]
    packed = zlib.compress(plain, 1)
    return lambda: zlib.decompress(packed)


def _sort() -> Callable[[], object]:
    """A million integers in disorder."""
    numbers = [(number * 2654435761) % 1_000_003 for number in range(1_000_000)]
    return lambda: sorted(numbers)


def _json() -> Callable[[], object]:
    """A document of 60,000 objects."""
    rows = [{"a": k, "b": [k, str(k)], "c": {"d": k / 3}} for k in range(60_000)]
    text = json.dumps(rows)
    return lambda: json.loads(text)


LOADS: Mapping[str, Callable[[], Callable[[], object]]] = {
    "loop": _interpreter,
    "search": _search,
    "inflate": _inflate,
    "sort": _sort,
    "json": _json,
}


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """The best seconds of each load."""
    best = {}
    for name, prepare in LOADS.items():
        work, times = prepare(), []
        for _ in range(rounds):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        best[name] = min(times)
    return best


def factor(seconds: Mapping[str, float]) -> float:
    """The geometric mean of measured over reference seconds."""
    return math.prod(seconds[name] / REFERENCE_S[name] for name in REFERENCE_S) ** (
        1 / len(REFERENCE_S)
    )


if __name__ == "__main__":
    found = measure()
    print("  ".join(f"{name} {seconds:.4f} s" for name, seconds in found.items()))
    print(f"factor {factor(found):.2f}")
