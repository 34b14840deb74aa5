"""How long, how big? Go durations (`1m30s`) and byte sizes (`256kb`) as configs write them.

Durations become seconds (float), sizes become bytes (int). Source: reference/agent.md §2, §5.
"""

import re
from typing import Annotated

from pydantic import BeforeValidator

from narfi.core.errors import AppError
from narfi.core.units import parse_prometheus_duration

_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?i?b?)", re.IGNORECASE)
_SIZE_FACTOR = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_duration_s(text: str) -> float:
    """Seconds of a Go duration; raises `ValueError` with Go's text."""
    body = text.strip()
    if body == "0":
        return 0.0
    total, at = 0.0, 0
    while at < len(body):
        part = _PART.match(body, at)
        if part is None:
            break
        total += float(part[1]) * _UNIT_S[part[2]]
        at = part.end()
    if at == 0 or at < len(body):
        raise ValueError(f'time: invalid duration "{text}" (write for example 250ms, 10s, 1m30s)')
    return total


def parse_size_bytes(text: str) -> int:
    """Bytes of `1024`, `256kb`, `2M`; factors of 1024; raises `ValueError`."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'invalid size "{text}" (write for example 1024, 256kb, 2MB)')
    unit = match[2].lower().rstrip("b").rstrip("i")
    return int(float(match[1]) * _SIZE_FACTOR[unit])


def _duration(value: object) -> object:
    if isinstance(value, str):
        return parse_duration_s(value)
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return 0.0
    if isinstance(value, float) and value >= 0:  # a default, in seconds
        return value
    raise ValueError(f'invalid duration "{value}" (write for example 250ms, 10s, 1m30s)')


def _interval(value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_prometheus_duration(value) / 1e9
        except AppError:
            return parse_duration_s(value)
    return _duration(value)


def _size(value: object) -> object:
    return parse_size_bytes(value) if isinstance(value, str) else value


Duration = Annotated[float, BeforeValidator(_duration)]
"""Seconds, written as a Go duration."""

Interval = Annotated[float, BeforeValidator(_interval)]
"""Seconds, written as Prometheus' service discovery does: `1d`, `2w` too."""

ByteSize = Annotated[int, BeforeValidator(_size)]
"""Bytes, written as a number with an optional unit."""
