"""What does a query request ask for? Parameters, Loki's defaults, order and texts (§0.3, §0.4)."""

import math
import re  # our own pattern over a short text
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from narfi.core.clock import MAX_TIME_NS, MIN_TIME_NS, NS_PER_MS, NS_PER_S, within_time
from narfi.core.errors import AppError, InvalidRequestError
from narfi.core.labels import quote
from narfi.core.units import parse_float, parse_int, parse_prometheus_duration
from querier.query import Direction

DEFAULT_LIMIT = 100
DEFAULT_SINCE_NS = 3600 * NS_PER_S
MAX_POINTS = 11_000
MAX_LIMIT = 2**32 - 1
SECONDS_CHARACTERS = 10
"""Longer integers are nanoseconds."""
CATEGORIZE = "categorize-labels"
FLAGS_HEADER = "x-loki-response-encoding-flags"
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.,]([0-9]+))?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})"
)


class ParameterError(InvalidRequestError):
    """A parameter that cannot be used."""


class Parameters:
    """Values by name; of several the first counts."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def get(self, name: str) -> str:
        """The first value, or the empty text."""
        return self._values.get(name, [""])[0]

    def all(self, *names: str) -> list[str]:
        """Every value of the names."""
        return [value for name in names for value in self._values.get(name, [])]


@dataclass(frozen=True, slots=True)
class Bounds:
    """A time range in ns."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeParameters:
    """A range query."""

    query: str
    bounds: Bounds
    limit: int
    direction: Direction
    step_ns: int
    interval_ns: int
    explain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InstantParameters:
    """An instant query."""

    query: str
    time_ns: int
    limit: int
    direction: Direction
    explain: bool


def parse_range(parameters: Parameters, now_ns: int) -> RangeParameters:
    """Checked in the order in which the recorded server checks."""
    bounds = parse_bounds(parameters, now_ns)
    limit = parse_limit(parameters)
    direction = parse_direction(parameters)
    step_ns = parse_step(parameters, bounds)
    interval_ns = parse_interval(parameters)
    if interval_ns < 0:
        raise ParameterError("interval must be >= 0")
    explain = parse_explain(parameters)
    query = parameters.get("query")
    return RangeParameters(
        query=query,
        bounds=bounds,
        limit=limit,
        direction=direction,
        step_ns=step_ns,
        interval_ns=interval_ns,
        explain=explain,
    )


def _check_positive(step_ns: int) -> None:
    if step_ns <= 0:
        message = (
            "zero or negative query resolution step widths are not accepted. Try a positive integer"
        )
        raise ParameterError(message)


def _check_points(step_ns: int, bounds: Bounds) -> None:
    if (bounds.end_ns - bounds.start_ns) // step_ns > MAX_POINTS:
        message = (
            "exceeded maximum resolution of 11,000 points per time series. Try increasing the "
            "value of the step parameter"
        )
        raise ParameterError(message)


def parse_instant(parameters: Parameters, now_ns: int) -> InstantParameters:
    """`time`, `limit` and `direction`."""
    time_ns = parse_time(parameters.get("time"), now_ns)
    limit = parse_limit(parameters)
    direction, explain = parse_direction(parameters), parse_explain(parameters)
    return InstantParameters(
        query=parameters.get("query"),
        time_ns=time_ns,
        limit=limit,
        direction=direction,
        explain=explain,
    )


def parse_bounds(parameters: Parameters, now_ns: int) -> Bounds:
    """`start`, `end` and `since`; the end may be the start, but not stand before it."""
    since_ns = DEFAULT_SINCE_NS
    if parameters.get("since"):
        try:
            since_ns = parse_prometheus_duration(parameters.get("since"))
        except AppError as error:
            raise ParameterError(f"could not parse 'since' parameter: {error.message}") from error
    end_ns = _bound(parameters, "end", now_ns)
    default_ns = within_time(min(end_ns, now_ns) - since_ns)
    bounds = Bounds(_bound(parameters, "start", default_ns), end_ns)
    if bounds.end_ns < bounds.start_ns:
        raise ParameterError("end timestamp must not be before or equal to start time")
    return bounds


def _bound(parameters: Parameters, name: str, default_ns: int) -> int:
    try:
        return parse_time(parameters.get(name), default_ns)
    except ParameterError as error:
        raise ParameterError(f"could not parse '{name}' parameter: {error.message}") from error


def parse_time(text: str, default_ns: int) -> int:
    """Seconds, nanoseconds or RFC 3339, told apart by their form; a time that can be asked for."""
    if not text:
        return default_ns
    if "." in text:
        try:
            seconds = parse_float(text)
        except AppError:
            pass
        else:
            return _of_seconds(seconds)
    try:
        value = parse_int(text)
    except AppError as error:
        parsed = parse_rfc3339(text)
        if parsed is None:
            raise ParameterError(error.message) from None
        return parsed
    return within_time(value * NS_PER_S if len(text) <= SECONDS_CHARACTERS else value)


def _of_seconds(seconds: float) -> int:
    """Seconds with a fraction, which is rounded to milliseconds."""
    if math.isnan(seconds):
        return MIN_TIME_NS
    if abs(seconds) > MAX_TIME_NS / NS_PER_S:
        return MAX_TIME_NS if seconds > 0 else MIN_TIME_NS
    fraction, whole = math.modf(seconds)
    millis = math.floor(abs(fraction) * 1000 + 0.5)
    return within_time(int(whole) * NS_PER_S + (millis if fraction > 0 else -millis) * NS_PER_MS)


def parse_rfc3339(text: str) -> int | None:
    """A time as `2006-01-02T15:04:05.999999999Z07:00`; None when it is none."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    date, fraction, zone = match.groups()
    if date.startswith("0000"):
        return MIN_TIME_NS
    try:
        moment = datetime.fromisoformat(date + zone.replace("Z", "+00:00"))
    except ValueError:
        return None
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = delta.days * 86400 + delta.seconds
    return within_time(seconds * NS_PER_S + int(f"{fraction or '':0<9}"[:9]))


def parse_limit(parameters: Parameters) -> int:
    """Lines at most."""
    value = parse_count(parameters, "limit")
    return DEFAULT_LIMIT if value is None else value


def parse_count(parameters: Parameters, *names: str, zero: bool = False) -> int | None:
    """A positive number under the first of several names that has any; None without one."""
    text = next((parameters.get(name) for name in names if parameters.get(name)), "")
    if not text:
        return None
    value = parse_atoi(text)
    if value > MAX_LIMIT:
        raise ParameterError(f"limit value {value} is out of range [0, {MAX_LIMIT}]")
    if value < 0 or (value == 0 and not zero):
        raise ParameterError("limit must be a positive value")
    return value


def parse_atoi(text: str) -> int:
    """Go's `strconv.Atoi`."""
    return parse_int(text, "strconv.Atoi")


def parse_direction(parameters: Parameters) -> Direction:
    """`forward` or `backward` in any case."""
    text = parameters.get("direction")
    if not text:
        return Direction.BACKWARD
    try:
        return Direction(text.lower())
    except ValueError:
        raise ParameterError(f"invalid direction '{text}'") from None


def parse_explain(parameters: Parameters) -> bool:
    """Whether the answer is to say how it was found; our own parameter."""
    text = parameters.get("explain").lower()
    if text not in ("", "true", "false", "1", "0"):
        raise ParameterError(f"explain must be true or false, not {quote(text)}")
    return text in ("true", "1")


def parse_step(parameters: Parameters, bounds: Bounds) -> int:
    """The step in ns, whole milliseconds; by default a 250th of the range, at least a second.

    Points are counted before the rest of a millisecond is left out. Raises `ParameterError` for a
    step that is not positive, or gives too many points.
    """
    text = parameters.get("step")
    default_ns = max((bounds.end_ns - bounds.start_ns) // NS_PER_S // 250, 1) * NS_PER_S
    asked_ns = _span(text) if text else default_ns
    _check_positive(asked_ns)
    _check_points(asked_ns, bounds)
    step_ns = asked_ns // NS_PER_MS * NS_PER_MS
    _check_positive(step_ns)
    return step_ns


def parse_interval(parameters: Parameters) -> int:
    """The least distance of returned entries in ns."""
    text = parameters.get("interval")
    return _span(text) if text else 0


def _span(text: str) -> int:
    """Float seconds or a Prometheus duration."""
    try:
        seconds = parse_float(text)
    except AppError:
        try:
            return parse_prometheus_duration(text)
        except AppError:
            raise ParameterError(f"cannot parse {quote(text)} to a valid duration") from None
    value = seconds * NS_PER_S
    if abs(value) > 2**63:
        message = f"cannot parse {quote(text)} to a valid duration. It overflows int64"
        raise ParameterError(message)
    # what is no integer of 64 bits becomes the smallest one, as on the recorded server
    return int(value) if -(2**63) <= value < 2**63 else -(2**63)


def encoding_flags(headers: Mapping[str, str]) -> tuple[str, ...]:
    """What the client asks of the encoding; unknown flags are echoed too."""
    flags = headers.get(FLAGS_HEADER, "")
    return tuple(flag.strip() for flag in flags.split(",") if flag.strip())
