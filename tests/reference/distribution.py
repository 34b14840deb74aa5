"""How are numbers distributed? One by one, from what the page promises."""

import re
from collections.abc import Callable, Sequence

from narfi.core.errors import AppError
from narfi.core.units import parse_bytes, parse_float, parse_go_duration

_READ: dict[str, Callable[[str], float]] = {
    "number": lambda text: parse_float(text),
    "duration": lambda text: parse_go_duration(text) / 1_000_000,
    "bytes": lambda text: float(parse_bytes(text)),
}


def numbers(texts: Sequence[str]) -> dict[str, list[float]]:
    """Those of each kind: the first that a text can be."""
    found: dict[str, list[float]] = {}
    for text in texts:
        for kind, read in _READ.items() if text else ():
            try:
                value = read(text)
            except AppError:
                continue
            if not re.search("inf|nan", str(value)):
                found.setdefault(kind, []).append(value)
            break
    return found


def quantile(values: Sequence[float], q: float) -> float:
    """Between the two neighbours."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    below = ordered[int(place)]
    above = ordered[min(int(place) + 1, len(ordered) - 1)]
    return below + (above - below) * (place - int(place))
