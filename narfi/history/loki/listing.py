"""Which labels and streams has a long time? Asked in spans that the source allows, and united."""

from typing import Any

import orjson

from narfi.history.loki.asking import API, Asker, Parameters, TooLargeError

_LONGEST_NS = 30 * 24 * 3600 * 10**9  # Loki allows 721 h by default
_SHORTEST_NS = 10**9


def label_names(asker: Asker, start_ns: int, end_ns: int) -> list[str]:
    """Names of labels, sorted."""
    return sorted(_listed(asker, f"{API}/labels", (), (start_ns, end_ns)))


def series(asker: Asker, selector: str, start_ns: int, end_ns: int) -> list[dict[str, str]]:
    """Labels of the streams of a selector; some may have nothing in that time."""
    return _listed(asker, f"{API}/series", [("match[]", selector)], (start_ns, end_ns))


def _listed(asker: Asker, path: str, parameters: Parameters, span: tuple[int, int]) -> list[Any]:
    found: dict[bytes, Any] = {}
    at_ns, end_ns = span
    longest_ns = _LONGEST_NS
    while at_ns < end_ns:
        until_ns = min(end_ns, at_ns + longest_ns)
        times = [("start", str(at_ns)), ("end", str(until_ns))]
        try:
            listed = asker.get(path, [*parameters, *times]) or []
        except TooLargeError:
            longest_ns = (until_ns - at_ns) // 2
            if longest_ns < _SHORTEST_NS:
                raise
            continue
        for one in listed:
            found[orjson.dumps(one, option=orjson.OPT_SORT_KEYS)] = one
        at_ns = until_ns
    return list(found.values())
