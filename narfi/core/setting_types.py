"""How are durations, sizes and lists of names written in a configuration?

Durations are texts such as `5m`, sizes such as `256KB` (powers of 1024), lists `a, b`.
"""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from narfi.core.errors import AppError
from narfi.core.units import parse_go_duration, parse_prometheus_duration

_POWERS = {"K": 10, "M": 20, "G": 30, "T": 40}
_SIZES = {"B": 1} | {
    f"{letter}{unit}": 2**power for letter, power in _POWERS.items() for unit in ("B", "IB")
}


def duration_of(value: object) -> object:
    """Nanoseconds of a text such as `5m`, or 0; what is no text as it is. Raises `ValueError`."""
    if isinstance(value, str):
        for parse in (parse_prometheus_duration, parse_go_duration):
            try:
                return parse(value)
            except AppError:
                continue
        raise ValueError("not a duration; write for instance 30s, 5m or 1h")
    if isinstance(value, int | float) and value and not isinstance(value, bool):
        raise ValueError("a duration needs its unit; write for instance 30s, 5m or 1h")
    return value


def size_of(value: object) -> object:
    """Bytes of a text such as `64MB`; anything else as it is. Raises `ValueError`."""
    if isinstance(value, str):
        digits = value.rstrip("BKMGTIbkmgti ")
        unit = value[len(digits) :].strip().upper() or "B"
        if digits.replace(".", "", 1).isdigit() and unit in _SIZES:
            return int(float(digits) * _SIZES[unit])
        raise ValueError("not a size; write for instance 512KB or 64MB")
    return value


def _min_free(value: object) -> object:
    text = str(value)
    min_free_bytes(text, 0)
    return text


def min_free_bytes(text: str, disk_bytes: int) -> int:
    """What a setting such as `512MB,5%` means on a disk: the smallest of its parts, in bytes."""
    parts: list[int] = []
    for part in text.split(","):
        share = part.strip().removesuffix("%")
        if share == part.strip():
            size = size_of(share)
            assert isinstance(size, int)
            parts.append(size)
        elif share.replace(".", "", 1).isdigit() and float(share) < 100:
            parts.append(int(disk_bytes * float(share) / 100))
        else:
            raise ValueError("not a share of a disk; write for instance 5%")
    return min(parts)


def names_of(value: object) -> object:
    """The names of a text such as `a, b`; anything else as it is."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


DurationNs = Annotated[int, BeforeValidator(duration_of)]
"""Nanoseconds, written as a duration."""

FreeDisk = Annotated[str, BeforeValidator(_min_free)]
"""Free space: sizes or shares of the disk, of which the smallest counts (`min_free_bytes`)."""

ByteSize = Annotated[int, BeforeValidator(size_of), Field(ge=0)]
"""Bytes, written as a size."""


def _without_password(url: str) -> str:
    """A URL as it may be shown: password, and what stands behind `?`, are left out."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    user, at, place = rest.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{place}" if rest else scheme


def _hidden(text: str) -> str:
    return "********" if text else ""


SECRET = "secret"
"""The kind of a problem of which the value that was found is not told."""

Secret = Annotated[str, PlainSerializer(_hidden, when_used="json")]
"""A text that nobody is shown."""

SecretUrl = Annotated[str, PlainSerializer(_without_password, when_used="json")]
"""A URL in which a password may be."""


class SettingsModel(BaseModel):
    """Base of all sections: frozen, unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
