"""What does a query request ask for? Parameters, Loki's defaults, order and texts (§0.3, §0.4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from narfi.core.clock import NS_PER_MS, NS_PER_S
from narfi.core.errors import AppError, InvalidRequestError
from narfi.core.labels import quote
from narfi.core.units import parse_float, parse_prometheus_duration
from querier.query import Direction

DEFAULT_LIMIT = 100
DEFAULT_SINCE_NS = 3600 * NS_PER_S
MAX_POINTS = 11_000
MAX_LIMIT = 2**32 - 1
CATEGORIZE = "categorize-labels"


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


@dataclass(frozen=True, slots=True)
class RangeParameters:
    """A range query."""

    query: str
    bounds: Bounds
    limit: int
    direction: Direction
    step_ns: int
    interval_ns: int
    explain: bool


@dataclass(frozen=True, slots=True)
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
    if bounds.end_ns < bounds.start_ns:
        raise ParameterError("end timestamp must not be before or equal to start time")
    limit = parse_limit(parameters)
    direction = parse_direction(parameters)
    step_ns = parse_step(parameters, bounds)
    check_step(step_ns, bounds)
    interval_ns = parse_interval(parameters)
    if interval_ns < 0:
        raise ParameterError("interval must be >= 0")
    explain = parse_explain(parameters)
    query = parameters.get("query")
    return RangeParameters(query, bounds, limit, direction, step_ns, interval_ns, explain)


def check_step(step_ns: int, bounds: Bounds) -> None:
    """Refuse a step that is not positive, or gives too many points."""
    if step_ns <= 0:
        message = (
            "zero or negative query resolution step widths are not accepted. Try a positive integer"
        )
        raise ParameterError(message)
    if (bounds.end_ns - bounds.start_ns) / step_ns > MAX_POINTS:
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
    return InstantParameters(parameters.get("query"), time_ns, limit, direction, explain)


def parse_bounds(parameters: Parameters, now_ns: int) -> Bounds:
    """`start`, `end` and `since`."""
    since_ns = DEFAULT_SINCE_NS
    if parameters.get("since"):
        try:
            since_ns = parse_prometheus_duration(parameters.get("since"))
        except AppError as error:
            raise ParameterError(f"could not parse 'since' parameter: {error.message}") from error
    end_ns = _bound(parameters, "end", now_ns)
    return Bounds(_bound(parameters, "start", min(end_ns, now_ns) - since_ns), end_ns)


def _bound(parameters: Parameters, name: str, default_ns: int) -> int:
    try:
        return parse_time(parameters.get(name), default_ns)
    except ParameterError as error:
        raise ParameterError(f"could not parse '{name}' parameter: {error.message}") from error


def parse_time(text: str, default_ns: int) -> int:
    """Seconds, nanoseconds or RFC 3339, told apart by their form."""
    if not text:
        return default_ns
    if "." in text:
        try:
            return round(parse_float(text) * 1000) * NS_PER_MS
        except (AppError, OverflowError, ValueError):
            pass
    digits = text[1:] if text[:1] in "+-" else text
    if digits.isascii() and digits.isdigit():
        value = int(text)
        return value * NS_PER_S if len(text) <= 10 else value
    parsed = _rfc3339(text)
    if parsed is None:
        raise ParameterError(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    return parsed


def _rfc3339(text: str) -> int | None:
    if len(text) < 20 or text[10] not in "Tt":
        return None
    base, dot, rest = text.partition(".")
    digits = ""
    while dot and rest[:1].isdigit():
        digits, rest = digits + rest[0], rest[1:]
    if dot and not digits:
        return None
    try:
        moment = datetime.fromisoformat((base + rest).replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86400 + delta.seconds) * NS_PER_S + int((digits + "000000000")[:9])


def parse_limit(parameters: Parameters) -> int:
    """Lines at most."""
    text = parameters.get("limit")
    if not text:
        return DEFAULT_LIMIT
    digits = text[1:] if text[:1] in "+-" else text
    if not (digits.isascii() and digits.isdigit()):
        raise ParameterError(f"strconv.Atoi: parsing {quote(text)}: invalid syntax")
    value = int(text)
    if value > MAX_LIMIT:
        raise ParameterError(f"limit value {value} is out of range [0, {MAX_LIMIT}]")
    if value <= 0:
        raise ParameterError("limit must be a positive value")
    return value


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
    """The step in ns, whole milliseconds; by default a 250th of the range, at least a second."""
    text = parameters.get("step")
    if not text:
        seconds = (bounds.end_ns - bounds.start_ns) // NS_PER_S // 250
        return max(seconds, 1) * NS_PER_S
    return _span(text) // NS_PER_MS * NS_PER_MS


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
    if not abs(value) < 2**63:
        message = f"cannot parse {quote(text)} to a valid duration. It overflows int64"
        raise ParameterError(message)
    return int(value)


def encoding_flags(headers: Mapping[str, str]) -> tuple[str, ...]:
    """What the client asks of the encoding; unknown flags are echoed too."""
    flags = headers.get("x-loki-response-encoding-flags", "")
    return tuple(flag.strip() for flag in flags.split(",") if flag.strip())
