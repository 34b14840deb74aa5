"""What stands against an import? Limits of both sides, asked before anything is pushed.

Narfi tells each limit with the setting that changes it, Loki those that it publishes. Who may not
ask is told so: then the first pushes show it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import yaml

from narfi.core.units import NS, parse_bytes, parse_go_duration, parse_prometheus_duration
from narfi.history.loki.asking import Asker

NARFI, LOKI = "/narfi/api/v1/limits", "/config/tenant/v1/limits"
_BAD_REQUEST = 400
_SAID = 200
"""Characters of what a server said that are shown."""
_WEEK_NS = 168 * NS["h"]
_DAY_NS = 24 * NS["h"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an import is going to push."""

    start_ns: int
    end_ns: int
    now_ns: int
    rate_bytes: float  # a second, 0: as fast as it goes
    body_bytes: int
    streams: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One limit; `blocks`: entries would be refused or lost."""

    blocks: bool
    text: str


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits by name, and what to set for each; empty where they could not be asked."""

    values: Mapping[str, Any]
    settings: Mapping[str, str]

    def setting(self, name: str) -> str:
        """Where it is changed."""
        return self.settings.get(name, f"limits_config.{name}")


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why nothing can be pushed; `reached`: somebody answered, so that waiting does not help."""

    text: str
    reached: bool

    def __str__(self) -> str:
        return self.text


def ask_limits(target: Asker) -> Limits | NoAnswer | str:
    """The target's limits for a tenant, or why they are not known."""
    problem = ""
    for path in (NARFI, LOKI):
        try:
            answer = target.once(path)
        except httpx.HTTPError as error:
            text = f"cannot reach {target.url}: {type(error).__name__}: {error}"
            return NoAnswer(text.rstrip(": "), reached=False)
        if answer.status_code == httpx.codes.OK:
            try:
                return _narfi(answer.json()) if path == NARFI else _loki(answer.text)
            except (ValueError, KeyError, TypeError, yaml.YAMLError):
                problem = f"{target.url}{path} gave no limits"
        elif answer.status_code in (401, 403):
            return (
                f"it does not let us ask for its limits ({answer.status_code}): "
                "pushes will show whether they stand against it"
            )
        else:
            problem = f"{target.url} does not tell its limits ({answer.status_code})"
            if answer.status_code == _BAD_REQUEST:  # the tenant, since there is nothing else in it
                return NoAnswer(f"{problem}: {answer.text.strip()[:_SAID]}", reached=True)
    return problem


def _narfi(body: Any) -> Limits:
    rows = body["limits"]
    values = {row["name"]: _in_ns(row["limit"], row["unit"]) for row in rows}
    return Limits(values, {row["name"]: row["setting"] for row in rows})


def _in_ns(limit: Any, unit: str) -> Any:
    return int(limit * NS["s"]) if unit == "s" and isinstance(limit, int | float) else limit


def _loki(text: str) -> Limits:
    found = yaml.safe_load(text)
    if not isinstance(found, dict):
        raise TypeError("no mapping")
    return Limits({name: _plain(value) for name, value in found.items()}, {})


def _plain(value: Any) -> Any:
    """Durations in ns, sizes in bytes."""
    if isinstance(value, str):
        for parse in (parse_prometheus_duration, parse_go_duration, parse_bytes):
            try:
                return parse(value)
            except ValueError:
                continue
            except Exception:  # noqa: BLE001  texts that are neither stay texts
                continue
    return value


def findings(limits: Limits, wanted: Wanted) -> list[Finding]:
    """What stands against the import, the worst first."""
    get = limits.values.get
    found: list[Finding] = []
    age_ns = wanted.now_ns - wanted.start_ns
    oldest = get("reject_old_samples_max_age", _WEEK_NS)
    if get("reject_old_samples") and age_ns > oldest:
        found.append(
            Finding(
                True,
                f"entries older than {_days(oldest)} are refused, and the oldest here may be "
                f"{_days(age_ns)} old: set {limits.setting('reject_old_samples')}: false "
                "for the time of the import",
            )
        )
    keep = get("retention_period", 0) or 0
    if keep and age_ns > keep:
        found.append(
            Finding(
                True,
                f"entries are deleted after {_days(keep)}, the oldest here may be "
                f"{_days(age_ns)} old: raise {limits.setting('retention_period')}, or import less "
                "(--since)",
            )
        )
    window = get("out_of_order_window", 0) or 0
    if window:
        found.append(
            Finding(
                True,
                f"entries that are {_days(window)} behind the newest of their stream are refused: "
                f"set {limits.setting('out_of_order_window')}: 0",
            )
        )
    found += _rates(limits, wanted)
    most = get("max_global_streams_per_user", 0) or 0
    if wanted.streams is not None and most and wanted.streams > most:
        found.append(
            Finding(
                True,
                f"{wanted.streams} streams are to be imported, {most} are allowed at a time: raise "
                f"{limits.setting('max_global_streams_per_user')}",
            )
        )
    if get("allow_structured_metadata") is False:
        found.append(
            Finding(
                True,
                "entries with structured metadata are refused: set "
                f"{limits.setting('allow_structured_metadata')}: true",
            )
        )
    return found


def of_source(limits: Limits, wanted: Wanted) -> list[Finding]:
    """What a source does not show, though it has it."""
    lookback = limits.values.get("max_query_lookback", 0) or 0
    if not lookback or wanted.now_ns - wanted.start_ns <= lookback:
        return []
    return [
        Finding(
            True,
            f"it shows nothing older than {_days(lookback)}: raise "
            f"{limits.setting('max_query_lookback')} there, or import less (--since)",
        )
    ]


def _rates(limits: Limits, wanted: Wanted) -> list[Finding]:
    get = limits.values.get
    found: list[Finding] = []
    burst = float(get("ingestion_burst_size_mb", 0) or 0) * 2**20
    if burst and wanted.body_bytes > burst:
        found.append(
            Finding(
                True,
                f"a push of {wanted.body_bytes} bytes is larger than the allowed burst: raise "
                f"{limits.setting('ingestion_burst_size_mb')}, or give a smaller --push-bytes",
            )
        )
    rate = float(get("ingestion_rate_mb", 0) or 0) * 2**20
    if rate and (not wanted.rate_bytes or wanted.rate_bytes > rate):
        found.append(
            Finding(
                False,
                f"the tenant may push {rate / 1e6:.1f} MB/s, what is live included: beyond it "
                f"pushes are refused for a while. Give --rate, or raise "
                f"{limits.setting('ingestion_rate_mb')}",
            )
        )
    stream_rate = float(get("per_stream_rate_limit", 0) or 0)
    if stream_rate and (not wanted.rate_bytes or wanted.rate_bytes > stream_rate):
        found.append(
            Finding(
                False,
                f"a stream may have {stream_rate / 1e6:.1f} MB/s: see "
                f"{limits.setting('per_stream_rate_limit')}",
            )
        )
    return found


def _days(span_ns: int) -> str:
    days = span_ns / _DAY_NS
    return f"{days:.0f} days" if days >= 2 else f"{span_ns / NS['h']:.1f} hours"
