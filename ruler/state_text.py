"""How are alerts remembered over a restart? As JSON in the catalog, one text for a group.

What was sent when is not in it: after a start everything that fires is sent again, with the same
beginning, which no receiver minds.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from narfi.core.errors import InternalError
from ruler.alerts import Alert, Key, State

RuleKey = tuple[str, tuple[tuple[str, str], ...], int]
"""Name, labels as written, and which one it is of those that have both in common."""


class StateError(InternalError):
    """What is remembered cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How the last evaluation of a rule went, for processes that only show it."""

    health: str
    last_error: str
    last_evaluation_ns: int
    evaluation_s: float
    samples: int


def alerts_text(key: RuleKey, alerts: Mapping[Key, Alert]) -> str:
    """The alerts of a rule; "" of none."""
    if not alerts:
        return ""
    return json.dumps({"key": key, "alerts": [_written(alert) for alert in alerts.values()]})


def write_state(
    rules: Iterable[str],
    departed: Sequence[Alert],
    seen: Mapping[RuleKey, Seen] | None = None,
) -> str:
    """Alerts by rule, as `alerts_text` wrote them, and those of rules that are gone."""
    rest = {
        "departed": [_written(alert) for alert in departed],
        "seen": [{"key": key, **asdict(one)} for key, one in (seen or {}).items()],
    }
    return f'{{"rules": [{", ".join(filter(None, rules))}], {json.dumps(rest)[1:]}'


def read_seen(body: str) -> dict[RuleKey, Seen]:
    """How evaluations went, as `write_state` was told; raises `StateError`."""
    try:
        found: dict[RuleKey, Seen] = {}
        for one in json.loads(body).get("seen", ()):
            name, labels, number = one.pop("key")
            found[name, _pairs(labels), number] = Seen(**one)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StateError(f"the state of a rule group cannot be read: {error!r}") from error
    return found


def read_state(body: str) -> tuple[dict[RuleKey, dict[Key, Alert]], list[Alert]]:
    """What `write_state` wrote; raises `StateError`."""
    try:
        found = json.loads(body)
        rules: dict[RuleKey, dict[Key, Alert]] = {}
        for rule in found["rules"]:
            name, labels, number = rule["key"]
            alerts = [_read(one) for one in rule["alerts"]]
            rules[name, _pairs(labels), number] = {alert.labels: alert for alert in alerts}
        return rules, [_read(one) for one in found["departed"]]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StateError(f"the state of a rule group cannot be read: {error!r}") from error


def _written(alert: Alert) -> dict[str, Any]:
    return {
        "labels": alert.labels,
        "annotations": dict(alert.annotations),
        "value": repr(alert.value),
        "state": alert.state,
        "active_ns": alert.active_ns,
        "fired_ns": alert.fired_ns,
        "resolved_ns": alert.resolved_ns,
        "kept_since_ns": alert.kept_since_ns,
    }


def _read(found: dict[str, Any]) -> Alert:
    return Alert(
        labels=_pairs(found["labels"]),
        annotations=dict(found["annotations"]),
        value=float(found["value"]),
        state=State(found["state"]),
        active_ns=int(found["active_ns"]),
        fired_ns=int(found["fired_ns"]),
        resolved_ns=int(found["resolved_ns"]),
        kept_since_ns=int(found["kept_since_ns"]),
    )


def _pairs(found: Sequence[Sequence[str]]) -> Key:
    return tuple((str(name), str(value)) for name, value in found)
