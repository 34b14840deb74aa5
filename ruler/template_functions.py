"""Which functions do templates of alerts have? Prometheus' own, beside those of every Go template.

What needs the rule's server (its address, queries) is made by `functions_for`.
"""

import ipaddress
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from narfi.core.clock import NS_PER_MS
from narfi.core.errors import AppError
from narfi.core.labels import quote
from narfi.core.regex import compile_regex
from narfi.core.text.template.builtin_functions import BUILTINS
from narfi.core.text.template.errors import CallError
from narfi.core.text.template.methods import TIME_METHODS
from narfi.core.text.template.signatures import Function, function
from narfi.core.text.template.text_functions import TEXT_FUNCTIONS, lower, title, upper, url_encode
from narfi.core.text.template.values import (
    Duration,
    Struct,
    Structs,
    TextMap,
    type_name,
    unboxed,
)
from narfi.core.text.template.zones import UTC_ZONE, Moment
from narfi.core.units import format_go_value, parse_float, parse_prometheus_duration

MAX_TIME_S = 2.0**63 / 1e9
_LARGE, _SMALL = "kMGTPEZY", "munpfazy"
_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")

Pairs = Sequence[tuple[str, str]]
QueryFunction = Callable[[str], Sequence[tuple[Pairs, float]]]
"""An instant metric query: labels and values. Raises `AppError`."""
LinesFunction = Callable[[], Structs]
"""The log lines of an alert, see `line_of`. Raises `AppError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateWorld:
    """What templates can see beside the alert."""

    external_url: str = ""
    external_labels: Mapping[str, str] = field(default_factory=dict)


def _number(value: object) -> float:
    value = unboxed(value)
    if isinstance(value, Duration):
        return value / 1e9
    if isinstance(value, bool):
        raise CallError(f"can't convert {type_name(value)} to float")
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            return parse_float(value)
        except AppError as error:
            raise CallError(error.message) from error
    raise CallError(f"can't convert {type_name(value)} to float")


def _short(value: float) -> str:
    """`%.4g`."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else f"{value:.4g}"


def _scaled_down(value: float) -> tuple[float, str]:
    """A number below 1 with the prefix that makes it one above."""
    prefix = ""
    for letter in _SMALL:
        if abs(value) >= 1:
            break
        prefix, value = letter, value * 1000
    return value, prefix


def humanize(given: object) -> str:
    """With a metric prefix: `1.234k`."""
    value, prefix = _number(given), ""
    if value == 0 or not math.isfinite(value):
        return _short(value)
    if abs(value) < 1:
        value, prefix = _scaled_down(value)
        return _short(value) + prefix
    for letter in _LARGE:
        if abs(value) < 1000:
            break
        prefix, value = letter, value / 1000
    return _short(value) + prefix


def humanize1024(given: object) -> str:
    """With a binary prefix: `1.206ki`."""
    value, prefix = _number(given), ""
    if abs(value) <= 1 or not math.isfinite(value):
        return _short(value)
    for unit in _BINARY:
        if abs(value) < 1024:
            break
        prefix, value = unit, value / 1024
    return _short(value) + prefix


def humanize_duration(given: object) -> str:
    """Seconds as `20m 34s`, or `1.23ms`."""
    value = _number(given)
    if not math.isfinite(value):
        return _short(value)
    if value == 0:
        return "0s"
    if abs(value) < 1:
        value, prefix = _scaled_down(value)
        return f"{_short(value)}{prefix}s"
    sign, value = ("-", -value) if value < 0 else ("", value)
    minutes, seconds = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    return f"{sign}{minutes}m {seconds}s" if minutes else f"{sign}{_short(value)}s"


def humanize_percentage(given: object) -> str:
    """A share as per cent."""
    return f"{_short(_number(given) * 100)}%"


def _moment(given: object) -> Moment | None:
    value = _number(given)
    if not math.isfinite(value):
        return None
    if abs(value) > MAX_TIME_S:
        raise CallError(
            f"{format_go_value(value)} cannot be represented as a nanoseconds timestamp since it "
            "overflows int64"
        )
    return Moment(int(int(value * 1e9) / NS_PER_MS) * NS_PER_MS, UTC_ZONE)


def _humanize_timestamp(given: object) -> str:
    found = _moment(given)
    return _short(_number(given)) if found is None else str(TIME_METHODS["String"].run(found))


def _to_time(given: object) -> Moment:
    found = _moment(given)
    if found is None:
        raise CallError("value is NaN or Inf")
    return found


def _to_duration(given: object) -> Duration:
    value = _number(given)
    if not math.isfinite(value) or abs(value) > MAX_TIME_S:
        raise CallError(f"{_short(value)} cannot be represented as a duration")
    return Duration(round(value * 1e9))


def _parse_duration(text: str) -> float:
    try:
        return parse_prometheus_duration(text) / 1e9
    except AppError as error:
        raise CallError(error.message) from error


def _match(pattern: str, text: str) -> bool:
    try:
        return compile_regex(pattern).search(text) is not None
    except AppError as error:
        raise CallError(error.message) from error


def _split_host(text: str) -> tuple[str, str]:
    """Host and port of `host:port`; all of it is the host where there is no port."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], port
    if not colon or ":" in host or "[" in text or "]" in text:
        return text, ""
    return host, port


def _strip_domain(text: str) -> str:
    host, port = _split_host(text)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        short = host.split(".", 1)[0]
        return f"{short}:{port}" if port else short
    return text


def _first(samples: Structs) -> Struct:
    if not samples:
        raise CallError("first() called on vector with no elements")
    return samples[0]


def _label(name: str, sample: Struct) -> str:
    labels = sample.fields["Labels"]
    assert isinstance(labels, TextMap)
    return labels.get(name, "")


def _sort_by_label(name: str, samples: Structs) -> Structs:
    return Structs(sorted(samples, key=lambda sample: _label(name, sample)))


def _graph_link(expr: str) -> str:
    return f"/graph?g0.expr={url_encode(expr)}&g0.tab=0"


def _table_link(expr: str) -> str:
    return f"/graph?g0.expr={url_encode(expr)}&g0.tab=1"


_FIXED: Mapping[str, Function] = {
    **BUILTINS,
    "humanize": function("any", humanize),
    "humanize1024": function("any", humanize1024),
    "humanizeDuration": function("any", humanize_duration),
    "humanizePercentage": function("any", humanize_percentage),
    "humanizeTimestamp": function("any", _humanize_timestamp),
    "toTime": function("any", _to_time),
    "toDuration": function("any", _to_duration),
    "parseDuration": function("string", _parse_duration),
    "title": function("string", title),
    "toUpper": function("string", upper),
    "toLower": function("string", lower),
    "match": function("string string", _match),
    "reReplaceAll": function(
        "string string string",
        lambda pattern, new, text: TEXT_FUNCTIONS["regexReplaceAll"].run(pattern, text, new),
    ),
    "stripPort": function("string", lambda text: _split_host(text)[0]),
    "stripDomain": function("string", _strip_domain),
    "graphLink": function("string", _graph_link),
    "tableLink": function("string", _table_link),
    "urlQueryEscape": function("string", url_encode),
    "safeHtml": function("string", lambda text: text),
    "args": function("...any", lambda *args: {f"arg{n}": arg for n, arg in enumerate(args)}),
    "first": function("samples", _first),
    "label": function("string sample", _label),
    "value": function("sample", lambda sample: sample.fields["Value"]),
    "strvalue": function("sample", lambda sample: _label("__value__", sample)),
    "sortByLabel": function("string samples", _sort_by_label),
}


def sample_of(labels: Pairs, value: float) -> Struct:
    """A sample as templates see it."""
    return Struct("*template.sample", {"Labels": TextMap(labels), "Value": value})


def line_of(ts_ns: int, line: str, labels: Pairs) -> Struct:
    """A log line as templates see it."""
    fields = {"Line": line, "Labels": TextMap(labels), "Timestamp": Moment(ts_ns, UTC_ZONE)}
    return Struct("*template.line", fields)


def line_functions(lines: LinesFunction) -> Mapping[str, Function]:
    """Those that give the log lines of one alert."""

    def found() -> Structs:
        try:
            return lines()
        except AppError as error:
            raise CallError(error.message) from error

    def first() -> str:
        return next((str(one.fields["Line"]) for one in found()), "")

    return {"lines": function("", found), "firstLine": function("", first)}


def functions_for(world: TemplateWorld, query: QueryFunction, at_ns: int) -> Mapping[str, Function]:
    """All functions, for the evaluation of a time."""

    def run(text: str) -> Structs:
        try:
            return Structs(sample_of(labels, value) for labels, value in query(text))
        except AppError as error:
            raise CallError(error.message) from error

    return {
        **_FIXED,
        "query": function("string", run),
        "now": function("", lambda: at_ns // NS_PER_MS / 1000),
        "externalURL": function("", lambda: world.external_url),
        "pathPrefix": function("", lambda: urlsplit(world.external_url).path),
    }


def _no_query(text: str) -> Sequence[tuple[Pairs, float]]:
    raise CallError(f"no queries here: {quote(text)}")


FUNCTION_NAMES = frozenset(
    {**functions_for(TemplateWorld(), _no_query, 0), **line_functions(Structs)}
)
